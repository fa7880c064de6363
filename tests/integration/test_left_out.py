"""Tables that were planned and are not read: dropped meanwhile, or taken off the list before a redrive."""

from __future__ import annotations

import pytest

from rds_to_s3.errors import StorageRefusedError
from tests.integration.pipeline import Json, Pipeline, entry

pytestmark = pytest.mark.bucket_in_memory

TABLE = """CREATE TABLE `{}` (id INT PRIMARY KEY, note VARCHAR(9), createdDate DATETIME DEFAULT '2025-01-01',
    modifiedDate DATETIME NULL, KEY (createdDate), KEY (modifiedDate))"""


def statuses(manifest: Json) -> dict[str, str]:
    return {table["table"]: table["status"] for table in manifest["tables"]}


@pytest.fixture
def tables(any_pipeline: Pipeline) -> Pipeline:
    """Three tables of a row each; `_orders_gho` is what an online schema change leaves for a while."""
    for name in ("orders", "_orders_gho", "menu"):
        any_pipeline.database.execute(TABLE.format(name), f"INSERT INTO `{name}` (id) VALUES (1)")
    return any_pipeline


def dropping(pipeline: Pipeline, name: str) -> Json:
    """Do a run in which a table is dropped after the plan."""

    def extract(run_id: str, table: str) -> str:
        pipeline.database.execute(f"DROP TABLE IF EXISTS `{name}`")
        return pipeline.extract(run_id, table)

    return pipeline.run(extract=extract)


def test_a_table_of_a_pattern_that_is_dropped_after_the_plan_is_skipped(tables: Pipeline) -> None:
    tables.tables = ["*"]
    manifest = dropping(tables, "_orders_gho")
    assert manifest["status"] == "SUCCEEDED"
    assert statuses(manifest) == {"_orders_gho": "SKIPPED", "menu": "SUCCEEDED", "orders": "SUCCEEDED"}
    skipped = entry(manifest, "_orders_gho")
    assert skipped["error"] is None
    assert 'the pattern "*" brought it in' in skipped["warnings"][0]
    assert 'name it in "exclude"' in skipped["warnings"][0]
    assert statuses(tables.run()) == {"menu": "UNCHANGED", "orders": "UNCHANGED"}


def test_a_table_that_is_listed_by_its_name_fails_when_it_is_dropped(tables: Pipeline) -> None:
    tables.tables = ["_orders_gho", "*"]
    manifest = dropping(tables, "_orders_gho")
    assert statuses(manifest) == {"_orders_gho": "FAILED", "menu": "SUCCEEDED", "orders": "SUCCEEDED"}
    assert entry(manifest, "_orders_gho")["error"]["type"] == "TableNotFoundError"


def test_what_was_staged_of_a_table_that_is_dropped_is_thrown_away(tables: Pipeline) -> None:
    tables.tables = [{"name": "_*", "target_file_bytes": 1}]
    plan = tables.plan(execution := tables.execution("staged"))

    def die(step: str) -> None:
        if step == "before decision":
            raise RuntimeError

    with pytest.raises(RuntimeError):
        tables.extract(plan["run_id"], "_orders_gho", die)
    with_upload = tables.store.uploads("_orders_gho/")
    tables.database.execute("DROP TABLE `_orders_gho`")
    results = [tables.iterate(plan["run_id"], "_orders_gho")]
    assert (len(with_upload), tables.store.uploads("_orders_gho/")) == (1, [])
    assert statuses(tables.report(execution, plan=plan, results=results)) == {"_orders_gho": "SKIPPED"}


def test_a_failed_table_that_is_taken_off_the_list_is_skipped_by_a_redrive(tables: Pipeline) -> None:
    tables.tables = ["orders", "missing", "gone"]
    failed = tables.run()
    assert statuses(failed) == {"orders": "SUCCEEDED", "missing": "FAILED", "gone": "FAILED"}
    tables.tables = ["orders", "missing"]
    again = tables.redrive(failed)
    assert (again["status"], statuses(again)) == (
        "FAILED",
        {"orders": "SUCCEEDED", "missing": "FAILED", "gone": "SKIPPED"},
    )
    assert "did not bring in 'gone' any more" in entry(again, "gone")["warnings"][0]
    assert entry(again, "gone")["error"] is None
    tables.tables = ["orders"]
    last = tables.redrive(again)
    assert (last["status"], last["totals"]["failed"]) == ("SUCCEEDED", 0)
    assert entry(last, "orders")["files"] == entry(failed, "orders")["files"]


def test_a_failed_table_of_a_pattern_that_is_gone_at_the_redrive_is_skipped(tables: Pipeline) -> None:
    tables.tables = [{"name": "_*", "columns": ["missing"]}, "orders"]
    failed = tables.run()
    assert statuses(failed) == {"_orders_gho": "FAILED", "orders": "SUCCEEDED"}
    tables.database.execute("DROP TABLE `_orders_gho`")
    again = tables.redrive(failed)
    assert (again["status"], statuses(again)) == ("SUCCEEDED", {"_orders_gho": "SKIPPED", "orders": "SUCCEEDED"})


def test_a_redrive_reports_what_a_table_had_committed_before_it_was_taken_off_the_list(tables: Pipeline) -> None:
    tables.tables = ["orders", "menu"]

    def extract(run_id: str, table: str) -> str:
        def refuse(step: str) -> None:
            if (table, step) == ("orders", "after decision"):
                raise StorageRefusedError("no more writing")

        return tables.extract(run_id, table, refuse)

    failed = tables.run(extract=extract)
    assert statuses(failed) == {"orders": "FAILED", "menu": "SUCCEEDED"}
    tables.tables = ["menu"]
    again = tables.redrive(failed)
    assert (again["status"], statuses(again)) == ("SUCCEEDED", {"orders": "SUCCEEDED", "menu": "SUCCEEDED"})
    assert [row["id"] for row in tables.delivered("orders")] == ["1"]
