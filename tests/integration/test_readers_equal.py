"""Whatever the key and the settings, several readers deliver what one does, row by row.

``READERS_SEED`` begins with another world, ``READERS_WORLDS`` plays more of them.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rds_to_s3.bucket_keys import plan_key
from rds_to_s3.extract import page_reader
from rds_to_s3.extract.ranges import division
from tests.integration.conftest import Database
from tests.integration.pipeline import Json, Pipeline, entry
from tests.support.csv_reading import read_fields
from tests.support.loading import rows_of_parquet
from tests.support.memory_store import MemoryStore

SEED = int(os.environ.get("READERS_SEED", "7"))
WORLDS = int(os.environ.get("READERS_WORLDS", "3"))
ROWS = 250
MOST_EQUAL = ("status", "rows", "source_rows", "columns", "key", "window", "quarantined_rows", "deleted_rows")


def text(letters: str) -> Callable[[random.Random], str]:
    return lambda chance: "CONVERT(x'{}' USING utf8mb4)".format(
        "".join(chance.choices(letters, k=chance.randint(1, 5))).encode().hex()
    )


def moment(chance: random.Random) -> str:
    day = chance.choice(["0000-00-00", "2024-02-31", "2025-03-30", "2025-10-26", f"20{chance.randint(10, 40)}-05-06"])
    return f"'{day} {chance.randint(0, 23):02d}:00:00.{chance.randint(0, 999_999):06d}'"


COLUMNS: dict[str, Callable[[random.Random], str]] = {
    "INT": lambda chance: str(chance.randint(-(2**31), 2**31 - 1)),
    "BIGINT UNSIGNED": lambda chance: str(chance.choice([0, 2**63, 2**64 - 400]) + chance.randint(0, 399)),
    "DECIMAL(65, 30)": lambda chance: f"{chance.randint(-(10**34), 10**34)}.{chance.randint(0, 10**30):030d}",
    "VARCHAR(9) COLLATE utf8mb4_turkish_ci": text("iI\u0131\u0130sSşŞ 😀"),
    "VARCHAR(9) COLLATE utf8mb4_unicode_ci": text("aAäß zZ\t日"),
    "VARCHAR(9) CHARACTER SET latin1": text("aé€Zü "),
    "VARCHAR(9) CHARACTER SET sjis": text("日本ア1a"),
    "VARCHAR(9) CHARACTER SET ucs2": text("aé日"),
    "BINARY(4)": lambda chance: f"x'{chance.choice(['', '00', 'ff'])}{chance.getrandbits(16):04x}'",
    "DATETIME(6)": moment,
    "TIME(3)": lambda chance: f"'{chance.randint(-838, 838)}:{chance.randint(0, 59):02d}:00.5'",
    "YEAR": lambda chance: str(chance.choice([0, *range(1901, 2156)])),
    "SET('x', 'y', 'z')": lambda chance: str(chance.randint(0, 7)),
    "ENUM('b', 'a', 'c d')": lambda chance: str(chance.randint(1, 3)),
    "BIT(12)": lambda chance: str(chance.randint(0, 4095)),
}
SETTINGS: dict[str, list[Any]] = {
    "mode": ["incremental", "incremental", "full", "compare"],
    "format": ["csv", "parquet"],
    "layout": ["flat", "hive"],
    "compression": [None, "gzip"],
    "target_file_bytes": [2_000, 10**8],
    "deletes": ["ignore", "track"],
    "prove_bytes": [0, 2**25],
    "where": [None, "amount > 10 or amount is None"],
    "mask": [{}, {"note": "hash"}, {"note": "null"}],
    "rename": [{}, {"k0": "first key", "modifiedDate": "amended"}],
    "exclude_columns": [None, ["createdDate"]],
    "checks": [{}, {"amount": {"ge": 0}, "*": {"min_rows": 0}}],
}
CHANGES = [
    "UPDATE t SET note = 'new', modifiedDate = NOW(6) WHERE amount % 3 = 0",
    "UPDATE t SET note = 'healed' WHERE amount % 5 = 0",
    "UPDATE t SET modifiedDate = '2099-01-01' WHERE amount % 7 = 0",
    "DELETE FROM t WHERE amount % 4 = 0",
    "ALTER TABLE t ADD COLUMN added INT DEFAULT 3",
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(division, "LEAST_BYTES", 1)
    monkeypatch.setattr(page_reader, "MOST_ROWS", 40)
    yield


def fill(database: Database, chance: random.Random) -> None:
    kinds = [*chance.sample(list(COLUMNS)[:-3], chance.randint(1, 2)), *chance.sample(list(COLUMNS)[-3:], 1)]
    names = [f"k{number}" for number in range(len(kinds))]
    keys = ", ".join(f"{name} {kind} NOT NULL" for name, kind in zip(names, kinds, strict=True))
    stamps = "createdDate DATETIME(3) NOT NULL DEFAULT '2025-01-01', modifiedDate DATETIME(6) NULL"
    rows = []
    for _ in range(ROWS):
        amount = chance.choice(["NULL", str(chance.randint(-9, 99))])
        rows.append(f"({', '.join([*(COLUMNS[kind](chance) for kind in kinds), amount])})")
    database.execute(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        f"CREATE TABLE t ({keys}, amount INT, note VARCHAR(20), {stamps}, PRIMARY KEY ({', '.join(names)}), "
        f"KEY (createdDate), KEY (modifiedDate{', amount' * chance.randint(0, 1)}))",
        f"INSERT IGNORE INTO t ({', '.join(names)}, amount) VALUES {', '.join(rows)}",
        "ANALYZE TABLE t",
    )


def run(one: Pipeline, several: Pipeline, readers: int, name: str) -> list[Json]:
    """Run one plan with one reader and with several, each into a bucket of its own; return the table's entries."""
    execution = one.execution(name)
    plan = one.plan(execution)
    stored = json.loads(one.body(plan_key(name)))
    found = []
    for pipeline, number in ((one, 1), (several, readers)):
        stored["tables"][0]["readers"] = number
        pipeline.store.put(plan_key(name), json.dumps(stored).encode())
        results = [pipeline.iterate(name, "t")]
        found.append(entry(pipeline.report(execution, plan=plan, results=results), "t"))
    return found


