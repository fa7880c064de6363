"""Files against their manifest, and against the table that they came from."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from local.ministack_server import MiniStack
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.errors import InvalidInputError
from rds_to_s3_ops.verify import reconciliation
from rds_to_s3_ops.verify.reading import stored_files
from rds_to_s3_ops.verify.reading.digests import Digests
from rds_to_s3_ops.verify.reading.stored_files import StoredFile
from rds_to_s3_ops.verify.verification import compare_tables
from tests.integration.pipeline import Pipeline
from tests.integration.test_types import make_table
from tests.integration.verifying import ORDERS, ROWS, SETTINGS, counts, files, reconcile, with_orders
from tests.support.every_type import ONLY_MYSQL, TABLES
from tests.support.measured import measured


@pytest.fixture(params=SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def orders(request: pytest.FixtureRequest, pipeline: Pipeline) -> Pipeline:
    return with_orders(pipeline, request.param)


def test_what_two_runs_left_is_the_table(orders: Pipeline) -> None:
    orders.run()
    orders.database.execute(
        "UPDATE orders SET note = 'changed', modifiedDate = NOW() WHERE id = 1",
        "INSERT INTO orders (id, part, createdDate) VALUES (4, 'c', NOW())",
    )
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 4}
    checked = files(orders, "orders")
    assert (checked.is_fine, checked.rows) == (True, 5)


def test_rows_that_are_missing_different_extra_or_pending_are_told_apart(orders: Pipeline) -> None:
    orders.database.execute("INSERT INTO orders (id, part) VALUES (5, 'e'), (6, 'f')")
    orders.run()
    orders.database.execute(
        "INSERT INTO orders (id, part) VALUES (4, 'unseen')",
        "INSERT INTO orders (id, part, createdDate) VALUES (7, 'later', NOW() + INTERVAL 1 HOUR)",
        "UPDATE orders SET note = NULL WHERE id = 2",
        "UPDATE orders SET note = 'new', modifiedDate = NOW() + INTERVAL 1 HOUR WHERE id = 5",
        "DELETE FROM orders WHERE id = 3",
    )
    result = reconcile(orders)
    assert counts(result) == {"equal": 2, "missing": 1, "different": 1, "extra": 1, "pending": 2}
    assert result.samples["missing"] == [{"id": "4", "part": "unseen"}]
    assert result.samples["different"] == [{"id": "2", "part": "a"}]
    assert result.samples["extra"] == [{"id": "3", "part": "b"}]
    assert not result.is_fine()


def test_what_the_next_run_reads_again_is_pending(orders: Pipeline) -> None:
    orders.defaults = orders.defaults | {"lookback_seconds": 3600, "prove_bytes": 0}
    orders.run()
    orders.database.execute(
        "INSERT INTO orders (id, part, createdDate) VALUES (4, 'late', NOW() - INTERVAL 30 MINUTE)",
        "INSERT INTO orders (id, part, createdDate) VALUES (5, 'too late', NOW() - INTERVAL 2 HOUR)",
    )
    assert counts(reconcile(orders)) == {"equal": 3, "missing": 1, "pending": 1}
    orders.run()
    assert counts(reconcile(orders)) == {"equal": 4, "missing": 1}
    # The commit's own word counts where the setting has changed since, and the setting where the watermark was edited.
    orders.database.execute("INSERT INTO orders (id, part, createdDate) VALUES (6, 'late', NOW() - INTERVAL 30 MINUTE)")
    assert counts(reconcile(orders, lookback_seconds=0)) == {"equal": 4, "missing": 1, "pending": 1}
    moment = orders.database.rows("SELECT DATE_FORMAT(NOW(), '%Y-%m-%d %H:%i:%s')")[0][0]
    orders.store.put(f"orders/{orders.defaults['format']}/last_extract.txt", moment.encode())
    assert counts(reconcile(orders, lookback_seconds=0)) == {"equal": 4, "missing": 2}
    assert counts(reconcile(orders)) == {"equal": 4, "missing": 1, "pending": 1}


def test_a_column_that_came_later_is_not_looked_for_in_older_files(orders: Pipeline) -> None:
    orders.run()
    orders.database.execute(
        "ALTER TABLE orders ADD COLUMN later INT DEFAULT 7",
        "UPDATE orders SET note = 'changed', modifiedDate = NOW() WHERE id = 1",
    )
    orders.run()
    result = reconcile(orders)
    assert counts(result) == {"equal": 3}
    assert "have no later" in result.notes[0]
    orders.database.execute("UPDATE orders SET later = 8, modifiedDate = '2025-01-02' WHERE id = 1")
    assert counts(reconcile(orders)) == {"equal": 2, "different": 1}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_rows_that_were_delivered_before_their_columns_were_widened_are_the_same(
    pipeline: Pipeline, file_format: str
) -> None:
    pipeline.database.execute(
        "CREATE TABLE orders (id INT(5) UNSIGNED ZEROFILL, part DECIMAL(6,1), at DATETIME, amount DECIMAL(10,2), "
        "great DECIMAL(30,2), number BIGINT, filled INT(5) ZEROFILL, elapsed TIME, flags BIT(3), day DATE, "
        "short FLOAT, word VARCHAR(5), createdDate DATETIME DEFAULT '2025-01-01 00:00:00', PRIMARY KEY (id, part, at))",
        "INSERT INTO orders VALUES (7, 1.5, '2025-01-01 10:00:00', 1.5, -2, 9, 42, '-100:00:00', 5, '2025-01-01', 0.1, "
        "'a', DEFAULT), (0, 0, '2025-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, DEFAULT)",
    )
    pipeline.tables, pipeline.defaults = ["orders"], {"format": file_format, "deletes": "track"}
    pipeline.run()
    pipeline.database.execute(
        "ALTER TABLE orders MODIFY id INT(9) UNSIGNED ZEROFILL, MODIFY part DECIMAL(8,3), MODIFY at DATETIME(6), "
        "MODIFY amount DECIMAL(12,4), MODIFY great DECIMAL(45,5), MODIFY number DECIMAL(22,2), "
        "MODIFY filled BIGINT UNSIGNED, MODIFY elapsed TIME(3), MODIFY flags BIT(12), MODIFY day DATETIME, "
        "MODIFY short DOUBLE, MODIFY word TEXT, MODIFY createdDate DATETIME(6)",
    )
    assert counts(reconcile(pipeline)) == {"equal": 2}
    pipeline.database.execute("UPDATE orders SET amount = 1.5001 WHERE id = 7")
    assert counts(reconcile(pipeline)) == {"equal": 1, "different": 1}


def spoilt(orders: Pipeline, body: bytes) -> str:
    """Put something else where the first data file was; return its key."""
    key = orders.data_keys("orders", orders.defaults["format"])[0]
    orders.store.put(key, gzip.compress(body) if key.endswith(".gz") else body)
    return key


def test_a_file_that_cannot_be_read_is_named(orders: Pipeline) -> None:
    orders.run()
    good = orders.body(orders.data_keys("orders", orders.defaults["format"])[0])
    if orders.defaults["format"] == "parquet":
        bodies = [good[:4] + b"\xff" * 300 + good[304:], b"PAR1"]
    else:
        bodies = [b"id,part,n\xff\n1,a,x\n", b"id,part,note\n1,a,\xff\n", b"id,part\n1,a,x\n", b'"id,part\n', b""]
    for body in bodies:
        key = spoilt(orders, body)
        result = reconcile(orders)
        assert result.error is not None
        assert result.error.startswith(key), body
        assert not result.is_fine()
        assert not result.differs()


def test_too_little_memory_is_reported_with_what_to_do(orders: Pipeline) -> None:
    orders.run()
    result = reconcile(orders, memory="1MB")
    assert result.error is not None
    assert "--memory" in result.error
    with pytest.raises(InvalidInputError, match="does not start"):
        reconcile(orders, memory="much")


def test_what_breaks_one_table_leaves_the_others_alone(orders: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.database.execute(ORDERS.replace("orders", "more"), ROWS.replace("orders", "more"))
    orders.tables = ["orders", "more"]
    orders.run()
    add_source = Digests.add_source

    def breaking(self: Digests, *given: Any) -> None:
        monkeypatch.setattr(Digests, "add_source", add_source)
        raise pa.ArrowInvalid("something odd\nand more of it")

    monkeypatch.setattr(Digests, "add_source", breaking)
    specs = [TableSpec.model_validate({"name": name, **orders.defaults}) for name in ("orders", "gone", "more")]
    bucket = Bucket(orders.s3_client, orders.bucket)
    broken, gone, fine = compare_tables(lambda: closing(orders.connect(60)), bucket, specs, memory="200MB")
    assert broken.error == "table 'orders' cannot be read: something odd"
    assert "table 'gone'" in str(gone.error)
    assert counts(fine) == {"equal": 3}


def test_as_many_keys_are_listed_as_are_asked_for(orders: Pipeline) -> None:
    orders.run()
    orders.database.execute(*(f"INSERT INTO orders (id, part) VALUES ({number}, 'new')" for number in range(100, 115)))
    for samples, told in ((None, 15), (2, 2), (0, 0), (10, 10)):
        result = reconcile(orders, samples=samples)
        assert counts(result) == {"equal": 3, "missing": 15}
        assert [key["id"] for key in result.samples["missing"]] == [str(100 + number) for number in range(told)]


def test_every_type_compares_as_it_is(pipeline: Pipeline) -> None:
    tables = {**TABLES, **ONLY_MYSQL}
    for name, columns in tables.items():
        make_table(pipeline.database, name, columns)
    pipeline.tables = [*tables]
    for file_format in ("csv", "parquet"):
        pipeline.defaults = {"format": file_format}
        pipeline.run()
        for name in pipeline.tables:
            result = reconcile(pipeline, name)
            assert (name, result.error, result.equal) == (name, None, result.source_rows)


def test_a_table_in_full_is_compared_with_its_newest_files_only(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE bare (n INT, note TEXT)", "INSERT INTO bare VALUES (1, 'a'), (1, 'a'), (2, '')"
    )
    any_pipeline.tables, any_pipeline.defaults = ["bare"], {"mode": "full"}
    any_pipeline.run()
    assert counts(reconcile(any_pipeline, "bare")) == {"equal": 3}
    any_pipeline.database.execute("INSERT INTO bare VALUES (3, NULL)")
    assert counts(reconcile(any_pipeline, "bare")) == {"equal": 3, "missing": 1}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_table_in_compare_is_compared_with_all_of_its_files(pipeline: Pipeline, file_format: str) -> None:
    settings: dict[str, Any] = {"mode": "compare", "deletes": "track", "format": file_format}
    pipeline.tables = [{"name": "unstamped", **settings}]
    pipeline.database.execute(
        "CREATE TABLE unstamped (id INT PRIMARY KEY, v INT)", "INSERT INTO unstamped VALUES (1, 1), (2, 2), (3, 3)"
    )
    pipeline.run()
    pipeline.database.execute("DELETE FROM unstamped WHERE id = 1", "UPDATE unstamped SET v = 20 WHERE id = 2")
    for _ in range(2):  # what differs, and nothing
        pipeline.run()
        assert counts(reconcile(pipeline, "unstamped", **settings)) == {"equal": 2, "deleted": 1}


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_rows_of_a_table_without_a_key_are_counted(pipeline: Pipeline, file_format: str) -> None:
    pipeline.database.execute("CREATE TABLE bare (n INT, note TEXT)", "INSERT INTO bare VALUES (1, 'a'), (2, '')")
    checks = {"note": {"not_null": True}}
    pipeline.defaults = {"format": file_format, "mode": "full", "checks": checks, "on_violation": "quarantine"}
    pipeline.tables = ["bare"]
    assert counts(reconcile(pipeline, "bare")) == {"equal": 0, "missing": 2}
    pipeline.run()
    pipeline.database.execute("INSERT INTO bare VALUES (1, 'a'), (1, 'a')", "UPDATE bare SET n = 3 WHERE n = 2")
    result = reconcile(pipeline, "bare")
    assert counts(result) == {"equal": 1, "missing": 3, "extra": 1}
    assert not result.is_fine()
    pipeline.database.execute("INSERT INTO bare VALUES (4, NULL), (4, NULL)")
    pipeline.run()
    assert counts(reconcile(pipeline, "bare")) == {"equal": 4, "quarantined": 2}
    pipeline.database.execute("DELETE FROM bare WHERE n = 1 LIMIT 2")
    assert counts(reconcile(pipeline, "bare")) == {"equal": 2, "extra": 2, "quarantined": 2}


def test_a_table_without_a_key_has_each_of_its_equal_rows_delivered(pipeline: Pipeline) -> None:
    row = "INSERT INTO bare (n, createdDate) VALUES (1, '2025-01-01 00:00:00')"
    pipeline.database.execute("CREATE TABLE bare (n INT, createdDate DATETIME)", row)
    pipeline.tables = ["bare"]
    pipeline.run()
    pipeline.database.execute(row, row, "INSERT INTO bare VALUES (2, NOW() + INTERVAL 1 HOUR), (3, '2025-01-01')")
    assert counts(reconcile(pipeline, "bare")) == {"equal": 1, "missing": 3, "pending": 1}
    pipeline.database.execute(
        "UPDATE bare SET createdDate = NOW() WHERE n = 1", "ALTER TABLE bare ADD COLUMN later INT DEFAULT 7"
    )
    pipeline.run()
    result = reconcile(pipeline, "bare")
    # The one of 2025 lies in the files still: without a key nothing tells that it has changed.
    assert counts(result) == {"equal": 4, "missing": 1}
    assert "those that only the files have" in " ".join(result.notes)


def test_a_file_that_is_not_what_the_manifest_says_is_named(orders: Pipeline) -> None:
    orders.run()
    key = orders.data_keys("orders", orders.defaults["format"])[0]
    body = orders.body(key)
    orders.store.put(key, gzip.compress(b"id,part\n") if key.endswith(".gz") else body[:-1])
    found = files(orders)
    assert not found.is_fine
    assert [check.key for check in found.broken] == [key]
    assert any(problem.startswith("sha256") for problem in found.broken[0].problems)
    orders.store.delete(key)
    assert [check.problems for check in files(orders).broken] == [["is missing"]]


# --- meanwhile, in the database ---


def during_the_download(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Let something happen once while the files are read."""

    def fetch(*given: Any, **options: Any) -> StoredFile | None:
        monkeypatch.setattr(reconciliation, "fetch", stored_files.fetch)
        do()
        return stored_files.fetch(*given, **options)

    monkeypatch.setattr(reconciliation, "fetch", fetch)


