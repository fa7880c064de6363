"""The snippets of docs/read-it.md, run on real files: every value as MySQL has it, with its type."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rds_to_s3.formats.csv import EXTENSIONS
from tests.integration.pipeline import Pipeline

PAGE = (Path(__file__).parents[2] / "docs" / "read-it.md").read_text(encoding="utf-8")
ORDERS = """CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, parent BIGINT NULL, total DECIMAL(20,2) NOT NULL,
    zip VARCHAR(10) NOT NULL, note TEXT NULL, flag TINYINT(1) NULL, day DATE NULL, at DATETIME(6) NULL,
    ratio FLOAT NULL, raw VARBINARY(9) NULL,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL)"""
NOTES = ["", None, "NULL", "NA", r"\N", r"\.", 'a\n"b",\\c\r\n', " x ", "true", "1e5", "表\U0001f600", "'"]


def fill(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Make the table; return its rows as Python has them."""
    server = pipeline.database.server
    with server.connect(pipeline.database.name) as connection, connection.cursor() as cursor:
        cursor.execute(ORDERS)
        cursor.execute(
            "INSERT INTO orders (id, parent, total, zip, note, flag, day, at, ratio, raw) VALUES "
            "(18446744073709551615, 9007199254740993, 123456789012345678.90, '00501', 'x', 2, '9999-12-31', "
            "'1500-01-01 00:00:00.000001', 0.1, x'00FF')"
        )
        for number, note in enumerate(NOTES):
            cursor.execute(
                "INSERT INTO orders (id, total, zip, note) VALUES (%s, %s, %s, %s)", (number, -0.01, "1e5", note)
            )
        connection.commit()
        # MySQL prints six digits of a FLOAT; the files have all of them.
        cursor.execute("SELECT orders.*, CAST(ratio AS DOUBLE) FROM orders ORDER BY id")
        names = [column[0] for column in cursor.description or []][:-1]
        return [dict(zip(names, row[:-1], strict=True)) | {"ratio": row[-1]} for row in cursor.fetchall()]


def snippet(reader: str, file_format: str) -> str:
    (found,) = re.findall(rf"```python reader={reader} format={file_format}\n(.*?)```", PAGE, re.S)
    return str(found)


def common() -> str:
    return re.findall(r"```python\n(import json\n.*?)```", PAGE, re.S)[0]  # type: ignore[no-any-return]


def read(folder: Path, table: str, reader: str, file_format: str, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    """Run the page's snippets in a folder with a copy of the bucket; return what they have read."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(common().replace('"orders"', f'"{table}"') + snippet(reader, file_format), names)
    match reader:
        case "pandas":
            return pa.Table.from_pandas(names["frame"], preserve_index=False)
        case "polars":
            return names["frame"].to_arrow()
        case "duckdb":
            return names["relation"].to_arrow_table()
    return names["table"]


def plain(value: Any) -> Any:
    """Return a value as it can be compared whatever the reader: bytes as hexadecimal, as CSV has them."""
    return value.hex().upper() if isinstance(value, bytes) else value


@pytest.mark.parametrize("settings", [{"compression": name} for name in EXTENSIONS] + [{"format": "parquet"}], ids=str)
def test_every_snippet_reads_every_value_with_its_type(
    pipeline: Pipeline, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_format = settings.get("format", "csv")
    rows = fill(pipeline)
    pipeline.database.execute(
        "CREATE TABLE single (note VARCHAR(9))", "INSERT INTO single VALUES ('a'), (NULL), (''), (NULL)"
    )
    pipeline.defaults = {"layout": "hive", "target_file_bytes": 300, **settings}
    pipeline.tables = ["orders", {"name": "single", "mode": "full"}]
    manifest = pipeline.run()
    for table in manifest["tables"]:
        for file in table["files"]:
            path = tmp_path / file["key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pipeline.body(file["key"]))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    read_by = ["pyarrow", "pandas", "duckdb", *(["polars"] if find_spec("polars") else [])]
    for reader in read_by:
        found = read(tmp_path, "orders", reader, file_format, monkeypatch)
        assert found.column_names == list(rows[0]), reader
        assert [{key: plain(value) for key, value in row.items()} for row in found.to_pylist()] == [
            {key: plain(value) for key, value in row.items()} for row in rows
        ], reader
        types = dict(zip(found.column_names, map(str, found.schema.types), strict=True))
        assert (types["id"], types["parent"], types["total"]) == ("uint64", "int64", "decimal128(20, 2)"), reader
        notes = read(tmp_path, "single", reader, file_format, monkeypatch)["note"].to_pylist()
        assert notes == ["a", None, "", None], reader


def test_the_snippets_of_a_page_read_files_from_before_a_column_was_widened_and_added(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.database.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY, n INT NULL, createdDate DATETIME NOT NULL DEFAULT '2025-01-01', "
        "modifiedDate DATETIME NULL)",
        "INSERT INTO orders (id, n) VALUES (1, 1)",
    )
    pipeline.defaults, pipeline.tables = {"format": "parquet"}, ["orders"]
    first = pipeline.run()
    pipeline.database.execute(
        "ALTER TABLE orders MODIFY n BIGINT NULL, ADD note VARCHAR(9) NULL",
        "INSERT INTO orders (id, n, note, createdDate) VALUES (2, 1099511627776, 'x', NOW())",
    )
    second = pipeline.run()
    entries = [table for manifest in (first, second) for table in manifest["tables"]]
    second["tables"][0]["files"] = [file for entry in entries for file in entry["files"]]
    for file in second["tables"][0]["files"]:
        path = tmp_path / file["key"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pipeline.body(file["key"]))
    (tmp_path / "manifest.json").write_text(json.dumps(second))
    for reader in ["pyarrow", "pandas", "duckdb", *(["polars"] if find_spec("polars") else [])]:
        found = read(tmp_path, "orders", reader, "parquet", monkeypatch).to_pylist()
        versions = [(row["id"], row["n"], row["note"]) for row in found]
        assert {(1, 1, None), (2, 1099511627776, "x")} <= set(versions), reader
