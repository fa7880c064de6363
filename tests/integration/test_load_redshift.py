"""The script for Redshift, on PostgreSQL, of which Redshift is a descendant.

PostgreSQL judges the temporary tables, DELETE .. USING, MERGE and the transaction. It does not judge COPY's options, of
which its own COPY takes the place, Parquet and VARBYTE.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from rds_to_s3_ops.warehouses.deliveries import histories
from rds_to_s3_ops.warehouses.script import scripts
from tests.integration.pipeline import Pipeline
from tests.integration.test_load import LIST, STEPS, play
from tests.support.csv_reading import read_csv
from tests.support.warehouse import LoadedFile, copy_bucket

INITDB = shutil.which("initdb") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), "")
pytestmark = pytest.mark.skipif(not INITDB, reason="PostgreSQL is not installed")

_COPY = re.compile(r'COPY ("[^"]+") (\(.+\))\nFROM \'s3://[^/]+/(.+)\'\nIAM_ROLE DEFAULT\nFORMAT AS CSV .*?(GZIP)?$')
OF_CSV = [(ddl, settings) for ddl, settings in LIST if settings.get("format") != "parquet"]
TABLES = [settings["name"] for _, settings in OF_CSV]


class Postgres:
    """A server of its own, and the copy of the bucket that it reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.copy = folder / "copy"
        self._user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []

    def start(self) -> None:
        self.copy.mkdir()
        if self._user:
            shutil.chown(self._folder, "nobody")
        # As Redshift, a backslash escapes in a text.
        options = f"-k {self._folder} -c listen_addresses='' -c standard_conforming_strings=off -c fsync=off"
        self._run(INITDB, "-D", "data", "-A", "trust", "-U", "me", "--no-sync", "-E", "UTF8", "--no-locale")
        self._run(self._tool("pg_ctl"), "-D", "data", "-o", options, "-w", "-l", "log", "start")

    def stop(self) -> None:
        self._run(self._tool("pg_ctl"), "-D", "data", "-m", "immediate", "stop")

    def execute(self, *statements: str) -> str:
        given = ";\n".join(statements) + ";\n"
        arguments = ("-q", "-h", str(self._folder), "-U", "me", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-X")
        return self._run(self._tool("psql"), *arguments, given=given)

    def copied(self, statement: str) -> str:
        """Return a COPY of Redshift's in PostgreSQL's words."""
        if (match := _COPY.match(statement)) is None:
            assert not statement.startswith("COPY")
            return statement
        path = self.copy / match[3]
        source = f"PROGRAM 'gunzip -c {path}'" if match[4] else f"'{path}'"
        return f"COPY {match[1]} {match[2]} FROM {source} WITH (FORMAT csv, HEADER, NULL '')"

    def _tool(self, name: str) -> str:
        return str(Path(INITDB).resolve().with_name(name))

    def _run(self, *command: str, given: str = "") -> str:
        done = subprocess.run(
            [*self._user, *command], cwd=self._folder, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}\n{given}"
        return done.stdout


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    # Not in pytest's folder: a socket's path is short, and the server's user has no access there.
    with TemporaryDirectory(prefix="rds-to-s3-") as folder:
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.stop()


def run_script(pipeline: Pipeline, postgres: Postgres) -> None:
    copy_bucket(pipeline, postgres.copy)
    found = histories(LoadedFile(pipeline, postgres.copy).bucket.every_manifest())
    commits = {name: each.pending(()) for name, each in found.items()}
    made = scripts("redshift", pipeline.bucket, commits, retyped={name: each.retyped for name, each in found.items()})
    for each in made:
        # What the script's comments tell the operator to do by hand.
        by_hand = [note.strip().rstrip(";") for note in each.notes if note.startswith("  ALTER TABLE")]
        adding = [text.replace("ADD COLUMN", "ADD COLUMN IF NOT EXISTS") for text in by_hand]
        if each.table is not None:
            adding = [each.statements[0], *adding]
            types = [
                re.sub(r"ADD COLUMN IF NOT EXISTS (\"[^\"]+\")", r"ALTER COLUMN \1 TYPE", text) for text in adding[1:]
            ]
            adding += types
        postgres.execute(*adding, *map(postgres.copied, each.statements))


def differing(pipeline: Pipeline, postgres: Postgres) -> dict[str, Any]:
    found = {}
    for table in TABLES:
        names = [row[0] for row in pipeline.database.rows(f"SHOW COLUMNS FROM {table}")]
        theirs = pipeline.database.rows(f"SELECT {', '.join(f'CAST({name} AS CHAR)' for name in names)} FROM {table}")
        columns = ", ".join(_text_of(name) for name in names)
        printed = postgres.execute(f'COPY (SELECT {columns} FROM "{table}") TO STDOUT WITH (FORMAT csv, HEADER)')
        ours = Counter(tuple(row.values()) for row in read_csv(printed.encode()))
        if ours != Counter(theirs):
            found[table] = (ours, Counter(theirs))
    return found


def _text_of(name: str) -> str:
    return f"to_char(\"{name}\", 'YYYY-MM-DD HH24:MI:SS.US') AS {name}" if name.endswith("Date") else f'"{name}"'


def test_the_script_makes_the_tables_equal_to_the_source_whenever_it_is_run(
    pipeline: Pipeline, postgres: Postgres
) -> None:
    for ddl, settings in LIST:
        pipeline.database.execute(ddl.format(settings["name"]))
        if settings["name"] in TABLES:
            pipeline.tables.append(settings)
    for number, step in enumerate(STEPS):
        play(pipeline, step)
        for _ in range(2 if number in {0, 3, 5} else number != 1):
            run_script(pipeline, postgres)
            assert differing(pipeline, postgres) == {}
