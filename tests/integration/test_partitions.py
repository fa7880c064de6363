"""Partitions of the layout `hive` in the Glue Data Catalog, registered by the function and read by Athena."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

import write_manifest.handler
from local.ministack_server import MiniStack
from rds_to_s3.aws.glue import GlueDatabase, files_table
from rds_to_s3.manifest.partitions import register_partitions
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3_ops.catalogue.athena_files import hive_tables, statements
from rds_to_s3_ops.deployment.bucket import Bucket
from tests.integration.pipeline import Pipeline, entry
from tests.integration.test_layout import add
from tests.integration.verifying import next_second, with_orders


class Lake:
    """A database of the catalogue, and Athena on it."""

    def __init__(self, aws: MiniStack, pipeline: Pipeline) -> None:
        self.name = pipeline.bucket.replace("-", "_")
        self.pipeline = pipeline
        self.glue, self._athena = aws.client("glue"), aws.client("athena")
        self.glue.create_database(DatabaseInput={"Name": self.name})

    def query(self, statement: str) -> list[list[str | None]]:
        started = self._athena.start_query_execution(
            QueryString=statement,
            QueryExecutionContext={"Database": self.name},
            ResultConfiguration={"OutputLocation": f"s3://{self.pipeline.bucket}/athena/"},
        )["QueryExecutionId"]
        for _ in range(1000):
            status = self._athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
            if status["State"] not in {"QUEUED", "RUNNING"}:
                break
            time.sleep(0.05)
        assert status["State"] == "SUCCEEDED", (statement, status)
        rows = self._athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows[1:]]

    def create_table(self) -> None:
        bucket = Bucket(self.pipeline.s3_client, self.pipeline.bucket)
        (found,) = hive_tables(bucket, "orders")
        self.query(statements(found)[0])

    def rows(self, columns: str) -> list[list[str | None]]:
        """Read the registered partitions, and nothing else: the local Athena reads a table's whole location."""
        table = self.glue.get_table(DatabaseName=self.name, Name="orders_files")["Table"]
        found: list[list[str | None]] = []
        for partition in self.glue.get_partitions(DatabaseName=self.name, TableName="orders_files")["Partitions"]:
            day = {"Name": f"day_{len(found)}", "StorageDescriptor": partition["StorageDescriptor"]}
            self.glue.create_table(DatabaseName=self.name, TableInput=day | {"Parameters": table["Parameters"]})
            found += self.query(f"SELECT {columns} FROM {day['Name']}")
        return sorted(found, key=str)

    def days(self) -> list[str]:
        found = self.glue.get_partitions(DatabaseName=self.name, TableName="orders_files")["Partitions"]
        return sorted(partition["Values"][0] for partition in found)


@pytest.fixture
def lake(aws: MiniStack, pipeline: Pipeline) -> Iterator[Lake]:
    with_orders(pipeline, {"layout": "hive", "exclude_columns": ["note"]})
    yield Lake(aws, pipeline)


def register(lake: Lake, columns: list[str] | None = None, **settings: Any) -> list[str]:
    spec = TableSpec.model_validate({"name": "orders", "layout": "hive", **settings})
    written = {"orders": columns or []}
    return register_partitions([spec], written, lake.pipeline.store, GlueDatabase(lake.name, lake.glue), 30)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_athena_reads_every_file_of_every_run_without_a_list(lake: Lake, file_format: str) -> None:
    lake.pipeline.defaults |= {"format": file_format}
    first = lake.pipeline.run()
    lake.create_table()
    assert register(lake, format=file_format) == []
    next_second()
    add(lake.pipeline, 7)
    lake.pipeline.run()
    assert register(lake, format=file_format) == []
    day = entry(first, "orders")["files"][0]["key"].split("/")[2].removeprefix("dt=")
    assert day in lake.days()
    assert lake.rows("id, part") == [["1", "a"], ["2", "a"], ["3", "b"], ["7", "z"]]


def test_days_that_were_missed_are_registered_with_the_next_run_and_each_once(lake: Lake) -> None:
    lake.pipeline.run()
    days = [f"2024-{month:02}-{day:02}" for month in range(1, 10) for day in range(1, 29)]
    for day in days:
        lake.pipeline.store.put(f"orders/csv/dt={day}/orders_data_{day.replace('-', '')}_000000.csv", b"id\n")
    lake.create_table()
    assert register(lake) == []
    assert lake.days()[: len(days)] == days  # more than fit into one request
    assert register(lake) == []
    assert len(lake.days()) == len(set(lake.days()))


