"""Keys whose text does not come back to the same bytes: a read is resumed after the bytes that the key holds."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from rds_to_s3.extract import page_reader
from tests.integration.conftest import Database
from tests.integration.pipeline import Pipeline, entry

pytestmark = pytest.mark.bucket_in_memory

# Of each, codes of which some have no character, and some share theirs with another code.
CODES = {
    "cp932": [*range(0xED40, 0xED7F), *range(0x8140, 0x8200), *range(0xFA40, 0xFA7F), *range(0x8790, 0x87A0)],
    "eucjpms": [*range(0xADA1, 0xADFF), *range(0xF9A1, 0xF9FF)],
    "sjis": [*range(0x8140, 0x8200), *range(0x8280, 0x8299)],
    "ujis": [*range(0xA1A1, 0xA1FF), *range(0xA2CC, 0xA2FF)],
    "big5": [*range(0xA140, 0xA1FF), *range(0xF9D6, 0xF9FF)],
    "gbk": [*range(0xA6A1, 0xA6FF), *range(0xA840, 0xA8C0)],
    "euckr": [*range(0xA1A1, 0xA1FF), *range(0xC9A1, 0xC9BF)],
    "greek": range(0x80, 0x100),
    "hebrew": range(0x80, 0x100),
    "cp1250": range(0x80, 0x100),
    "koi8r": range(0x80, 0x100),
    "macroman": range(0x80, 0x100),
    "ucs2": [*range(0xD7F0, 0xD810), *range(0xDFF0, 0xE010), 0x0041],
}


@pytest.fixture
def pages_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_reader, "MOST_ROWS", 5)


def make(database: Database, character_set: str) -> list[int]:
    """Make a table whose key holds every code that the server takes; return them."""
    database.execute(
        "SET SESSION sql_mode = ''",
        f"CREATE TABLE t (k VARCHAR(20) CHARACTER SET {character_set} PRIMARY KEY, n INT NOT NULL, createdDate "
        "DATETIME NOT NULL DEFAULT '2025-01-01', modifiedDate DATETIME NULL, KEY (createdDate), KEY (modifiedDate))",
    )
    for number, code in enumerate(CODES[character_set]):
        raw = code.to_bytes(2 if code > 0xFF or character_set == "ucs2" else 1, "big")
        database.execute(
            f"INSERT IGNORE INTO t (k, n) SELECT c, {number} FROM (SELECT CONVERT(x'{raw.hex()}' USING "
            f"{character_set}) AS c) AS v WHERE HEX(c) = '{raw.hex().upper()}'"
        )
    return [row[0] for row in database.rows("SELECT n FROM t ORDER BY n")]


def numbers(pipeline: Pipeline, keys: list[str]) -> list[int]:
    """Return the column `n` of files; ucs2 has unpaired surrogates, which no reader of UTF-8 takes."""
    texts = [pipeline.body(key).decode("utf-8", "surrogatepass") for key in keys]
    return sorted(int(row["n"]) for text in texts for row in csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.usefixtures("pages_of_five")
@pytest.mark.parametrize("character_set", CODES)
def test_every_key_is_read_once_over_many_pages(any_pipeline: Pipeline, character_set: str) -> None:
    stored = make(any_pipeline.database, character_set)
    assert len(stored) > 10
    any_pipeline.tables = ["t"]
    first = entry(any_pipeline.run(), "t")
    assert numbers(any_pipeline, [file["key"] for file in first["files"]]) == stored
    # In an index's order, too, where many rows share a stamp.
    any_pipeline.database.execute("UPDATE t SET modifiedDate = NOW()")
    second = entry(any_pipeline.run(), "t")
    assert numbers(any_pipeline, [file["key"] for file in second["files"]]) == stored
    assert entry(any_pipeline.run(), "t")["status"] == "UNCHANGED"


@pytest.mark.usefixtures("pages_of_five")
@pytest.mark.parametrize("collation", ["cp932_japanese_ci", "cp932_bin"])
def test_the_keys_order_is_its_collations(any_pipeline: Pipeline, collation: str) -> None:
    any_pipeline.database.execute(
        f"CREATE TABLE t (k VARCHAR(20) CHARACTER SET cp932 COLLATE {collation} PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO t VALUES ('b', 1), ('A', 2), ('c', 3), ('a1', 4), ('B1', 5), (_cp932 x'ED40', 6), ('', 7), "
        "('Z', 8)",
    )
    any_pipeline.tables = [{"name": "t", "mode": "full"}]
    table = entry(any_pipeline.run(), "t")
    assert numbers(any_pipeline, [file["key"] for file in table["files"]]) == list(range(1, 9))


@pytest.mark.usefixtures("pages_of_five")
def test_any_byte_in_an_ascii_key_of_mariadb_is_read_once_and_warned_about(
    mariadb_database: Database, bucket: str, s3_client: Any
) -> None:
    columns = "n INT NOT NULL, createdDate DATETIME NOT NULL DEFAULT '2025-01-01', modifiedDate DATETIME NULL"
    rows = ", ".join(f"(x'{code:02x}', {code})" for code in range(0x38, 0xA0) if chr(code).upper() == chr(code))
    mariadb_database.execute(
        f"CREATE TABLE t (k VARCHAR(9) CHARACTER SET ascii PRIMARY KEY, {columns})",
        f"INSERT INTO t (k, n) VALUES {rows}",
    )
    pipeline = Pipeline(mariadb_database, bucket, s3_client, tables=["t"])
    table = entry(pipeline.run(), "t")
    stored = [row[0] for row in mariadb_database.rows("SELECT n FROM t ORDER BY n")]
    assert numbers(pipeline, [file["key"] for file in table["files"]]) == stored
    expected = "32 values of `k` have codes without a Unicode character in its character set ascii"
    assert any(expected in warning for warning in table["warnings"])


@pytest.mark.usefixtures("pages_of_five")
def test_a_key_that_several_merged_tables_have_is_no_key(any_pipeline: Pipeline) -> None:
    columns = "k INT NOT NULL PRIMARY KEY, n INT NOT NULL"
    any_pipeline.database.execute(
        *(f"CREATE TABLE part{part} ({columns}) ENGINE = MyISAM" for part in (1, 2)),
        f"CREATE TABLE t ({columns}) ENGINE = MERGE UNION = (part1, part2)",
        *(f"INSERT INTO part{part} VALUES {', '.join(f'({k}, {k * part})' for k in range(1, 9))}" for part in (1, 2)),
    )
    any_pipeline.tables = [{"name": "t", "mode": "full"}]
    table = entry(any_pipeline.run(), "t")
    assert table["rows"] == 16
    assert table["key"] == []


SPACED = ["a", "a\\t", "a\\tb", "a \\t", "a b", "a\\0", "", "\\t", "b", "b\\t"]


@pytest.mark.usefixtures("pages_of_five")
@pytest.mark.parametrize("index", ["PRIMARY KEY (k)", "PRIMARY KEY (n), KEY (modifiedDate, k)"])
@pytest.mark.parametrize("kind", ["CHAR(9)", "VARCHAR(9)"])
def test_a_key_without_pad_space_is_read_once_whatever_comes_before_a_space(
    any_pipeline: Pipeline, kind: str, index: str
) -> None:
    database = any_pipeline.database
    is_mariadb = "MariaDB" in str(database.rows("SELECT VERSION()"))
    collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
    rows = ", ".join(f"('{text}', {n})" for n, text in enumerate(SPACED))
    database.execute(
        f"CREATE TABLE t (k {kind} CHARACTER SET utf8mb4 COLLATE {collation} NOT NULL, n INT NOT NULL, "
        f"modifiedDate DATETIME NOT NULL DEFAULT '2025-06-01', {index})",
        f"INSERT INTO t (k, n) VALUES {rows}",
    )
    any_pipeline.tables = [{"name": "t", "created_column": None}]
    any_pipeline.set_watermark("t", "2025-01-01 00:00:00")
    table = entry(any_pipeline.run(), "t")
    assert numbers(any_pipeline, [file["key"] for file in table["files"]]) == list(range(len(SPACED)))


@pytest.mark.usefixtures("pages_of_five")
def test_two_keys_that_look_alike_in_the_files_are_warned_about(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE t (k VARCHAR(20) CHARACTER SET cp932 COLLATE cp932_bin PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO t VALUES (_cp932 x'ED40', 1), (_cp932 x'FA5C', 2), ('plain', 3)",
    )
    any_pipeline.tables = [{"name": "t", "mode": "full"}]
    (warning,) = (w for w in entry(any_pipeline.run(), "t")["warnings"] if "`k`" in w)
    assert "1 keys in `k`" in warning


@pytest.mark.usefixtures("pages_of_five")
@pytest.mark.parametrize("kind", ["UUID", "INET6"])
def test_mariadbs_own_types_are_keys_that_can_be_resumed(
    mariadb_database: Database, bucket: str, s3_client: Any, kind: str
) -> None:
    make_value = "UUID()" if kind == "UUID" else "CONCAT('2001:db8::', HEX(seq * 7919 % 65535))"
    mariadb_database.execute(
        f"CREATE TABLE t (k {kind} PRIMARY KEY, n INT NOT NULL)",
        f"INSERT INTO t SELECT {make_value}, seq FROM seq_1_to_40",
    )
    pipeline = Pipeline(mariadb_database, bucket, s3_client, tables=[{"name": "t", "mode": "full"}])
    table = entry(pipeline.run(), "t")
    assert numbers(pipeline, [file["key"] for file in table["files"]]) == list(range(1, 41))
