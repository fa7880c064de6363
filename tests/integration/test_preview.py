"""What `plan` foretells of a real server's tables, and that it is what the run then does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from rds_to_s3.extract.ranges import division
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.deployment.stack import Stack
from rds_to_s3_ops.errors import NotFoundError
from rds_to_s3_ops.inspection.preview import RunPreview, TablePreview, preview_run
from tests.integration.pipeline import Pipeline

STACK = Stack("food", "arn", "unused", "/unused", {"SettleSeconds": "2"})
DISHES = """CREATE TABLE dish (id INT PRIMARY KEY, createdDate DATETIME, modifiedDate DATETIME,
  KEY by_created (createdDate), KEY by_modified (modifiedDate))"""
NOTES = "CREATE TABLE note (createdDate DATETIME, modifiedDate DATETIME, text VARCHAR(9))"


def preview(pipeline: Pipeline, document: str, *names: str) -> RunPreview:
    connection = pipeline.connect(60)
    bucket = Bucket(pipeline.s3_client, pipeline.bucket)
    try:
        return preview_run(connection, bucket, STACK, parse_table_list(document), names or None)
    finally:
        connection.close()


def by_name(previewed: RunPreview) -> dict[str, TablePreview]:
    return {table.table: table for table in previewed.tables}


def ways(table: TablePreview) -> list[str]:
    return [estimate.way for estimate in table.estimates]


@pytest.fixture
def food(any_pipeline: Pipeline) -> Pipeline:
    stamps = ", ".join(f"({n}, '2025-04-0{1 + n % 5} 12:00:00', NULL)" for n in range(1, 101))
    any_pipeline.database.execute(DISHES, NOTES, f"INSERT INTO dish VALUES {stamps}", "ANALYZE TABLE dish")
    any_pipeline.tables = ["dish", "note"]
    return any_pipeline


def test_the_plan_shows_window_indexes_columns_and_estimates(food: Pipeline) -> None:
    tables = by_name(preview(food, '{"tables": ["dish", "note"]}'))
    dish = tables["dish"]
    assert (dish.after, ways(dish), dish.rows) == (None, ["PRIMARY, whole table"], 100)
    assert dish.columns == ["id", "createdDate", "modifiedDate"]

    food.set_watermark("dish", "2025-04-04 00:00:00")
    dish = by_name(preview(food, '{"tables": ["dish"]}'))["dish"]
    assert (dish.after, ways(dish)) == ("2025-04-04 00:00:00.000000", ["by_created", "by_modified"])
    assert 40 <= (dish.rows or 0) <= 42  # 40, and one for a part that the server takes for at least one row
    assert food.keys() == ["dish/csv/last_extract.txt"]


def test_a_table_without_indexes_is_reported_as_scanned(food: Pipeline) -> None:
    food.set_watermark("note", "2025-04-04 00:00:00")
    note = by_name(preview(food, '{"tables": ["note"]}'))["note"]
    assert ways(note) == ["no index, whole table"]
    assert any("CREATE INDEX `note_modifiedDate`" in told for told in note.warnings)
    assert any("no primary key" in told for told in note.warnings)


def test_the_window_is_the_one_that_the_run_then_has(food: Pipeline) -> None:
    food.run()
    foretold = by_name(preview(food, '{"tables": ["dish"]}'))["dish"]
    manifest: dict[str, Any] = food.run()
    window = next(table for table in manifest["tables"] if table["table"] == "dish")["window"]
    assert window["after"] == foretold.after
    assert window["until"] >= (foretold.until or "")


def test_a_large_read_shows_its_readers_as_the_run_then_has_them_or_why_one_reads_it(
    food: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 1_000)
    food.database.execute("INSERT INTO note VALUES ('2025-04-01', NULL, 'a'), ('2025-04-01', NULL, 'b')")
    food.database.execute("ANALYZE TABLE note")
    food.tables = [{"name": "dish", "readers": 4}, {"name": "note", "readers": 4}]
    tables = by_name(preview(food, json.dumps({"tables": food.tables})))
    dish, note = tables["dish"], tables["note"]
    manifest = food.run()
    readers = {table["table"]: table["readers"] for table in manifest["tables"]}
    assert (dish.readers, note.readers) == (readers["dish"], readers["note"]) == (4, 1)
    assert 100 <= (dish.reader_bytes or 0) <= 2_000
    assert "no key by which a read can be resumed" in note.why_one
    alone = by_name(preview(food, '{"tables": [{"name": "dish", "readers": 1}]}'))["dish"]
    assert (alone.readers, "readers are 1" in alone.why_one) == (1, True)


def test_what_would_fail_is_reported_table_by_table(food: Pipeline) -> None:
    food.set_watermark("dish", "yesterday")
    document = '{"tables": ["dish", "ghost", {"name": "note", "created_column": "born"}]}'
    errors = {name: (table.error or {}).get("type") for name, table in by_name(preview(food, document)).items()}
    assert errors == {
        "dish": "WatermarkMalformedError",
        "ghost": "TableNotFoundError",
        "note": "ColumnNotFoundError",
    }


def test_a_changed_table_and_one_whose_deletes_are_tracked_are_reported(food: Pipeline) -> None:
    food.run()
    food.database.execute("ALTER TABLE dish ADD COLUMN price INT")
    document = '{"tables": [{"name": "dish", "deletes": "track"}, {"name": "note", "deletes": "track"}]}'
    tables = by_name(preview(food, document))
    assert any(told.startswith("drift: ") and "price" in told for told in tables["dish"].warnings)
    assert any("the keys of all rows" in told for told in tables["dish"].warnings)
    assert tables["note"].error is not None and tables["note"].error["type"] == "NoKeyError"

    strict = by_name(preview(food, '{"tables": [{"name": "dish", "on_drift": "fail"}]}'))["dish"]
    assert strict.error is not None and strict.error["type"] == "DriftError"


def test_a_table_that_takes_many_runs_to_prove_is_told_with_their_number(food: Pipeline) -> None:
    slices = '{"tables": [{"name": "dish", "prove_bytes": 1000}, {"name": "note", "prove_bytes": 1000}]}'
    tables = by_name(preview(food, slices))
    (told,) = tables["dish"].warnings
    assert re.fullmatch(r"each run proves 1\.0 kB of it: about \d+ runs for the whole table \(prove_bytes\)", told)
    assert not any("proves" in warning for warning in tables["note"].warnings)
    assert by_name(preview(food, '{"tables": ["dish"]}'))["dish"].warnings == []


def test_only_listed_tables_can_be_planned(food: Pipeline) -> None:
    assert [table.table for table in preview(food, '{"tables": ["d*", "note"]}', "dish").tables] == ["dish"]
    with pytest.raises(NotFoundError, match="ghost"):
        preview(food, '{"tables": ["dish"]}', "ghost")
