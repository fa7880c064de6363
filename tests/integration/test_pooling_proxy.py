"""A proxy in front of the server, as RDS Proxy is: what is read is right, or the run says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rds_to_s3.errors import ReadInterruptedError, SessionVariableError
from rds_to_s3.mysql.connection import Connection, Tls, connect
from rds_to_s3.mysql.credentials import Credentials
from tests.integration.conftest import fresh_database
from tests.integration.pipeline import Pipeline, entry
from tests.support.ledger import problems_with_rows
from tests.support.pooling_proxy import PoolingProxy

pytestmark = pytest.mark.bucket_in_memory

TABLE = (
    "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, note CHAR(40), createdDate DATETIME NOT NULL DEFAULT "
    "CURRENT_TIMESTAMP, modifiedDate DATETIME NULL, KEY (createdDate), KEY (modifiedDate))"
)


@pytest.fixture
def proxy(any_pipeline: Pipeline) -> Iterator[PoolingProxy]:
    """A proxy to the server, with `any_pipeline` behind it, and a table."""
    database = any_pipeline.database
    proxy = PoolingProxy(database.server.port)
    user, password = database.server.user, database.server.password

    def through(read_seconds: int) -> Connection:
        credentials = Credentials("127.0.0.1", proxy.port, user, database.name, password)
        return connect(lambda _: credentials, Tls("off"), read_seconds=read_seconds)

    any_pipeline.endpoint = through
    any_pipeline.tables = ["t"]
    database.execute(TABLE, "INSERT INTO t (note) VALUES ('one'), ('two')")
    yield proxy
    proxy.close()


def failed_with(manifest: dict[str, Any]) -> tuple[str, str]:
    error = entry(manifest, "t")["error"]
    return error["type"], error["message"]


def test_one_that_keeps_the_session_changes_nothing(any_pipeline: Pipeline, proxy: PoolingProxy) -> None:
    assert any_pipeline.run()["status"] == "SUCCEEDED"
    any_pipeline.database.execute("INSERT INTO t (note) VALUES ('three')")
    assert any_pipeline.run()["status"] == "SUCCEEDED"
    assert problems_with_rows(any_pipeline, "t") == []


@pytest.mark.parametrize("way", ["refused", "swallowed"])
@pytest.mark.parametrize("variable", ["sql_mode", "transaction_read_only", "tx_read_only"])
def test_one_that_does_not_let_a_setting_pass_is_an_error_that_names_it(
    any_pipeline: Pipeline, proxy: PoolingProxy, way: str, variable: str
) -> None:
    names = any_pipeline.database.rows(f"SHOW VARIABLES LIKE '{variable}'")
    if not names:
        pytest.skip("the server has no such variable")
    any_pipeline.database.execute("SET GLOBAL sql_mode = 'ANSI_QUOTES'")
    try:
        setattr(proxy, way, f"{variable} = ")
        with pytest.raises(SessionVariableError, match=r"make the proxy in between pass SET through"):
            any_pipeline.run()
    finally:
        any_pipeline.database.execute("SET GLOBAL sql_mode = DEFAULT")


def test_one_that_changes_sessions_between_statements_is_refused_when_it_is_met(
    any_pipeline: Pipeline, proxy: PoolingProxy
) -> None:
    proxy.other_session_before = "SELECT"
    with pytest.raises(SessionVariableError):
        any_pipeline.run()
    assert proxy.resets


def test_one_that_changes_the_session_once_it_is_prepared_is_an_error_and_delivers_nothing(
    any_pipeline: Pipeline, proxy: PoolingProxy
) -> None:
    proxy.other_session_before = "START TRANSACTION READ ONLY"
    kind, message = failed_with(any_pipeline.run())
    assert kind == "SessionVariableError"
    assert "SessionPinningFilters" in message
    assert list(any_pipeline.delivered("t")) == []
    proxy.other_session_before = ""
    assert any_pipeline.run()["status"] == "SUCCEEDED"
    assert problems_with_rows(any_pipeline, "t") == []


def test_another_session_has_not_selected_the_database_of_a_table_elsewhere(
    any_pipeline: Pipeline, proxy: PoolingProxy
) -> None:
    """With a session of the pool, a table of the same name in the default database would be read."""
    with fresh_database(any_pipeline.database.server) as other:
        other.execute(TABLE, "INSERT INTO t (note) VALUES ('elsewhere')")
        any_pipeline.tables = [f"{other.name}.t"]
        proxy.swallowed = "USE"
        proxy.other_session_before = "START TRANSACTION READ ONLY"
        manifest = any_pipeline.run()
        assert manifest["tables"][0]["error"]["type"] == "SessionVariableError"


def test_a_failover_inside_a_transaction_is_retried_and_loses_nothing(
    any_pipeline: Pipeline, proxy: PoolingProxy
) -> None:
    plan = any_pipeline.plan(any_pipeline.execution("failover"))
    proxy.dropped_after = "START TRANSACTION READ ONLY"
    with pytest.raises(ReadInterruptedError):
        any_pipeline.extract(plan["run_id"], "t")
    proxy.dropped_after = ""
    assert any_pipeline.iterate(plan["run_id"], "t")["status"] == "SUCCEEDED"
    assert problems_with_rows(any_pipeline, "t") == []
