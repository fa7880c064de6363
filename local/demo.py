"""``make demo``: a first run, a quarter of an hour of changes, an incremental run, and one with nothing to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from local.database import SAMPLE_DATA
from local.errors import LocalSystemError
from local.ministack_server import REPOSITORY
from local.system import HOME, LocalSystem

FOLDERS = (REPOSITORY / ".local", REPOSITORY / ".venv")
COMMAND = REPOSITORY / ".venv" / "bin" / "rds-to-s3"


def run_demo(system: LocalSystem, say: Callable[[str], None]) -> int:
    """Show the whole process. On the user's own server, skip the steps that change it."""
    s3 = system.aws.client("s3")
    bucket = system.outputs["DataBucketName"]
    if system.database.server:
        say("\nreset: the sample data, an empty bucket")
        system.database.reset()
        empty_bucket(s3, bucket)

    achieved = []
    _title(say, "run 1: no watermark yet, so everything")
    _run(system)
    achieved.append(("everything, as there is no watermark yet", _latest(s3, bucket)))
    _show_files(s3, bucket, say)

    if system.database.server:
        _title(say, "new orders come in: inserts and updates (local/sample_data/changes.sql)")
        system.database.run_script(SAMPLE_DATA / "changes.sql")
        _title(say, "run 2: only the rows inserted or updated since run 1")
        _run(system)
        achieved.append(("only what was inserted or updated since", _latest(s3, bucket)))
        _show_files(s3, bucket, say)
        _show_rows(s3, bucket, say)

    _title(say, "another run: no changes, so every table is UNCHANGED and no file is written")
    _run(system)
    achieved.append(("no changes, so no file", _latest(s3, bucket)))
    _title(say, "is it all there? every row of every file against the database")
    _command(system, "verify", "--all", *(["--source"] if system.database.server else []))
    pages = copy_pages(s3, bucket)
    say("\n".join(conclusion(achieved, bucket, pages, {folder: disk_bytes(folder) for folder in FOLDERS})))
    return 0


def conclusion(
    achieved: Sequence[tuple[str, Mapping[str, Any]]], bucket: str, pages: Path, disk: Mapping[Path, int]
) -> list[str]:
    """Return the last lines of the demo: what was achieved, where it is, and how to get rid of it.

    Parameters
    ----------
    achieved : sequence of tuple
        What each run had to do, and its manifest.
    pages : Path
        The copy of the bucket's pages.
    disk : mapping of Path to int
        The bytes in each folder of the project that the demo has filled.
    """
    lines = ["", "=== what you have seen ==="]
    for number, (told, manifest) in enumerate(achieved, 1):
        totals = manifest["totals"]
        lines.append(
            f"run {number}: {totals['tables']} tables, {totals['rows']} rows in {totals['files']} files: {told}"
        )
    proved = [table for table in achieved[-1][1]["tables"] if (table.get("proof") or {}).get("whole_until")]
    lines += [
        f"proved: {len(proved)} of {achieved[-1][1]['totals']['tables']} tables equal the database, row by row",
        "",
        f"the files:          s3://{bucket}/",
        f"one page for all:   {(pages / 'index.html').as_uri()}",
        "continue by hand:   . .local/env && .venv/bin/rds-to-s3 --help",
        "",
        f"disk: {_gigabytes(sum(disk.values()))} "
        f"({', '.join(f'{folder.name} {_gigabytes(taken)}' for folder, taken in disk.items())}), and nothing elsewhere",
        "to stop the servers: make down          to delete it all: make clean",
    ]
    return lines


def _gigabytes(taken: int) -> str:
    return f"{taken / 1e9:.1f} GB"


def copy_pages(s3: Any, bucket: str) -> Path:
    """Copy the runs' pages and manifests out of the bucket, with links that work; return their folder."""
    folder = HOME / "demo" / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="runs/"):
        for entry in page.get("Contents", []):
            target = folder / entry["Key"].removeprefix("runs/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
    return folder


def disk_bytes(folder: Path) -> int:
    """Return how much disk a folder takes."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # a server may remove a file meanwhile
                total += (Path(place) / name).lstat().st_blocks * 512
    return total


def empty_bucket(s3: Any, bucket: str) -> None:
    """Delete every object and every version."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])


def _run(system: LocalSystem) -> None:
    _command(system, "run", "--watch")


def _command(system: LocalSystem, *words: str) -> None:
    environment = {**os.environ, **system.environment, "NO_PROXY": "127.0.0.1,localhost"}
    result = subprocess.run([str(COMMAND), *words], env=environment, check=False)
    if result.returncode:
        raise LocalSystemError(f"rds-to-s3 {words[0]} failed (exit code {result.returncode})")


def _latest(s3: Any, bucket: str) -> dict[str, Any]:
    manifest = json.loads(s3.get_object(Bucket=bucket, Key="runs/latest.json")["Body"].read())
    return dict(manifest)


def _show_files(s3: Any, bucket: str, say: Callable[[str], None]) -> None:
    say(f"\ns3://{bucket}/")
    for table in _latest(s3, bucket)["tables"]:
        for file in table["files"]:
            say(f"  {file['key']:<70} {file['rows']:>5} rows {file['bytes']:>8} bytes")


def _show_rows(s3: Any, bucket: str, say: Callable[[str], None]) -> None:
    """Print the file of one table that has inserted and updated rows."""
    for table in _latest(s3, bucket)["tables"]:
        if table["table"] == "orders" and table["files"]:
            key = table["files"][0]["key"]
            say(f"\n{key}")
            say(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def _title(say: Callable[[str], None], text: str) -> None:
    say(f"\n=== {text} ===")