def test_what_somebody_else_registers_meanwhile_is_no_problem(lake: Lake) -> None:
    lake.pipeline.run()
    lake.create_table()

    class Slow(GlueDatabase):
        def partitions(self, table: Any) -> set[str]:
            found = super().partitions(table)
            register(lake)
            return found

    spec = TableSpec.model_validate({"name": "orders", "layout": "hive"})
    assert register_partitions([spec], {}, lake.pipeline.store, Slow(lake.name, lake.glue), 30) == []
    assert len(lake.days()) == 1


def test_a_table_that_is_not_there_or_not_over_these_files_is_named_and_left_alone(lake: Lake) -> None:
    lake.pipeline.run()
    (problem,) = register(lake)
    assert "has no table orders_files" in problem
    assert "rds-to-s3 catalogue orders" in problem
    lake.create_table()
    assert register(lake) == []
    lake.pipeline.store.put("orders/parquet/dt=2025-01-01/orders_data_20250101_000000.parquet", b"")
    (problem,) = register(lake, format="parquet")
    assert f"its files are in s3://{lake.pipeline.bucket}/orders/parquet/" in problem
    lake.glue.delete_table(DatabaseName=lake.name, Name="orders_files")
    lake.query("CREATE EXTERNAL TABLE orders_files (id string) LOCATION 's3://elsewhere/'")
    (problem,) = register(lake)
    assert "partitioned by nothing instead of dt" in problem


def test_files_whose_columns_the_catalogue_does_not_have_are_named(lake: Lake) -> None:
    names = [column["name"] for column in entry(lake.pipeline.run(), "orders")["columns"]]
    lake.create_table()
    assert register(lake, names) == []
    assert register(lake, [name.upper() for name in names]) == []
    (problem,) = register(lake, [*names, "added"])
    assert "lacks the column added" in problem
    (problem,) = register(lake, ["added", *names])
    assert "CSV is read by position" in problem


def test_days_of_csv_files_with_other_columns_stay_out_of_a_new_table(lake: Lake) -> None:
    lake.pipeline.run()
    key = lake.pipeline.data_keys("orders")[0]
    today = key.split("/")[2].removeprefix("dt=")
    lake.pipeline.defaults |= {"columns": ["part", "id", "createdDate", "modifiedDate"]}
    del lake.pipeline.defaults["exclude_columns"]
    next_second()
    add(lake.pipeline, 7)
    lake.pipeline.run()
    for day in ("2999-01-01", "2024-01-01"):
        lake.pipeline.store.put(f"orders/csv/dt={day}/orders_data_{day.replace('-', '')}_000000.csv", b"part\n")
    bucket = Bucket(lake.pipeline.s3_client, lake.pipeline.bucket)
    assert hive_tables(bucket, "orders")[0].others_until == today
    lake.create_table()
    assert register(lake) == []
    assert lake.days() == ["2999-01-01"]


def test_the_flat_layout_asks_the_catalogue_nothing(lake: Lake) -> None:
    assert register_partitions([TableSpec(name="orders")], {}, lake.pipeline.store, None, 30) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("is_there", [True, False])
def test_the_function_registers_them_and_no_fault_of_the_catalogue_costs_the_run(
    lake: Lake,
    aws: MiniStack,
    is_there: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline = lake.pipeline
    pipeline.run()
    lake.create_table()
    execution = pipeline.execution("by-the-function")
    plan = pipeline.plan(execution)
    results = [pipeline.iterate(plan["run_id"], "orders")]
    database = lake.name if is_there else "no_such_database"
    environment = {"DATA_BUCKET": pipeline.bucket, "GLUE_DATABASE": database, "POWERTOOLS_METRICS_NAMESPACE": "test"}
    for name, value in {**aws.environment, **environment, "POWERTOOLS_SERVICE_NAME": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    outcome = write_manifest.handler.handler(
        {"execution": execution, "state": {"plan": plan, "results": results}}, None
    )
    assert outcome["status"] == "SUCCEEDED"
    assert len(lake.days()) == is_there
    told = capsys.readouterr().out.replace(" ", "")
    assert f'"PartitionsNotRegistered":[{0 if is_there else 1}.0]' in told
    assert json.loads(pipeline.body("runs/by-the-function/manifest.json"))["status"] == "SUCCEEDED"


def test_names_that_a_catalogue_cannot_have_are_changed() -> None:
    assert files_table("Order Items-Ü") == "order_items___files"
