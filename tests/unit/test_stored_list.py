"""A table list in the bucket, and how many tables an execution holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rds_to_s3.errors import TableListError
from rds_to_s3.plan.lists.limits import (
    MOST_STATE_BYTES,
    MOST_TABLES,
    RANGE_BYTES,
    readers_that_fit,
    refuse_too_many,
    state_bytes,
)
from rds_to_s3.plan.lists.stored_list import pointer_of, read_table_list
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3_ops.deployment import stack as stacks
from rds_to_s3_ops.deployment.table_list_parameter import TableListDocument
from tests.support.deployed_command import Deployed, manifest
from tests.support.memory_store import MemoryStore

LIST = {"tables": ["menu", "orders"]}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def stored(store: MemoryStore, key: str, document: Any = LIST) -> str:
    store.put(key, document if isinstance(document, bytes) else json.dumps(document).encode())
    return json.dumps({"from": f"s3://{store.bucket}/{key}"})


def test_a_parameter_that_has_the_list_points_nowhere(store: MemoryStore) -> None:
    listed, place = read_table_list(json.dumps(LIST), store)
    assert (len(listed.tables), place) == (2, None)
    assert pointer_of("{") is None


def test_a_list_of_any_length_is_read_where_the_parameter_points_and_its_version_is_known(store: MemoryStore) -> None:
    names = [f"table_{number:05}" for number in range(1_500)]
    listed, place = read_table_list(stored(store, "lists/all.json", {"tables": names}), store)
    assert [spec.name for spec in listed.tables] == names
    assert place is not None
    assert place.as_dict()["from"] == f"s3://{store.bucket}/lists/all.json"
    assert place.version


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"from": "s3://BUCKET/a.json", "tables": []}, "the only key"),
        ({"from": 7}, "its value is a URL"),
        ({"from": "s3://elsewhere/a.json"}, "must be an object in the data bucket"),
        ({"from": "s3://BUCKET"}, "must be an object in the data bucket"),
        ({"from": "https://BUCKET/a.json"}, "must be an object in the data bucket"),
        ({"from": "s3://BUCKET/_state/a.json"}, "runs write below _state/"),
        ({"from": "s3://BUCKET/runs/a.json"}, "runs write below"),
        ({"from": "s3://BUCKET/folder/"}, "runs write below"),
        ({"from": "s3://BUCKET/nothing.json"}, "there is no such object"),
    ],
)
def test_a_place_that_cannot_be_is_refused(store: MemoryStore, document: dict[str, Any], named: str) -> None:
    text = json.dumps(document).replace("BUCKET", store.bucket)
    with pytest.raises(TableListError, match=named):
        read_table_list(text, store)


@pytest.mark.parametrize(
    ("key", "tables"),
    [("orders/list.json", ["orders"]), ("orders/csv/list.json", ["ord*"]), ("a%2Fb/list.json", ["a/b"])],
)
def test_a_listed_tables_own_prefix_is_refused(store: MemoryStore, key: str, tables: list[str]) -> None:
    with pytest.raises(TableListError, match="files of table"):
        read_table_list(stored(store, key, {"tables": tables}), store)


def test_what_is_wrong_in_the_object_is_named_with_its_place(store: MemoryStore) -> None:
    for document in (b"\xff", {"tables": ["a", "a"]}, {"from": f"s3://{store.bucket}/other.json"}):
        with pytest.raises(TableListError, match=r"s3://.*/l\.json"):
            read_table_list(stored(store, "l.json", document), store)


def test_more_tables_than_an_execution_holds_are_refused_with_how_many_fit() -> None:
    refuse_too_many([f"t{number}" for number in range(1_500)])
    with pytest.raises(TableListError, match=r"2,001 tables, and one execution holds 1,\d{3}"):
        refuse_too_many([f"t{number}" for number in range(MOST_TABLES + 1)])
    longest = [f"{number:04}".ljust(64, "x") for number in range(1_000)]
    assert state_bytes(longest) > MOST_STATE_BYTES
    with pytest.raises(TableListError, match="holds 922 of them"):
        refuse_too_many(longest)


# --- the command --------------------------------------------------------------------------------------------------


def test_a_list_moves_into_the_bucket_and_is_edited_there(deployed: Deployed) -> None:
    before = deployed.table_list()
    assert deployed.run("tables", "move").exit_code == 0
    assert deployed.table_list() == {"from": f"s3://{deployed.stack.bucket}/table-list.json"}
    assert json.loads(deployed.get("table-list.json")) == before
    assert deployed.run("tables", "add", "invoice").exit_code == 0
    assert json.loads(deployed.get("table-list.json"))["tables"] == ["menu", "orders", "invoice"]
    shown = deployed.run("tables", "list").stdout
    assert ("invoice" in shown, "table-list.json" in shown) == (True, True)
    assert deployed.run("tables", "move").exit_code == 2


def test_a_list_does_not_move_to_where_plan_run_may_not_read_it(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = replace(deployed.stack, parameters={"TableListKey": "lists/ours.json"})
    monkeypatch.setattr(stacks, "find_stack", lambda *_: stack)
    refused = deployed.run("tables", "move", "--key", "lists/mine.json")
    assert (refused.exit_code, "TableListKey=lists/mine.json" in refused.stderr) == (2, True)
    assert deployed.run("tables", "move").exit_code == 0
    assert deployed.table_list() == {"from": f"s3://{deployed.stack.bucket}/lists/ours.json"}


def test_of_two_editors_of_the_object_the_second_writes_nothing(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed.run("tables", "move", "--key", "lists/mine.json")
    change = TableListDocument.with_table

    def edited_meanwhile(self: TableListDocument, *args: Any, **options: Any) -> TableListDocument:
        deployed.put("lists/mine.json", {"tables": ["menu"]})
        return change(self, *args, **options)

    monkeypatch.setattr(TableListDocument, "with_table", edited_meanwhile)
    result = deployed.run("tables", "add", "invoice")
    assert (result.exit_code, "edited in the meantime" in result.stderr) == (5, True)
    assert json.loads(deployed.get("lists/mine.json")) == {"tables": ["menu"]}


def test_an_object_that_is_there_is_not_overwritten_by_a_move(deployed: Deployed) -> None:
    deployed.put("table-list.json", {"tables": ["precious"]})
    assert deployed.run("tables", "move").exit_code == 5
    assert json.loads(deployed.get("table-list.json")) == {"tables": ["precious"]}
    assert deployed.table_list() == LIST


def test_a_list_too_long_for_a_parameter_is_refused_with_the_way_out(deployed: Deployed) -> None:
    deployed.write_table_list(json.dumps({"tables": [f"a_table_{number:030}" for number in range(160)]}))
    settings = ["--set", f"columns={json.dumps([f'c{number:060}' for number in range(30)])}"]
    result = deployed.run("tables", "add", "wide", *settings)
    assert (result.exit_code, "rds-to-s3 tables move" in result.stderr) == (2, True)
    deployed.run("tables", "move")
    assert deployed.run("tables", "add", "wide", *settings).exit_code == 0


def test_what_patterns_bring_in_is_shown_as_of_the_newest_run_where_the_database_is_out_of_reach(
    deployed: Deployed,
) -> None:
    deployed.put("runs/latest.json", manifest("run-1"))
    deployed.write_table_list('{"tables": ["*", {"name": "ord*", "mode": "full"}]}')
    result = deployed.run("tables", "list")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "orders ord* full csv" in lines
    assert "menu * incremental csv createdDate modifiedDate" in lines
    assert "as of run run-1" in result.stderr


def listed(auto: int, given: dict[int, int] | None = None, width: int = 20) -> list[TableSpec]:
    """So many tables, and by number of readers so many that have it."""
    readers = ["auto"] * auto + [number for number, tables in (given or {}).items() for _ in range(tables)]
    return [
        TableSpec.model_validate({"name": f"{place:0{width}}", "readers": each}) for place, each in enumerate(readers)
    ]


@pytest.mark.parametrize(
    ("tables", "place", "readers"),
    [
        (listed(9), 0, 182),
        (listed(200), 0, 7),
        (listed(500), 0, 2),
        (listed(1_500), 0, 1),
        (listed(500, {8: 5}), 500, 8),
        (listed(500, {8: 5}), 0, 2),
        (listed(0, {40: 100}), 0, 15),
        (listed(100, {1: 300}), 0, 12),
    ],
)
def test_the_tables_of_a_run_share_the_readers_that_fit(tables: list[TableSpec], place: int, readers: int) -> None:
    assert readers_that_fit(tables, tables[place]) == readers


@pytest.mark.parametrize("tables", [listed(9), listed(240), listed(700, {40: 9}), listed(90, {40: 90}, width=64)])
def test_whatever_the_tables_all_their_ranges_fit_one_execution(tables: list[TableSpec]) -> None:
    readers = [readers_that_fit(tables, table) for table in tables]
    ranges = sum(number for number in readers if number > 1)
    names = [table.name for table in tables]
    assert len(tables) + ranges <= MOST_TABLES
    assert state_bytes(names) + ranges * (RANGE_BYTES + 2 * len(json.dumps(names[0]))) <= MOST_STATE_BYTES
