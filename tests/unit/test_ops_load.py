"""`load` and `ddl` as an operator or a script meets them, on a bucket of moto's."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import Result

from tests.support.deployed_command import Deployed, manifest

BODY = b"id,n\n1,\n2,x\n"


def with_commit(deployed: Deployed, run_id: str, *, hour: int = 12, body: bytes = BODY, **changes: Any) -> str:
    key = f"orders/csv/orders_data_20250402_{hour}0000.csv"
    rows = body.count(b"\n") - 1
    file = {"key": key, "rows": rows, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    document = manifest(run_id)
    document["started_at"] = f"2025-04-02T{hour}:00:00.000Z"
    columns = [{"name": "id", "type": "int", "nullable": False}, {"name": "n", "type": "text", "nullable": True}]
    own = {"format": "csv", "files": [file], "columns": columns, "key": ["id"], "sequence": hour}
    document["tables"][1].update(own | changes)
    deployed.put(f"runs/{run_id}/manifest.json", document)
    deployed.put(key, body)
    return key


LATER: dict[str, Any] = {"window": {"after": "2025-04-02 11:59:58", "until": "2025-04-02 15:59:58"}}


def test_ddl_prints_every_commit_of_each_table_and_load_the_same(deployed: Deployed) -> None:
    with_commit(deployed, "run-1")
    with_commit(deployed, "run-2", hour=16, **LATER)
    result = deployed.run("ddl", "--for", "duckdb")
    assert result.exit_code == 0, result.output
    assert 'MERGE INTO "orders" AS t' in result.stdout
    assert "_120000.csv" in result.stdout
    assert "menu" not in result.stdout
    assert deployed.run("ddl", "--for", "duckdb", "ord*").stdout == result.stdout
    assert deployed.run("ddl", "--for", "duckdb", "x*").exit_code == 3
    assert deployed.run("load", "--for", "duckdb", "--print").stdout == result.stdout
    listed = json.loads(deployed.run("ddl", "--for", "snowflake", "orders", "--since", "run-2", "--json").stdout)
    assert [entry["table"] for entry in listed] == [None, "orders"]
    assert "_120000.csv" not in str(listed)
    assert "_160000.csv" in str(listed)


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("nothing",), 3),
        (("--since", "run-9"), 3),
        (("--all", "--since", "run-1"), 2),
        (("--case", "odd"), 2),
        (("--settings", "/nowhere.toml"), 2),
    ],
)
def test_ddl_of_what_is_not_there_is_reported(deployed: Deployed, arguments: tuple[str, ...], exit_code: int) -> None:
    with_commit(deployed, "run-1")
    assert deployed.run("ddl", "--for", "athena", *arguments).exit_code == exit_code
    assert deployed.run("ddl", "--for", "oracle").exit_code == 2


def test_names_come_from_a_file_of_settings_and_from_options(deployed: Deployed, tmp_path: Path) -> None:
    with_commit(deployed, "run-1")
    settings = tmp_path / "snowflake.toml"
    settings.write_text('schema = "RAW"\nintegration = "of_file"\n')
    printed = deployed.run("ddl", "--for", "snowflake", "--settings", str(settings), "--integration", "given").stdout
    assert 'STORAGE_INTEGRATION = "given"' in printed
    assert 'MERGE INTO "RAW"."orders"' in printed
    settings.write_text('colour = "red"\n')
    result = deployed.run("ddl", "--for", "snowflake", "--settings", str(settings))
    assert (result.exit_code, "'colour' is none of" in result.stderr) == (2, True)
    settings.write_text("schema = 7\n")
    result = deployed.run("ddl", "--for", "snowflake", "--settings", str(settings))
    assert (result.exit_code, "schema must be a text" in result.stderr) == (2, True)


@pytest.fixture
def load(deployed: Deployed, tmp_path: Path) -> Callable[..., Result]:
    return lambda *more: deployed.run("load", "--for", "duckdb", "--to", str(tmp_path / "a.duckdb"), *more)


def loaded(tmp_path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(tmp_path / "a.duckdb", read_only=True) as connection:
        return connection.execute("FROM orders ORDER BY 1").fetchall()


def test_load_brings_a_file_up_to_date_and_says_so(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path
) -> None:
    with_commit(deployed, "run-1")
    planned = json.loads(load("--dry-run", "--json").stdout)["tables"]
    assert [(table["table"], table["status"]) for table in planned] == [("menu", "CURRENT"), ("orders", "PENDING")]
    first = json.loads(load("--json").stdout)
    assert first["totals"] == {"tables": 2, "failed": 0, "commits": 1, "rows": 2, "deleted_rows": 0, "bytes": len(BODY)}
    assert loaded(tmp_path) == [(1, None), (2, "x")]
    assert "up to date, until 2025-04-02 11:59:58" in load("--table", "o*").stdout
    assert "MERGE" not in load("--print").stdout
    with_commit(deployed, "run-2", hour=16, **LATER)
    assert "loaded: 1 commit, 2 rows" in load().stdout


def test_a_missing_or_changed_file_is_named_and_nothing_is_applied(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path
) -> None:
    first = with_commit(deployed, "run-1")
    load()
    with_commit(deployed, "run-2", hour=14, **LATER)
    changed = with_commit(deployed, "run-3", hour=16, **LATER)
    for body in (b"id,n\n1,\n3,y\n", None):
        if body is None:
            deployed.s3.delete_object(Bucket=deployed.stack.bucket, Key=changed)
        else:
            deployed.put(changed, body)
        result = load()
        assert (result.exit_code, changed in result.stdout) == (1, True)
        assert loaded(tmp_path) == [(1, None), (2, "x")]
        assert "failed" in result.stdout
        assert first not in result.stdout
    deployed.put(changed, BODY)
    assert load().exit_code == 0


def test_a_newer_manifest_ends_the_load_before_anything_is_applied(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path
) -> None:
    with_commit(deployed, "run-1")
    deployed.put("runs/run-2/manifest.json", manifest("run-2") | {"version": 2})
    result = load()
    assert (result.exit_code, "runs/run-2/manifest.json cannot be read: it has version 2" in result.stderr) == (4, True)
    assert not (tmp_path / "a.duckdb").exists()


def test_a_file_of_another_stack_is_refused(deployed: Deployed, load: Callable[..., Result], tmp_path: Path) -> None:
    with_commit(deployed, "run-1")
    load()
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute("UPDATE _rds_to_s3_loads SET bucket = 'other'")
    result = load()
    assert (result.exit_code, "was loaded from bucket other" in result.stderr) == (8, True)


@pytest.mark.parametrize(("after", "warns"), [("text", True), ("datetime(6)", False)])
def test_values_that_the_warehouse_converts_to_another_kind_are_reported(
    deployed: Deployed, load: Callable[..., Result], after: str, warns: bool
) -> None:
    def of(kind: str) -> dict[str, Any]:
        key = {"name": "id", "type": "int", "nullable": False}
        return {"columns": [key, {"name": "n", "type": kind, "nullable": True}]}

    whole: dict[str, Any] = {"window": {"after": None, "until": "2025-04-02 11:59:58"}}
    with_commit(deployed, "run-1", body=b"id,n\n1,2024-02-03 04:05:06.700\n", **whole, **of("datetime(3)"))
    assert load().exit_code == 0
    with_commit(deployed, "run-2", hour=16, body=b"id,n\n2,2024-02-03 04:05:06.700\n", **LATER, **of(after))
    assert ("n from datetime(3) to text" in load().output) == warns
    with_commit(deployed, "run-3", hour=20, body=b"id,n\n2,2024-02-03\n", **whole, **of("date"))
    assert "has converted" not in load().output


def test_of_two_tables_whose_names_differ_by_case_the_second_is_refused(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path
) -> None:
    with_commit(deployed, "run-1")
    assert load("--table", "orders").exit_code == 0
    with_commit(deployed, "run-2", hour=16, table="Orders", **LATER)
    refused = load("--table", "Orders")
    assert (refused.exit_code, "ignores case" in refused.output) == (1, True)
    assert loaded(tmp_path) == [(1, None), (2, "x")]


@pytest.mark.parametrize(("at_once", "quiet"), [(False, False), (True, False), (False, True)])
def test_a_column_that_earlier_rows_do_not_have_is_reported(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path, at_once: bool, quiet: bool
) -> None:
    key = {"name": "id", "type": "int", "nullable": False}
    whole: dict[str, Any] = {"window": {"after": None, "until": "2025-04-02 11:59:58"}}
    with_commit(deployed, "run-1", **whole)
    outputs = [] if at_once else [load().output]
    renamed = {"columns": [key, {"name": "m", "type": "text", "nullable": True}]}
    none: dict[str, Any] = {"files": [], "status": "UNCHANGED", "rows": 0} if quiet else {}
    with_commit(deployed, "run-2", hour=16, body=b"id,m\n2,y\n", **LATER, **renamed, **none)
    outputs += [load().output, load().output]
    assert ["m: new, so NULL in rows" in output for output in outputs] == [False, True, False][at_once:]
    assert {row[0]: "y" in row for row in loaded(tmp_path)} == {1: False, 2: not quiet}


def test_a_table_whose_files_have_no_key_is_loaded_with_a_warning_from_its_second_commit_on(
    deployed: Deployed, load: Callable[..., Result]
) -> None:
    whole: dict[str, Any] = {"window": {"after": None, "until": "2025-04-02 11:59:58"}}
    with_commit(deployed, "run-1", key=[], **whole)
    assert "no key to merge by" not in load().output
    with_commit(deployed, "run-2", hour=16, key=[], **LATER)
    assert "no key to merge by" in load().output
    with_commit(deployed, "run-3", hour=20, key=[], **whole)
    assert "no key to merge by" not in load().output


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("int(5) unsigned zerofill", "varchar(5)"),
        ("varchar(5)", "varbinary(5)"),
        ("year", "enum('00042','x')"),
        ("double", "decimal(9,2)"),
        ("decimal(38,2)", "decimal(39,2)"),
    ],
)
def test_a_key_of_another_kind_is_refused_until_everything_is_extracted_again(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path, before: str, after: str
) -> None:
    def of(kind: str) -> dict[str, Any]:
        n = {"name": "n", "type": "text", "nullable": True}
        return {"columns": [{"name": "id", "type": kind, "nullable": False}, n]}

    whole: dict[str, Any] = {"window": {"after": None, "until": "2025-04-02 11:59:58"}}
    with_commit(deployed, "run-1", body=b"id,n\n00042,a\n", **whole, **of(before))
    assert load().exit_code == 0
    with_commit(deployed, "run-2", hour=16, body=b"id,n\n00042,b\n", **LATER, **of(after))
    refused = load()
    assert (refused.exit_code, f"was {before}, and is {after}" in refused.output) == (1, True)
    assert [n for _, n in loaded(tmp_path)] == ["a"]
    with_commit(deployed, "run-3", hour=20, body=b"id,n\n00042,c\n", **whole, **of(after))
    assert load().exit_code == 0
    assert [n for _, n in loaded(tmp_path)] == ["c"]


@pytest.mark.parametrize("kind", ["files", "deletes"])
def test_a_key_with_a_date_that_the_warehouse_lacks_is_refused_where_rows_are_merged_by_it(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path, kind: str
) -> None:
    columns = [{"name": "day", "type": "date", "nullable": False}, {"name": "n", "type": "text", "nullable": True}]
    of_days: dict[str, Any] = {"columns": columns, "key": ["day"]}
    whole: dict[str, Any] = {"window": {"after": None, "until": "2025-04-02 11:59:58"}}
    with_commit(deployed, "run-1", body=b"day,n\n0000-00-00,a\n2024-00-00,b\n2025-01-01,c\n", **whole, **of_days)
    assert "day: 2 values of CSV not a date" in load().output
    again = b"day,n\n0000-00-00,A\n" if kind == "files" else b"day\n0000-00-00\n"
    key = with_commit(deployed, "run-2", hour=16, body=again, **LATER, **of_days)
    if kind == "deletes":
        document = json.loads(deployed.get("runs/run-2/manifest.json"))
        entry = document["tables"][1]
        entry["deletes"], entry["files"], entry["deleted_rows"] = entry["files"], [], 1
        deployed.put("runs/run-2/manifest.json", document)
    refused = load()
    assert (refused.exit_code, "1 row to merge with a date in the key (day)" in refused.output) == (1, True), key
    assert [n for _, n in loaded(tmp_path)] == ["c", "a", "b"]
    with_commit(deployed, "run-3", hour=20, body=b"day,n\n0000-00-00,A\n2025-01-01,C\n", **whole, **of_days)
    assert load().exit_code == 0
    assert sorted(n for _, n in loaded(tmp_path)) == ["A", "C"]


@pytest.mark.parametrize(
    ("there", "told"),
    [("CREATE TABLE orders (other INT)", "did not create"), ("CREATE TABLE _rds_to_s3_loads (a INT)", "other columns")],
)
def test_a_table_that_was_there_before_is_left_alone(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path, there: str, told: str
) -> None:
    with_commit(deployed, "run-1")
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute(there)
    result = load()
    assert (result.exit_code in {1, 8}, told in result.output) == (True, True)
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (1,)


def test_a_table_that_lost_a_column_is_refused_and_one_that_was_dropped_is_loaded_anew(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path
) -> None:
    with_commit(deployed, "run-1")
    load()
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute("ALTER TABLE orders DROP COLUMN n")
    result = load()
    assert (result.exit_code, "lacks n, which it had" in result.stdout) == (1, True)
    with duckdb.connect(tmp_path / "a.duckdb") as connection:
        connection.execute("DROP TABLE orders")
    assert load().exit_code == 0
    assert loaded(tmp_path) == [(1, None), (2, "x")]


def test_a_file_that_is_open_elsewhere_or_no_database_is_reported(
    deployed: Deployed, load: Callable[..., Result], tmp_path: Path
) -> None:
    with_commit(deployed, "run-1")
    path = tmp_path / "a.duckdb"
    holder = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        result = load()
        assert (result.exit_code, "another process has" in result.stderr) == (5, True)
    path.write_text("no database")
    assert load().exit_code == 8
    assert deployed.run("load", "--for", "duckdb").exit_code == 2
    assert load("--schema", "raw").exit_code == 2
    assert deployed.run("load", "--for", "redshift", "--to", "x").exit_code == 2
