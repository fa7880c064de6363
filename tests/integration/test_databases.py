"""Several databases of one server: whose tables a list brings in, where their files are, one bound for all."""

from __future__ import annotations

from collections.abc import Iterator

import jsonschema
import pytest

from rds_to_s3.extract.ranges import division
from tests.integration.conftest import Database, fresh_database
from tests.integration.pipeline import Pipeline, entry
from tests.integration.verifying import reconcile
from tests.support.schemas import manifest_schema

ORDERS = """CREATE TABLE `{name}` (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(20),
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""


def fill(database: Database, table: str, *notes: str) -> None:
    database.execute(ORDERS.format(name=table), *(f"INSERT INTO `{table}` (note) VALUES ('{note}')" for note in notes))


@pytest.fixture
def other(any_pipeline: Pipeline) -> Iterator[Database]:
    with fresh_database(any_pipeline.database.server) as database:
        fill(any_pipeline.database, "orders", "ours")
        fill(database, "orders", "theirs", "theirs too")
        fill(database, "menu", "soup")
        yield database


def test_a_table_of_another_database_has_its_own_keys_and_the_same_bound(
    any_pipeline: Pipeline, other: Database
) -> None:
    name = f"{other.name}.orders"
    any_pipeline.tables = ["orders", {"name": name, "deletes": "track"}]
    first = any_pipeline.run()
    jsonschema.validate(first, manifest_schema())
    assert [(each["table"], each["rows"], each["error"]) for each in first["tables"]] == [
        ("orders", 1, None),
        (name, 2, None),
    ]
    assert len({each["window"]["until"] for each in first["tables"]}) == 1
    assert [row["note"] for row in any_pipeline.delivered("orders")] == ["ours"]
    assert [row["note"] for row in any_pipeline.delivered(name)] == ["theirs", "theirs too"]
    (file,) = entry(first, name)["files"]
    assert file["key"].startswith(f"{name}/csv/{name}_data_")

    other.execute("UPDATE orders SET note = 'healed' WHERE id = 2", "DELETE FROM orders WHERE id = 1")
    second = any_pipeline.run()
    assert (entry(second, "orders")["rows"], entry(second, name)["proof"]["healed"]) == (0, 1)
    assert entry(second, name)["deleted_rows"] == 1
    assert reconcile(any_pipeline, name, deletes="track").is_fine(extra_is_fine=False)


def test_patterns_with_a_dot_bring_in_tables_of_other_databases_and_others_do_not(
    any_pipeline: Pipeline, other: Database
) -> None:
    theirs = other.name
    any_pipeline.tables = ["*", {"name": f"{theirs[:8]}*.ord*", "mode": "full"}]
    document = any_pipeline.run()
    assert [(each["table"], each["mode"]) for each in document["tables"] if theirs in each["table"]] == [
        (f"{theirs}.orders", "full")
    ]
    chosen = any_pipeline.run(tables=[f"{theirs}.*"])
    assert [each["table"] for each in chosen["tables"]] == [f"{theirs}.orders"]


def test_a_table_of_the_default_database_whose_name_has_a_dot_is_that_table(
    any_pipeline: Pipeline, other: Database
) -> None:
    fill(any_pipeline.database, f"{other.name}.menu", "not soup")
    any_pipeline.tables = [f"{other.name}.menu"]
    any_pipeline.run()
    assert [row["note"] for row in any_pipeline.delivered(f"{other.name}.menu")] == ["not soup"]


def test_names_that_differ_by_case_are_of_different_databases_and_tables(any_pipeline: Pipeline) -> None:
    ours = any_pipeline.database
    fill(ours, "menu", "ours")
    ours.execute("CREATE TABLE Menu (other INT PRIMARY KEY, createdDate DATETIME NOT NULL)")
    theirs = ours.name.upper()
    ours.server.execute(f"CREATE DATABASE `{theirs}`")
    try:
        ours.server.execute(ORDERS.format(name=f"{theirs}`.`menu"))
        any_pipeline.tables = ["*", "*.*"]
        found = {
            each["table"]: each["columns"][0]["name"] for each in any_pipeline.run(tables=["*", "*.menu"])["tables"]
        }
    finally:
        ours.server.execute(f"DROP DATABASE `{theirs}`")
    assert (found["menu"], found["Menu"], found[f"{theirs}.menu"]) == ("id", "other", "id")


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("name", ["nowhere.orders", ".orders"])
def test_a_database_that_is_not_there_fails_its_table_alone(any_pipeline: Pipeline, name: str) -> None:
    any_pipeline.tables = ["orders", name]
    document = any_pipeline.run()
    assert entry(document, "orders")["status"] == "SUCCEEDED"
    assert entry(document, name)["error"]["type"] == "TableNotFoundError"


def test_several_readers_read_a_table_of_another_database(
    any_pipeline: Pipeline, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 1)
    other.execute(
        "INSERT INTO orders (note) WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 400) "
        "SELECT n FROM n",
        "ANALYZE TABLE orders",
    )
    name = f"{other.name}.orders"
    any_pipeline.tables = [{"name": name, "readers": 3}]
    document = any_pipeline.run()
    assert (entry(document, name)["rows"], entry(document, name)["readers"]) == (402, 3)
    assert len({row["id"] for row in any_pipeline.delivered(name)}) == 402
