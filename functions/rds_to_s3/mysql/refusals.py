"""Writes our error for a server's answer: who refuses, what, and what helps. Text only, nothing connects.

The server's text is only searched for names (an account, a table, a function) and never quoted: it may contain values
of rows, also of masked columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rds_to_s3.errors import (
    DatabaseBusyError,
    DatabaseLoginError,
    DatabaseUnreachableError,
    RdsToS3Error,
    ReadInterruptedError,
    RowsUnreadableError,
)
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.mysql.error_numbers import Refusal
from rds_to_s3.mysql.row_error_numbers import BY_NUMBER, BY_SQLSTATE_CLASS, ENGINE_PASSES
from rds_to_s3.mysql.select import account, quoted

_ACCOUNT = re.compile(r"user '(.*?)'@'(.*?)' (?:to database|for routine)")
_COMMAND = re.compile(r"([A-Z ]+) command denied")
_TABLE = re.compile(r"for table (?:`(?P<db>(?:[^`]|``)+)`\.`(?P<of_db>(?:[^`]|``)+)`|'(?P<name>[^']+)')")
_COLUMN = re.compile(r"for column '(.+)' in table '(.+)'")
_ROUTINE = re.compile(r"for routine '([^'.]+)\.([^']+)'")
_PRIVILEGES = re.compile(r"\(at least one of\) the ([A-Z_, or]+) privilege")
_ENGINE = re.compile(r"Got (?:temporary )?error '?(\d+)")
_FUNCTION = re.compile(r"function (\w+)")
_OUT_OF_RANGE = re.compile(r"out of range in '(.*)'", re.DOTALL)
_QUOTED = re.compile(r"['\"`].*['\"`]", re.DOTALL)

_TLS_MAY_BE_WANTED = " DatabaseTls is off, and the account or the server may want TLS: deploy with DatabaseTls=verify."
_IAM_LOGIN = (
    " The password is an IAM token: the function's role needs rds-db:connect for this user (DatabaseIamResource), and "
    "the account IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'."
)


@dataclass(frozen=True)
class Answer:
    """An error packet, or PyMySQL's own error."""

    number: int
    text: str
    sqlstate: str | None = None


@dataclass(frozen=True)
class Circumstances:
    """The context of a refused statement.

    Attributes
    ----------
    table : str, optional
        The table that was read.
    account : str
        The user's account as SQL writes it.
    sql : str
        The statement; only names are taken from it.
    virtual_columns : sequence of (str, str), optional
        Name and expression of the table's virtual columns; None where they are not known.
    """

    table: str | None = None
    database: str = ""
    account: str = "'USER'@'%'"
    sql: str = ""
    virtual_columns: Sequence[tuple[str, str]] | None = None


def known(answer: Answer) -> Refusal | None:
    """Return the meaning of an answer; None where neither its number nor its SQLSTATE is known."""
    number = answer.number
    if number in {1030, 1296} and (match := _ENGINE.search(answer.text)):
        number = ENGINE_PASSES.get(int(match[1]), number)
    return BY_NUMBER.get(number) or BY_SQLSTATE_CLASS.get((answer.sqlstate or "")[:2])


def login_error(answer: Answer, credentials: Credentials, *, tls: str) -> RdsToS3Error:
    """Return the error of a login that the server did not accept.

    Parameters
    ----------
    tls : str
        The stack's DatabaseTls.
    """
    where = f"{credentials.host}:{credentials.port}"
    refused = f"the server at {where} refused the login of user {credentials.username!r} (error {answer.number})"
    refusal = known(answer)
    if refusal is None:
        return DatabaseBusyError(
            f"{refused}: {without_values(answer.text)}. If this persists, look into the server's log."
        )
    if issubclass(refusal.error, ReadInterruptedError):
        return DatabaseUnreachableError(
            f"the connection to {where} broke during the login of user {credentials.username!r} (error "
            f"{answer.number}). If this persists: is it a MySQL or MariaDB server, and does it restart?"
        )
    match = _ACCOUNT.search(answer.text)
    host = match[2] if match and match[1] == credentials.username else "%"
    at = Circumstances(database=credentials.database, account=account(f"{credentials.username}@{host}"))
    message = f"{refused}: {_in_words(refusal, answer, at, user=credentials.username)}"
    if refusal.error is DatabaseLoginError:
        message += _IAM_LOGIN if credentials.is_token else ""
        message += _TLS_MAY_BE_WANTED if tls == "off" and answer.number == 1045 else ""
    return refusal.error(message)


