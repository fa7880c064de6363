"""Sets every inherited variable of a session that changes the rows, columns or text of a statement.

A session inherits variables: global values, ``init_connect``, a proxy's pinned session. ``DEFAULT`` would be the global
value again, so each value is explicit. docs/session-variables.md lists these variables, and all others with the reason
why they do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from rds_to_s3.errors import DatabaseBusyError, DatabaseLoginError, RdsToS3Error, SessionVariableError
from rds_to_s3.mysql.select import quoted

_MOST = "18446744073709551615"
_LONGEST_PAUSE = "900"
"""Seconds. No function runs longer, and no session should much longer: an open snapshot holds back purge."""

# These affect SHOW VARIABLES itself. All versions have them.
_FIRST = {
    "sql_select_limit": _MOST,
    "max_join_size": _MOST,  # sets sql_big_selects to OFF
    "sql_big_selects": "ON",
    "completion_type": "NO_CHAIN",
    "sql_mode": "",
}

PINNED: Mapping[str, str] = {
    **_FIRST,
    # --- which rows ---
    "sql_auto_is_null": "OFF",
    "system_versioning_asof": "DEFAULT",
    "autocommit": "ON",
    "transaction_isolation": "REPEATABLE-READ",
    "tx_isolation": "REPEATABLE-READ",
    "transaction_read_only": "ON",
    "tx_read_only": "ON",
    "use_secondary_engine": "OFF",
    "wsrep_dirty_reads": "OFF",
    "max_sort_length": "65536",  # above the longest sort key of an index's columns
    # --- which columns, and what the catalogue says of them ---
    "show_gipk_in_create_table_and_information_schema": "ON",
    "show_old_temporals": "OFF",
    "old_mode": "UTF8_IS_UTF8MB3",
    "terminology_use_previous": "NONE",
    "information_schema_stats_expiry": "0",  # a table's size as it is, not as it was yesterday
    # --- which text ---
    "character_set_client": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "character_set_results": "utf8mb4",
    "collation_connection": "utf8mb4_general_ci",  # after character_set_connection, which sets it
    # A virtual column is computed when it is read, with the reader's variables.
    "lc_time_names": "en_US",
    "default_week_format": "0",
    "div_precision_increment": "4",
    "block_encryption_mode": "aes-128-ecb",
    "default_regex_flags": "",
    # --- whether a statement runs to its end ---
    "max_execution_time": "0",  # set again where a table is read
    "max_statement_time": "0",
    "lock_wait_timeout": _LONGEST_PAUSE,
    "net_read_timeout": "60",
    "net_write_timeout": _LONGEST_PAUSE,  # S3 may be slower than the server
    "wait_timeout": _LONGEST_PAUSE,
    "idle_transaction_timeout": "0",
    "idle_readonly_transaction_timeout": "0",
    "sql_buffer_result": "OFF",
    "sort_buffer_size": "2097152",
    "tmp_disk_table_size": _MOST,
}
"""Session variable -> value, as SHOW VARIABLES writes it. Only variables that the server has are set."""


class Session(Protocol):
    """The part of a connection that is used here.

    Attributes
    ----------
    prepared : mapping
        What `prepare_session` has set, by name. Empty before.
    """

    prepared: Mapping[str, str]

    @property
    def is_mariadb(self) -> bool: ...

    @property
    def open(self) -> bool: ...

    def run(self, sql: str) -> None: ...

    def rows(self, sql: str) -> list[dict[str, Any]]: ...

    def row(self, sql: str) -> dict[str, Any]: ...


def prepare_session(session: Session, database: str) -> None:
    """Set the session's variables, database and time zone, and read them back.

    Parameters
    ----------
    session : Session
        Just opened, with ``SET NAMES`` done.
    database : str
        Selected again if ``init_connect`` selected another one.

    Raises
    ------
    SessionVariableError
        A variable does not have the value that was set, or the server refuses to set it.
    """
    timeout = "max_statement_time" if session.is_mariadb else "max_execution_time"
    first = {**_FIRST, timeout: PINNED[timeout]}
    _set(session, {name: (_assignment(name, value), "") for name, value in first.items()})
    # Ends a transaction that init_connect left open, and undoes a SET TRANSACTION for the next one.
    session.run("ROLLBACK")
    shown = _shown(session)
    wanted = {name: value for name, value in PINNED.items() if name in shown}
    if missing := {"autocommit", *_FIRST} - wanted.keys():
        raise SessionVariableError(
            f"SHOW SESSION VARIABLES does not list {', '.join(sorted(missing))}: what the session inherits cannot be "
            "checked. Make the proxy in between pass SHOW VARIABLES through, or connect to the server itself."
        )
    assignments = {
        name: (_assignment(name, value), shown[name]) for name, value in wanted.items() if shown[name] != value
    }
    # TIMESTAMPs are text in the session's zone, and windows are computed in the server's zone.
    assignments["time_zone"] = ("time_zone = @@GLOBAL.time_zone", "")
    # `SET timestamp = ..` stops the clock. MariaDB's secure_timestamp forbids both that and this.
    if shown.get("secure_timestamp", "NO") == "NO":
        assignments["timestamp"] = ("timestamp = DEFAULT", "")
    _set(session, assignments)
    _check(session, wanted, database)
    session.prepared = {name: value for name, value in wanted.items() if name != timeout}


def check_session(session: Session, database: str) -> None:
    """Check inside a transaction that the session still is as `prepare_session` left it.

    Between two statements a proxy may hand the client another connection of its pool. Inside a transaction it does not:
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html

    Parameters
    ----------
    database : str
        The one that is selected.

    Raises
    ------
    SessionVariableError
        Something is lost. Rows or text could be wrong, or those of a table of the same name elsewhere.
    """
    row = session.row(_as_it_is(session.prepared))
    wanted = {**session.prepared, "time_zone": row["@@global.time_zone"]}
    lost = [name for name, value in wanted.items() if not _is(row[f"@@session.{name}"], value)]
    if str(row["selected"] or "").casefold() != database.casefold():
        lost.append("the selected database")
    if lost:
        raise SessionVariableError(
            f"the session has lost what was set when it was opened ({', '.join(lost[:3])}): a proxy in between has "
            "given it another connection, or reset it. Rows or text could be wrong, so nothing is read. Connect to the "
            "server itself, or let the proxy pin sessions (RDS Proxy: no SessionPinningFilters)."
        )


def _as_it_is(names: Iterable[str]) -> str:
    variables = ", ".join(f"@@session.{name}" for name in [*names, "time_zone"])
    return f"SELECT DATABASE() AS selected, @@global.time_zone, {variables}"


def _shown(session: Session) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in [*PINNED, "secure_timestamp"])
    rows = session.rows(f"SHOW SESSION VARIABLES WHERE variable_name IN ({names})")
    return {str(row["variable_name"]).lower(): str(row["value"]) for row in rows}


def _set(session: Session, assignments: Mapping[str, tuple[str, str]]) -> None:
    """Run the assignments as one statement; if it fails, find the failing one."""
    try:
        session.run(f"SET SESSION {', '.join(assignment for assignment, _ in assignments.values())}")
    except (DatabaseLoginError, DatabaseBusyError):
        raise  # not a variable: MariaDB accepts an expired password, and refuses the next statement
    except RdsToS3Error:
        if not session.open:
            raise
        for name, (assignment, value) in assignments.items():
            try:
                session.run(f"SET SESSION {assignment}")
            except (DatabaseLoginError, DatabaseBusyError):
                raise
            except RdsToS3Error as error:
                if not session.open:
                    raise
                raise _refused(name, value, assignment, str(error)) from error


def _check(session: Session, wanted: Mapping[str, str], database: str) -> None:
    row = session.row(_as_it_is(wanted))
    for name, value in {**wanted, "time_zone": row["@@global.time_zone"]}.items():
        if not _is(found := row[f"@@session.{name}"], value):
            raise _refused(name, str(found), _assignment(name, value), "the server reports no error")
    if row["selected"] != database:
        session.run(f"USE {quoted(database)}")


def _is(value: object, wanted: str) -> bool:
    """Whether `value`, as SELECT returns it, is what SHOW VARIABLES writes as `wanted`."""
    if wanted in {"ON", "OFF"} and value in (0, 1):
        return value == (wanted == "ON")
    return value == float(wanted) if isinstance(value, float) else str(value) == wanted


def _assignment(name: str, value: str) -> str:
    # For system_versioning_asof, DEFAULT is the only way to write "now", whatever the global value.
    return f"{name} = {value if value.isdigit() or value == 'DEFAULT' else repr(value)}"


def _refused(name: str, value: str, assignment: str, reason: str) -> SessionVariableError:
    return SessionVariableError(
        f"the session variable {name} is {value!r}, and SET SESSION {assignment} had no effect ({reason}). Rows or "
        f"text could be wrong, so nothing is read. Run SET GLOBAL {assignment} (on RDS: the parameter group), take the "
        "variable out of init_connect, or make the proxy in between pass SET through."
    )