def test_an_alter_need_not_wait_for_the_files_to_be_read(orders: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.run()
    alter = "SET SESSION lock_wait_timeout = 1", "ALTER TABLE orders ADD COLUMN later INT DEFAULT 7"
    during_the_download(monkeypatch, lambda: orders.database.execute(*alter))
    result = reconcile(orders)
    assert result.error == "table 'orders' was altered while its files were read: verify it again"
    assert counts(reconcile(orders)) == {"equal": 3}


def test_no_connection_is_held_while_files_are_read(orders: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.run()
    others: list[Any] = []

    def look() -> None:
        own = orders.database.rows("SELECT CONNECTION_ID()")[0][0]
        query = f"SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id != {own}"
        deadline = time.monotonic() + 60  # a server takes a moment to notice that a client is gone
        while (found := orders.database.rows(query)) and time.monotonic() < deadline:
            time.sleep(0.05)
        others.extend(found)

    during_the_download(monkeypatch, look)
    assert counts(reconcile(orders)) == {"equal": 3}
    assert others == []


# --- memory ---


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_four_times_the_rows_take_the_same_memory(pipeline: Pipeline, aws: MiniStack) -> None:
    # The first fills what is held at once, of rows and in DuckDB; of the second all would be 180 MB more.
    sizes = (40_000, 160_000)
    for rows in sizes:
        pipeline.database.execute(
            f"SET SESSION cte_max_recursion_depth = {rows}",
            f"CREATE TABLE of_{rows} (id CHAR(80) PRIMARY KEY, pad TEXT AS (REPEAT('x', 1000)) VIRTUAL) CHARSET ascii",
            f"INSERT INTO of_{rows} (id) WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n "
            f"WHERE id < {rows}) SELECT LPAD(id, 80, 'x') FROM n",
        )
    for file_format in ("csv", "parquet"):
        peaks = []
        for rows in sizes:
            table = {"name": f"of_{rows}", "mode": "full", "format": file_format, "target_file_bytes": 50_000_000}
            pipeline.tables = [table]
            pipeline.run()
            found = measured("measured_verification", pipeline, aws, table=table, memory="100MB")
            assert (found["error"], found["equal"]) == (None, rows)
            peaks.append(found["peak_mb"])
        assert peaks[1] < peaks[0] + 80, (file_format, peaks)