def statement_error(answer: Answer, at: Circumstances) -> RdsToS3Error:
    """Return the error of a statement that the server refused, or that ended early."""
    refusal = known(answer)
    code = f"(error {answer.number})"
    if refusal is None:
        return ReadInterruptedError(f"{_lead(ReadInterruptedError, at)} {code}: {without_values(answer.text)}")
    return refusal.error(f"{_lead(refusal.error, at)} {code}: {_in_words(refusal, answer, at)}")


def without_values(text: str) -> str:
    """Leave out the quoted parts of a message.

    Examples
    --------
    >>> without_values("Incorrect string value: 'it's secret' for function x")
    'Incorrect string value: … for function x'
    """
    return _QUOTED.sub("…", text).rstrip(".")


def _lead(error: type[RdsToS3Error], at: Circumstances) -> str:
    table = f"table {at.table!r}" if at.table else ""
    if issubclass(error, ReadInterruptedError):
        return f"the read of {table} ended early" if table else "the statement ended early"
    if issubclass(error, RowsUnreadableError):
        return f"the server cannot read {table or 'a table'}"
    return f"the server refused to read {table}" if table else "the server refused a statement"


def _in_words(refusal: Refusal, answer: Answer, at: Circumstances, user: str = "") -> str:
    column, exclude = _blamed(refusal, answer, at)
    table = f"{quoted(at.database)}.{quoted(at.table)}" if at.table and at.database else quoted(at.table or "TABLE")
    return refusal.in_words(
        account=at.account,
        user="'" + user.replace("'", "''") + "'",
        table=table,
        column=column,
        exclude=exclude,
        grant=_grant(answer, at),
    )


def _grant(answer: Answer, at: Circumstances) -> str:
    """Return the GRANT that was missing, as SQL."""
    text, database = answer.text, quoted(at.database)
    if match := _PRIVILEGES.search(text):
        # SUPER would grant more than needed.
        names = [name for name in re.split(r", | or ", match[1]) if name != "SUPER"] or ["SUPER"]
        return f"GRANT {names[-1]} ON *.* TO {at.account};"
    if match := _ROUTINE.search(text):
        kind = "PROCEDURE" if at.sql.lstrip().upper().startswith("CALL") else "FUNCTION"
        return f"GRANT EXECUTE ON {kind} {quoted(match[1])}.{quoted(match[2])} TO {at.account};"
    if match := _COLUMN.search(text):
        return f"GRANT SELECT ({quoted(match[1])}) ON {database}.{quoted(at.table or match[2])} TO {at.account};"
    if (match := _TABLE.search(text)) and _COMMAND.match(text):
        if match["db"]:
            return f"GRANT SELECT ON `{match['db']}`.`{match['of_db']}` TO {at.account};"  # quoted already
        name = match["name"]
        named = re.search(rf"(\w+)\.`?{re.escape(name)}\b", at.sql)  # MySQL leaves the database out
        return f"GRANT SELECT ON {quoted(named[1]) if named else database}.{quoted(name)} TO {at.account};"
    return f"GRANT SELECT ON {database}.{quoted(at.table) if at.table else '*'} TO {at.account};"


def _blamed(refusal: Refusal, answer: Answer, at: Circumstances) -> tuple[str, str]:
    """Return the virtual column that cannot be computed, in words and as JSON. The names are from the catalogue."""
    if not refusal.is_computed or at.virtual_columns is None:
        return "a virtual column", "..."
    names = [name for name, _ in at.virtual_columns]
    likely = [name for name, expression in at.virtual_columns if _mentions(answer.text, name, expression)]
    candidates = likely or names
    if not candidates:
        return "an expression", "..."
    if len(candidates) > 1:
        return f"one of the virtual columns {', '.join(map(repr, candidates))}", "..."
    return f"the virtual column {candidates[0]!r}", json.dumps(candidates[0], ensure_ascii=False)


def _mentions(text: str, name: str, expression: str) -> bool:
    """Whether the server's text mentions this column: its name, a function of its expression, or the expression."""
    if f"for column '{name}'" in text:
        return True
    if (match := _OUT_OF_RANGE.search(text)) is not None:
        return _bare(match[1]) in _bare(expression)
    return (match := _FUNCTION.search(text)) is not None and match[1].lower() in expression.lower()


def _bare(expression: str) -> str:
    """Remove what an error and the catalogue write differently: quotes, brackets, qualifiers, blanks."""
    unqualified = re.sub(r"(?:`[^`]+`\.)+(?=`)", "", expression)
    return re.sub(r"[`() \\']", "", unqualified).lower()