def delivered(pipeline: Pipeline, table: Json) -> Json:
    """Return what must not depend on the readers: the rows of all files in their order, and what the manifest says."""
    rows: list[Any] = []
    for file in [*table["files"], *table.get("quarantine", []), *table.get("deletes", [])]:
        body = pipeline.body(file["key"])
        lines = rows_of_parquet(body) if file["key"].endswith("parquet") else [*read_fields(plain(body))][1:]
        rows += map(str, lines)
        assert len(lines) == file["rows"]
    proof = table.get("proof") or {}
    equal = {name: table.get(name) for name in MOST_EQUAL}
    return {**equal, "lines": rows, **{name: proof.get(name) for name in ("healed", "gone", "whole_until")}}


def plain(body: bytes) -> str:
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


@pytest.mark.parametrize("world", range(SEED, SEED + WORLDS))
def test_several_readers_deliver_what_one_does(any_database: Database, world: int) -> None:
    chance = random.Random(world)
    fill(any_database, chance)
    settings = {name: chance.choice(values) for name, values in SETTINGS.items()}
    made = str(any_database.rows("SHOW CREATE TABLE t"))
    one, several = (Pipeline(any_database, "memory", None, memory=MemoryStore()) for _ in range(2))
    for number in range(3):
        if settings["mode"] == "compare" and ("sjis" in made or "ucs2" in made):
            settings["deletes"] = "ignore"  # such a key cannot have both
        settings["on_violation"] = "quarantine" if settings["checks"] else "fail"
        one.tables = [{"name": "t", **settings}]
        entries = run(one, several, chance.choice([1, 3, 3, 9, 9]) if number else 9, f"run-{number}")
        by_one, by_several = (delivered(*each) for each in zip((one, several), entries, strict=True))
        assert by_one == by_several, settings
        assert by_one["status"] in {"SUCCEEDED", "UNCHANGED"}, entries[0]["error"]
        any_database.execute(*chance.sample(CHANGES[: 5 - number], 2))
        if chance.random() < 0.3:
            for pipeline in (one, several):
                pipeline.store.delete(f"t/{settings['format']}/last_extract.txt")
        settings |= {
            name: chance.choice(SETTINGS[name]) for name in chance.sample(list(SETTINGS), chance.choice([0, 2]))
        }
