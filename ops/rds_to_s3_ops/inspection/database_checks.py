"""The checks of the database, its user and the listed tables. Pure: facts in, findings out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rds_to_s3.extract.scope.selection import unseen_changes
from rds_to_s3.manifest.report.figures import duration
from rds_to_s3.mysql.catalogue.remedies import key_grant, qualified
from rds_to_s3.mysql.select import account
from rds_to_s3_ops.findings import Finding, failed, passed, warned

if TYPE_CHECKING:
    from rds_to_s3.errors import RdsToS3Error
    from rds_to_s3.extract.scope.selection import Selection
    from rds_to_s3.mysql.catalogue.schema import Table
    from rds_to_s3.mysql.server.clock_reading import ClockReading
    from rds_to_s3.plan.table_list import TableSpec

_ENOUGH = {
    "USAGE", "SELECT", "PROCESS", "REPLICATION CLIENT", "BINLOG MONITOR", "REPLICA MONITOR", "SLAVE MONITOR",
    "SHOW VIEW", "SHOW DATABASES",
}  # fmt: skip
_GRANT = re.compile(r"GRANT (.+?) ON .+? TO ", re.IGNORECASE)
_NAME = r"`(?:[^`]|``)*`"
_ROLE = re.compile(rf"{_NAME}(?:@{_NAME})?")
# Only grants to an account: MariaDB also lists the grants of the current role, and a role has no host.
_ROLES = re.compile(rf"GRANT ({_ROLE.pattern}(?:, ?{_ROLE.pattern})*) TO {_NAME}@")


def check_tls(mode: str, version: str) -> Finding:
    """Whether the connection is encrypted and verified.

    Parameters
    ----------
    mode : str
        The stack's DatabaseTls.
    version : str
        The protocol in use; empty for plain text.
    """
    if not version:
        return warned("TLS", "off: rows and login are sent in plain text", "deploy with DatabaseTls=verify")
    if mode != "verify":
        return warned("TLS", f"{version}, the server's certificate is not checked", "deploy with DatabaseTls=verify")
    return passed("TLS", f"{version}, the server's certificate and name are verified")


def check_transactions(reading: ClockReading, user: str, settle_seconds: str) -> Finding:
    """Whether open transactions can be seen.

    Parameters
    ----------
    reading : ClockReading
    user : str
        As ``CURRENT_USER()`` has it.
    settle_seconds : str
        The stack's UnobservedSettleSeconds.
    """
    check = "open transactions"
    if reading.unobserved is None:
        return passed(check, f"{user} sees them (PROCESS)")
    loss = f"windows end {settle_seconds} s before now, and rows of a transaction that stays open longer may be lost"
    if reading.unobserved == "stale":
        return warned(
            check,
            f"the server does not refresh its list of them: {loss}",
            "poll innodb_trx less often than every second",
        )
    return warned(
        check, f"cannot be seen without the PROCESS privilege: {loss}", f"GRANT PROCESS ON *.* TO {account(user)}"
    )


def check_replica(reading: ClockReading) -> Finding:
    """Whether the server is a replica, and how far behind."""
    check = "primary or replica"
    if reading.role == "primary":
        return passed(check, "a primary")
    if reading.progress_error is not None:
        return failed(
            check, str(reading.progress_error), f"see docs/errors.md, {type(reading.progress_error).__name__}"
        )
    if reading.role == "member":
        return warned(
            check,
            "a member of a group: transactions open on the others cannot be seen, so UnobservedSettleSeconds must "
            "exceed the longest",
            "make sure that no transaction stays open that long",
        )
    return warned(
        check,
        "a replica: transactions open on its source cannot be seen, so UnobservedSettleSeconds must exceed the "
        f"longest; what it has applied was committed {duration(reading.replica_age or 0.0)} ago",
        "read from the primary, or make sure that no transaction stays open that long",
    )


def check_zone(zone: str, instants: Sequence[float], local: Sequence[datetime]) -> Finding:
    """Whether the server's time zone has clock changes.

    Parameters
    ----------
    zone : str
    instants : sequence of float
        Seconds since 1970, spread over the coming year.
    local : sequence of datetime
        The same in the server's zone.
    """
    shifts = [
        moment - datetime.fromtimestamp(instant, UTC).replace(tzinfo=None)
        for instant, moment in zip(instants, local, strict=True)
    ]
    if len(set(shifts)) == 1:
        return passed("time zone", f"{zone}, {_offset(shifts[0])} all year")
    back = next((index for index in range(1, len(shifts)) if shifts[index] < shifts[index - 1]), None)
    when = f" about {local[back]:%Y-%m-%d}" if back is not None else ""
    return passed(
        "time zone",
        f"{zone}, turns its clock back{when}: until the repeated hour has passed, windows end before it",
    )


def _offset(shift: timedelta) -> str:
    minutes = round(shift.total_seconds() / 60)
    return f"UTC{'+' if minutes >= 0 else '-'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def granted_roles(grants: Iterable[str]) -> list[str]:
    """Return the roles that SHOW GRANTS names, quoted as it quotes them.

    Examples
    --------
    >>> granted_roles(["GRANT USAGE ON *.* TO `u`@`%`", "GRANT `a`@`%`,`b`@`%` TO `u`@`%` WITH ADMIN OPTION"])
    ['`a`@`%`', '`b`@`%`']
    """
    return [role for grant in grants if (match := _ROLES.match(grant)) for role in _ROLE.findall(match[1])]


def check_privileges(grants: Sequence[str], user: str, *, roles_seen: bool) -> Finding:
    """Whether the user may do more than read.

    Parameters
    ----------
    grants : sequence of str
        The rows of SHOW GRANTS.
    user : str
    roles_seen : bool
        Whether `grants` includes the privileges of the user's roles, active or not: the user can activate them.
    """
    check, roles = "least privilege", granted_roles(grants)
    held = {
        re.sub(r"\s*\(.*?\)", "", privilege).strip().upper()
        for grant in grants
        if not _ROLES.match(grant) and (match := _GRANT.match(grant))
        for privilege in re.sub(r"\(.*?\)", "", match[1]).split(",")
    }
    more = sorted(held - _ENOUGH)
    if more:
        by_roles = " (with its roles)" if roles else ""
        return warned(
            check,
            f"{user} may do more than read{by_roles}: {', '.join(more[:5])}{', ...' if len(more) > 5 else ''}",
            "create a user for the stack with SELECT and PROCESS only (docs/deploy.md)",
        )
    if roles and not roles_seen:
        return warned(
            check,
            f"the privileges of {user}'s roles cannot be read: {', '.join(roles)}",
            f"REVOKE {', '.join(roles)} FROM {account(user)}, and grant SELECT and PROCESS to the user itself",
        )
    return passed(check, f"{user} may only read{', its roles included' if roles else ''}")


# --- the listed tables --------------------------------------------------------------------------------------------


def check_readable(total: int, errors: Sequence[tuple[str, RdsToS3Error]]) -> list[Finding]:
    """Whether every listed table can be read with its settings; one finding for each failure."""
    found = [
        failed(f"table {name}", f"{type(error).__name__}: {error}", f"see docs/errors.md, {type(error).__name__}")
        for name, error in errors
    ]
    readable = total - len(errors)
    if readable:
        found.insert(0, passed("tables are readable", f"{readable} of {total}"))
    return found


def check_indexes(tables: Sequence[tuple[Table, Selection]]) -> list[Finding]:
    """Whether each cursor column has an index; one finding for each without."""
    check = "indexes on the cursor columns"
    found = [(table, *advice) for table, selection in tables for advice in selection.index_advice(table)]
    if not found:
        return [passed(check, f"every one of {len(tables)} tables has them")] if tables else []
    return [
        warned(check, f"{table.name}.{column}: {wrong} (about {table.estimated_rows:,} rows)", statement)
        for table, column, wrong, statement in found
    ]


def check_changes(tables: Sequence[tuple[Table, Selection, TableSpec]]) -> list[Finding]:
    """List the tables without a modified column: no run extracts their changed rows."""
    found = ((table, unseen_changes(table, spec, selection)) for table, selection, spec in tables)
    return [warned("changes of rows", f"{table.name}: {unseen[0]}", unseen[1]) for table, unseen in found if unseen]


def check_sources(moved: Sequence[tuple[str, str]]) -> list[Finding]:
    """List the tables that the next run reads from another server than the last run.

    Parameters
    ----------
    moved : sequence of (str, str)
        The table, and the server of the last read.
    """
    if not moved:
        return []
    names = ", ".join(table for table, _ in moved)
    return [
        warned(
            "server",
            f"the last runs read {names} from another one ({', '.join(sorted({server for _, server in moved}))}): the "
            "next run of each starts at the newest row read there",
            "nothing, if this server holds the same data; otherwise rds-to-s3 rewind TABLE --all",
        )
    ]


def check_keys(tables: Sequence[tuple[Table, Selection]]) -> list[Finding]:
    """Whether a read of each table can be resumed; one finding for each that cannot."""
    without = [(table, key_grant(table, selection.denied)) for table, selection in tables if not table.ordered_key]
    if not without:
        return [passed("keys", f"every one of {len(tables)} tables has one")] if tables else []
    return [
        warned(
            "keys",
            f"{table.name} has none that gives an order{' and that the user may read' if grant else ''}: it must be "
            "read in one invocation",
            grant
            or f"give {table.name} a {'key that ascends and sorts as it compares' if table.key else 'primary key'}",
        )
        for table, grant in without
    ]


def check_engines(tables: Sequence[tuple[Table, Selection]]) -> list[Finding]:
    """List the tables with an engine without snapshots."""
    return [
        warned(
            "engine",
            f"{table.name} is {table.engine}: a read may include part of a concurrent change",
            f"ALTER TABLE {qualified(table)} ENGINE = InnoDB",
        )
        for table, _ in tables
        if table.engine.lower() != "innodb"
    ]
