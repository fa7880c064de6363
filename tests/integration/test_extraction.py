"""One table after another, from a real server into a real S3 API."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from rds_to_s3.errors import InputError, LeaseLostError, StorageRefusedError, TableListError, UnknownRunError
from tests.integration.pipeline import Pipeline, entry
from tests.support.schemas import validate_manifest

ORDERS = """CREATE TABLE orders (
    id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(50) NULL,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate))"""


@pytest.fixture
def orders(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(ORDERS, "INSERT INTO orders (note) VALUES ('a'), (NULL), (''), ('x,\"y\"\n')")
    any_pipeline.tables = ["orders"]
    return any_pipeline


def notes(pipeline: Pipeline, keys: list[str] | None = None) -> list[str | None]:
    return [row["note"] for row in pipeline.delivered("orders", keys)]


def files(table: dict[str, Any]) -> list[str]:
    return [file["key"] for file in table["files"]]


def test_the_first_run_extracts_everything_and_the_manifest_tells_what_lies_in_the_bucket(orders: Pipeline) -> None:
    manifest = orders.run()
    validate_manifest(manifest)
    table = entry(manifest, "orders")
    assert (table["status"], table["rows"], table["source_rows"], table["attempts"]) == ("SUCCEEDED", 4, 4, 1)
    assert notes(orders) == ["a", None, "", 'x,"y"\n']
    assert files(table) == orders.data_keys("orders")
    body = orders.body(files(table)[0])
    assert table["files"][0]["sha256"] == hashlib.sha256(body).hexdigest()
    assert table["files"][0]["bytes"] == len(body)
    stamp = table["window"]["until"]
    assert files(table)[0] == f"orders/csv/orders_data_{stamp[:19].translate(str.maketrans(' ', '_', '-:'))}.csv"
    assert orders.watermark("orders") == stamp[:19]
    assert manifest["window_end"] == stamp
    assert json.loads(orders.body("runs/latest.json")) == manifest


def test_a_quiet_second_run_writes_no_file_and_says_unchanged(orders: Pipeline) -> None:
    first = orders.run()
    second = orders.run()
    assert entry(second, "orders")["status"] == "UNCHANGED"
    assert files(entry(first, "orders")) == orders.data_keys("orders")


def test_the_second_run_extracts_what_was_inserted_or_updated_and_nothing_else(orders: Pipeline) -> None:
    orders.run()
    orders.database.execute(
        "INSERT INTO orders (note, createdDate) VALUES ('new', NOW())",
        "UPDATE orders SET note = 'changed', modifiedDate = NOW() WHERE id = 1",
    )
    second = orders.run()
    assert sorted(map(str, notes(orders, files(entry(second, "orders"))))) == ["changed", "new"]
    third = orders.run()
    assert entry(third, "orders")["status"] == "UNCHANGED"


def test_a_rewound_watermark_extracts_again_from_there_and_leaves_old_files_alone(orders: Pipeline) -> None:
    orders.run()
    before = {key: orders.body(key) for key in orders.data_keys("orders")}
    orders.set_watermark("orders", "2024-12-31 23:59:59\n")
    again = entry(orders.run(), "orders")
    assert again["rows"] == 4
    assert again["window"]["after"] == "2024-12-31 23:59:59.000000"
    assert {key: orders.body(key) for key in before} == before


@pytest.mark.parametrize("text", ["yesterday", "2025-13-01 00:00:00", "2025-01-01", "\x00"])
def test_a_malformed_watermark_fails_its_table_and_names_the_key(orders: Pipeline, text: str) -> None:
    orders.set_watermark("orders", text)
    table = entry(orders.run(), "orders")
    assert table["error"]["type"] == "WatermarkMalformedError"
    assert "orders/csv/last_extract.txt" in table["error"]["message"]
    assert orders.watermark("orders") == text


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_watermark_extracts_everything(orders: Pipeline, text: str) -> None:
    orders.run()
    orders.set_watermark("orders", text)
    assert entry(orders.run(), "orders")["rows"] == 4


def test_the_original_lambdas_watermark_is_taken_over(orders: Pipeline) -> None:
    orders.database.execute("INSERT INTO orders (note, createdDate) VALUES ('later', '2025-01-01 00:00:01')")
    orders.set_watermark("orders", "2025-01-01 00:00:00.500000")
    table = entry(orders.run(), "orders")
    assert notes(orders, files(table)) == ["later"]


def test_a_failed_table_leaves_the_others_alone_and_is_all_that_a_rerun_extracts(orders: Pipeline) -> None:
    orders.tables = ["orders", "missing"]
    failed = orders.run()
    assert failed["status"] == "FAILED"
    assert failed["totals"]["succeeded"] == 1
    assert entry(failed, "missing")["error"]["type"] == "TableNotFoundError"
    validate_manifest(failed)
    orders.database.execute("CREATE TABLE missing (id INT PRIMARY KEY, createdDate DATETIME)")
    again = orders.run(rerun_failed_of=failed["run_id"])
    assert [table["table"] for table in again["tables"]] == ["missing"]
    assert again["status"] == "SUCCEEDED"


def test_a_redrive_runs_the_failed_table_again_in_the_runs_own_window(orders: Pipeline) -> None:
    orders.tables = ["orders", "missing"]
    failed = orders.run()
    orders.database.execute(
        "CREATE TABLE missing (id INT PRIMARY KEY, createdDate DATETIME)",
        "INSERT INTO missing VALUES (1, '2025-01-01')",
    )
    redriven = orders.redrive(failed)
    assert redriven["status"] == "SUCCEEDED"
    assert redriven["redrives"] == 1
    assert redriven["window_end"] == failed["window_end"]
    assert entry(redriven, "orders") == entry(failed, "orders")
    assert entry(redriven, "missing")["rows"] == 1


def test_a_redrive_over_a_newer_run_is_skipped_with_the_reason(orders: Pipeline) -> None:
    orders.tables = ["orders", "missing"]
    failed = orders.run()
    orders.database.execute(
        "CREATE TABLE missing (id INT PRIMARY KEY, createdDate DATETIME)",
        "INSERT INTO missing VALUES (1, '2025-01-01')",
    )
    newer = orders.run()
    skipped = entry(orders.redrive(failed), "missing")
    assert skipped["status"] == "SKIPPED"
    assert newer["run_id"] in skipped["warnings"][0]
    assert len(list(orders.delivered("missing"))) == 1


def test_settings_fixed_in_the_table_list_reach_a_redrive(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "modified_column": "modifiedDat"}]
    failed = orders.run()
    assert "modifiedDate" in entry(failed, "orders")["error"]["message"]
    orders.tables = ["orders"]
    assert orders.redrive(failed)["status"] == "SUCCEEDED"


def test_input_picks_tables_and_refuses_unlisted_ones(orders: Pipeline) -> None:
    orders.database.execute("CREATE TABLE menu (id INT PRIMARY KEY, createdDate DATETIME)")
    orders.tables = ["orders", "menu"]
    assert [table["table"] for table in orders.run(tables=["menu"])["tables"]] == ["menu"]
    with pytest.raises(InputError, match="customers"):
        orders.run(tables=["customers"])
    with pytest.raises(UnknownRunError, match="run-none"):
        orders.run(rerun_failed_of="run-none")


def test_a_malformed_table_list_stops_the_run(orders: Pipeline) -> None:
    orders.tables = ["orders", "orders"]
    with pytest.raises(TableListError, match="twice"):
        orders.run()


def test_patterns_bring_in_what_exists(orders: Pipeline) -> None:
    orders.database.execute(
        "CREATE TABLE order_item (id INT PRIMARY KEY, createdDate DATETIME)",
        "CREATE VIEW order_view AS SELECT 1 AS one",
    )
    orders.tables = ["order*"]
    assert {table["table"] for table in orders.run()["tables"]} == {"orders", "order_item"}


BROKEN: list[tuple[str, str, Any, str, str]] = [
    ("CREATE TABLE t (id INT PRIMARY KEY)", "t", {}, "NoCursorColumnError", "createdDate"),
    ("CREATE VIEW v AS SELECT 1 AS createdDate", "v", {}, "NotATableError", "view"),
    ("CREATE TABLE t (id INT PRIMARY KEY, createdDate INT)", "t", {}, "ColumnTypeError", "createdDate"),
    (
        "CREATE TABLE t (id INT PRIMARY KEY, createdDate DATETIME)",
        "t",
        {"columns": ["idd"]},
        "ColumnNotFoundError",
        "did you mean 'id'",
    ),
]


@pytest.mark.parametrize(("ddl", "name", "settings", "error", "message"), BROKEN, ids=lambda value: str(value)[:30])
def test_a_table_that_cannot_be_extracted_fails_with_a_message(
    any_pipeline: Pipeline, ddl: str, name: str, settings: dict[str, Any], error: str, message: str
) -> None:
    any_pipeline.database.execute(ddl)
    any_pipeline.tables = [{"name": name, **settings}]
    table = entry(any_pipeline.run(), name)
    assert table["error"]["type"] == error
    assert message in table["error"]["message"]
    assert table["attempts"] == 1


def test_a_table_without_a_grant_fails_alone_and_says_which(orders: Pipeline) -> None:
    server, name = orders.database.server, orders.database.name
    server.execute(
        "CREATE TABLE `%s`.secret (id INT PRIMARY KEY, createdDate DATETIME)" % name,  # noqa: UP031
        "CREATE USER 'limited'@'%' IDENTIFIED BY 'limited-Pa55'",
        "GRANT PROCESS ON *.* TO 'limited'@'%'",
        f"GRANT SELECT ON `{name}`.orders TO 'limited'@'%'",
    )
    try:
        orders.user = ("limited", "limited-Pa55")
        orders.tables = ["orders", "secret"]
        manifest = orders.run()
    finally:
        server.execute("DROP USER 'limited'@'%'")
    assert entry(manifest, "orders")["status"] == "SUCCEEDED"
    assert entry(manifest, "secret")["error"]["type"] == "DatabaseAccessError"
    assert "GRANT SELECT" in entry(manifest, "secret")["error"]["message"]


def test_names_that_need_quoting_are_quoted(any_pipeline: Pipeline) -> None:
    names = ["two words", "select", "tick`tick", "bestellung_ü", "semi;colon"]
    for name in names:
        table = name.replace("`", "``")
        any_pipeline.database.execute(
            f"CREATE TABLE `{table}` (`{table}` INT PRIMARY KEY, createdDate DATETIME, KEY `{table}` (createdDate))",
            f"INSERT INTO `{table}` VALUES (1, '2025-01-01')",
        )
    any_pipeline.tables = list(names)
    manifest = any_pipeline.run()
    assert manifest["status"] == "SUCCEEDED", manifest
    for name in names:
        assert list(any_pipeline.delivered(name)) == [{name: "1", "createdDate": "2025-01-01 00:00:00"}]
        any_pipeline.database.execute(
            f"INSERT INTO `{name.replace('`', '``')}` VALUES (2, NOW())",
        )
    assert any_pipeline.run()["totals"]["rows"] == len(names)


def test_full_mode_extracts_everything_every_time(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "mode": "full"}]
    first, second = entry(orders.run(), "orders"), entry(orders.run(), "orders")
    assert (first["rows"], second["rows"]) == (4, 4)
    assert files(first) != files(second)


def test_columns_can_be_chosen_and_cursors_left_out(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "columns": ["note", "id"]}]
    orders.run()
    assert list(next(orders.delivered("orders"))) == ["note", "id"]
    orders.database.execute("UPDATE orders SET note = 'changed', modifiedDate = NOW() WHERE id = 1")
    again = entry(orders.run(), "orders")
    assert list(orders.delivered("orders", files(again))) == [{"note": "changed", "id": "1"}]
    assert entry(orders.run(), "orders")["status"] == "UNCHANGED"


def test_files_are_split_at_row_boundaries(orders: Pipeline) -> None:
    orders.database.execute(*["INSERT INTO orders (note) SELECT note FROM orders"] * 6)
    orders.tables = [{"name": "orders", "target_file_bytes": 2_000}]
    table = entry(orders.run(), "orders")
    assert len(table["files"]) > 3
    assert [key[-13:] for key in files(table)[1:3]] == ["_part0002.csv", "_part0003.csv"]
    assert all(file["bytes"] < 2_200 for file in table["files"])
    assert sum(file["rows"] for file in table["files"]) == 256
    assert len({row["id"] for row in orders.delivered("orders")}) == 256


def test_gzip_and_parquet_carry_the_same_rows(orders: Pipeline) -> None:
    orders.tables = [{"name": "orders", "compression": "gzip"}]
    table = entry(orders.run(), "orders")
    assert files(table)[0].endswith(".csv.gz")
    assert notes(orders) == ["a", None, "", 'x,"y"\n']
    orders.tables = [{"name": "orders", "format": "parquet"}]
    table = entry(orders.run(), "orders")
    assert files(table)[0].startswith("orders/parquet/orders_data_")
    assert orders.keys("orders/parquet/last_extract.txt")


def test_rows_without_any_timestamp_come_with_the_first_run_and_are_warned_about_later(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, createdDate DATETIME NULL, modifiedDate DATETIME NULL)",
        "INSERT INTO t VALUES (1, NULL, NULL), (2, '2025-01-01', NULL)",
    )
    any_pipeline.tables = [{"name": "t", "prove_bytes": 0}]
    assert entry(any_pipeline.run(), "t")["rows"] == 2
    any_pipeline.database.execute("INSERT INTO t VALUES (3, NULL, NULL)")
    table = entry(any_pipeline.run(), "t")
    assert table["status"] == "UNCHANGED"
    assert any("2 rows have no timestamp" in warning for warning in table["warnings"])
    assert any("no index" in warning for warning in table["warnings"])


def test_a_bucket_that_is_not_there_is_said_so(orders: Pipeline) -> None:
    orders.bucket = "no-such-bucket-here"
    with pytest.raises(StorageRefusedError, match="NoSuchBucket"):
        orders.run()


def test_each_run_leaves_a_report_beside_its_manifest_with_the_trend_of_those_before(orders: Pipeline) -> None:
    first, second = orders.run(), orders.run()
    page = orders.body(f"runs/{second['run_id']}/report.html").decode()
    assert first["run_id"] in page
    assert files(entry(second, "orders")) == []


def test_an_invocation_that_was_taken_over_leaves_no_word_of_its_failure(orders: Pipeline) -> None:
    execution = orders.execution("run-a")
    orders.plan(execution)

    def taken_over(step: str) -> None:
        if step == "before decision":
            assert orders.extract("run-a", "orders") == "SUCCEEDED"

    with pytest.raises(LeaseLostError):
        orders.extract("run-a", "orders", taken_over)
    manifest = orders.report(execution, results=[{"table": "orders", "status": "SUCCEEDED"}])
    assert entry(manifest, "orders")["status"] == "SUCCEEDED"
    assert len(orders.data_keys("orders")) == 1
    assert orders.s3_client.list_multipart_uploads(Bucket=orders.bucket).get("Uploads", []) == []


def test_a_commit_whose_function_died_before_its_record_is_in_the_manifest_all_the_same(orders: Pipeline) -> None:
    execution = orders.execution("run-a")
    orders.plan(execution)

    def die(step: str) -> None:
        if step == "before record":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        orders.extract("run-a", "orders", die)
    manifest = orders.report(execution, results=[{"table": "orders", "status": "FAILED", "error": "Sandbox.Timedout"}])
    assert entry(manifest, "orders")["status"] == "SUCCEEDED"
    assert files(entry(manifest, "orders")) == orders.data_keys("orders")


def test_the_manifest_names_the_key_by_which_a_reader_merges(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE pair (b INT, `a a` INT, n INT NOT NULL, PRIMARY KEY (`a a`, b), UNIQUE (n))",
        "CREATE TABLE single (n INT NOT NULL, m INT, UNIQUE (m), UNIQUE (n))",
        "CREATE TABLE bare (n INT, UNIQUE (n))",
        "CREATE TABLE partial LIKE pair",
    )
    partly = {"name": "partial", "exclude_columns": ["B"]}
    any_pipeline.tables, any_pipeline.defaults = ["pair", "single", "bare", partly], {"mode": "full"}
    manifest = any_pipeline.run()
    validate_manifest(manifest)
    keys = {table["table"]: table["key"] for table in manifest["tables"]}
    assert keys == {"pair": ["a a", "b"], "single": ["n"], "bare": [], "partial": []}
