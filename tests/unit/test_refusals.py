"""What is said, and done, about each error number of MySQL and MariaDB."""

from __future__ import annotations

import errno
import re
import traceback
from collections import Counter
from typing import Any

import pymysql
import pytest

from rds_to_s3 import errors
from rds_to_s3.errors import (
    DatabaseAccessError,
    DatabaseBusyError,
    DatabaseLoginError,
    DatabaseUnreachableError,
    PermanentError,
    ReadInterruptedError,
    RowsUnreadableError,
    TransientError,
)
from rds_to_s3.mysql.connection import database_error, translated_errors
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.mysql.refusals import Answer, Circumstances, login_error, statement_error, without_values
from rds_to_s3.mysql.row_error_numbers import BY_NUMBER, REFUSALS
from tests.unit import wire

CREDENTIALS = Credentials("db.example.com", 3306, "reader", "shop", "pa55-secret")
ORDERS = Circumstances(table="orders", database="shop", account="'reader'@'%'", sql="SELECT * FROM `orders`")
ROW_VALUE = "alice@example.com"
NUMBERS = sorted(BY_NUMBER)
OF_PYMYSQL = {2006, 2013, 2055, 2059, 2061}


def test_each_number_means_one_thing() -> None:
    counts = Counter(number for refusal in REFUSALS for number in refusal.numbers)
    assert [number for number, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_refused_statement_names_the_table_the_number_once_and_no_value_of_a_row(number: int) -> None:
    text = f"Incorrect string value: '{ROW_VALUE}' for function x, \"{ROW_VALUE}\" and `{ROW_VALUE}`"
    error = statement_error(Answer(number, text), ORDERS)
    refusal = BY_NUMBER[number]
    assert type(error) is refusal.error
    assert str(error).count(str(number)) == 1
    assert "orders" in str(error)
    assert ROW_VALUE not in str(error)
    assert not re.search(r"[{}]", str(error))
    assert len(str(error)) > len(refusal.cause)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_refused_login_names_server_user_and_number_and_never_the_password(number: int) -> None:
    error = login_error(
        Answer(number, "Access denied for user 'reader'@'%' (using password: YES)"), CREDENTIALS, tls="off"
    )
    message = str(error)
    assert "db.example.com:3306" in message
    assert "'reader'" in message
    assert message.count(f"error {number}") == 1
    assert "pa55" not in message
    assert "security group" not in message  # the server has answered
    lost = issubclass(BY_NUMBER[number].error, ReadInterruptedError)
    assert type(error) is (DatabaseUnreachableError if lost else BY_NUMBER[number].error)


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        (1040, True),  # connections
        (1203, True),
        (1226, True),
        (1053, True),  # a restart
        (1079, True),
        (3032, True),
        (2013, True),  # a lost connection
        (1317, True),
        (1412, True),
        (1205, True),
        (1114, True),  # a full disk
        (1129, False),  # what somebody has to change
        (1130, False),
        (1045, False),
        (3118, False),
        (4151, False),
        (1862, False),
        (1820, False),
        (3159, False),
        (1524, False),
        (1049, False),
        (3141, False),  # rows
        (1690, False),
        (1365, False),
        (1411, False),
        (145, False),  # a damaged table
        (1194, False),
        (1712, False),
        (1812, False),
        (1877, False),
        (1356, False),
    ],
)
def test_what_can_pass_is_retried_and_nothing_else(number: int, passes: bool) -> None:
    assert issubclass(BY_NUMBER[number].error, TransientError if passes else PermanentError)


@pytest.mark.parametrize(
    ("sqlstate", "at_login", "reading"),
    [
        ("08S01", DatabaseUnreachableError, ReadInterruptedError),
        ("22032", RowsUnreadableError, RowsUnreadableError),
        ("28000", DatabaseLoginError, DatabaseLoginError),
        ("HY000", DatabaseBusyError, ReadInterruptedError),
        (None, DatabaseBusyError, ReadInterruptedError),
    ],
)
def test_a_number_of_a_later_release_goes_by_its_sqlstate(
    sqlstate: str | None, at_login: type[Exception], reading: type[Exception]
) -> None:
    answer = Answer(9999, f"News of '{ROW_VALUE}'.", sqlstate)
    for error, expected in (
        (login_error(answer, CREDENTIALS, tls="verify"), at_login),
        (statement_error(answer, ORDERS), reading),
    ):
        assert type(error) is expected
        assert "error 9999" in str(error)
        assert ROW_VALUE not in str(error)


@pytest.mark.parametrize(
    ("engine", "expected"),
    [(28, DatabaseBusyError), (128, DatabaseBusyError), (149, ReadInterruptedError), (176, RowsUnreadableError)],
)
def test_an_engines_error_goes_by_the_engines_number(engine: int, expected: type[Exception]) -> None:
    error = statement_error(Answer(1030, f"Got error {engine} - 'whatever' from storage engine"), ORDERS)
    assert type(error) is expected


def test_values_in_quotes_are_left_out_of_a_text_that_is_not_known() -> None:
    assert without_values("it is 'it's alice' for \"x\" of `y` here.") == "it is … here"


@pytest.mark.parametrize(
    ("number", "text", "sql", "grant"),
    [
        (1142, "SELECT command denied to user 'reader'@'10.0.0.1' for table 'orders'", "", "SELECT ON `shop`.`orders`"),
        (
            1142,
            "SELECT command denied to user 'reader'@'10.0.0.1' for table `sh``op`.`orders`",
            "",
            "SELECT ON `sh``op`.`orders`",
        ),
        (
            1142,
            "SELECT command denied to user 'reader'@'10.0.0.1' for table `mysql`.`rds_heartbeat2`",
            "",
            "SELECT ON `mysql`.`rds_heartbeat2`",
        ),
        (
            1142,
            "SELECT command denied to user 'reader'@'10.0.0.1' for table 'threads'",
            "SELECT 1 FROM performance_schema.threads",
            "SELECT ON `performance_schema`.`threads`",
        ),
        (
            1143,
            "SELECT command denied to user 'reader'@'10.0.0.1' for column 'e`mail' in table 'orders'",
            "",
            "SELECT (`e``mail`) ON `shop`.`orders`",
        ),
        (1044, "Access denied for user 'reader'@'10.%' to database 'shop'", "", "SELECT ON `shop`.*"),
        (1227, "Access denied; you need (at least one of) the PROCESS privilege(s) for", "", "PROCESS ON *.*"),
        (
            1227,
            "Access denied; you need (at least one of) the SUPER, SLAVE MONITOR privilege(s)",
            "",
            "SLAVE MONITOR ON *.*",
        ),
        (
            1370,
            "execute command denied to user 'reader'@'%' for routine 'mysql.rds_replica_status'",
            "CALL mysql.rds_replica_status",
            "EXECUTE ON PROCEDURE `mysql`.`rds_replica_status`",
        ),
    ],
)
def test_a_missing_privilege_comes_with_the_grant(number: int, text: str, sql: str, grant: str) -> None:
    table = None if number in {1044, 1227, 1370} or "`" in text or sql else "orders"
    at = Circumstances(table=table, database="shop", account="'reader'@'%'", sql=sql)
    error = statement_error(Answer(number, text), at)
    assert type(error) is DatabaseAccessError
    assert f"GRANT {grant} " in str(error)
    assert "TO 'reader'@'%';" in str(error)


@pytest.mark.parametrize(
    ("number", "text", "blamed"),
    [
        (1690, "BIGINT UNSIGNED value is out of range in '(`shop`.`orders`.`a` - `shop`.`orders`.`b`)'", "'left_over'"),
        (3141, 'Invalid JSON text in argument 1 to function json_extract: "Invalid value." at position 0.', "'city'"),
        (1366, "Incorrect string value: 'x' for column 'city' at row 1", "'city'"),
        (
            3141,
            'Invalid JSON text in argument 1 to function cast_as_json: "x"',
            "one of the virtual columns 'left_over', 'city'",
        ),
    ],
)
def test_the_virtual_column_that_cannot_be_computed_is_named(number: int, text: str, blamed: str) -> None:
    virtual = [("left_over", "(`a` - `b`)"), ("city", r"json_extract(`t`,_utf8mb4\'$.x\')")]
    at = Circumstances(table="orders", database="shop", virtual_columns=virtual)
    message = str(statement_error(Answer(number, text), at))
    assert blamed in message
    assert '"exclude_columns": [' in message
    assert "SHOW CREATE TABLE `shop`.`orders`;" in message


# --- the adapter --------------------------------------------------------------------------------------------------


def test_no_traceback_shows_what_the_server_said_of_a_row() -> None:
    said = pymysql.err.OperationalError(1411, f"Incorrect string value: '{ROW_VALUE}' for function uuid_to_bin")
    for error in (said, pymysql.err.OperationalError(9999, f"about '{ROW_VALUE}'")):
        with pytest.raises(errors.RdsToS3Error) as caught, translated_errors("orders"):
            raise error
        shown = "".join(traceback.format_exception(caught.value))
        assert ROW_VALUE not in shown


def test_the_names_that_a_message_needs_are_asked_of_the_server_that_refused() -> None:
    connection: Any = wire.connection(wire.result_set([[b"reader@10.%"]]))
    connection.db = b"shop"
    denied = pymysql.err.OperationalError(1142, "SELECT command denied to user 'reader'@'10.0.0.1' for table 'orders'")
    error = database_error(denied, "orders", connection=connection, sql="SELECT 1 FROM `orders`")
    assert "GRANT SELECT ON `shop`.`orders` TO 'reader'@'10.%';" in str(error)


def test_a_server_that_is_gone_is_asked_nothing_more() -> None:
    connection: Any = wire.connection()
    connection.close()
    denied = pymysql.err.OperationalError(1142, "SELECT command denied to user 'reader'@'10.0.0.1' for table 'orders'")
    assert type(database_error(denied, "orders", connection=connection)) is DatabaseAccessError


def test_a_full_disk_of_the_function_is_no_lost_connection() -> None:
    with pytest.raises(OSError, match="No space") as caught, translated_errors("orders"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.errno == errno.ENOSPC
