"""The function that fills the database of `make aws-smoke`."""

from __future__ import annotations

import pymysql
import pytest

from smoke import run_sql
from smoke.deployment import AUTHORITIES


def test_run_sql_answers_errors_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cursor:
        def __enter__(self) -> Cursor:
            return self

        def __exit__(self, *_: object) -> None: ...

        def execute(self, statement: str) -> None:
            if statement != "SELECT 1":
                raise pymysql.ProgrammingError(1064, f"error near {statement[-12:]}")

        def fetchall(self) -> list[tuple[int]]:
            return [(1,)]

    class Connection(Cursor):
        def cursor(self) -> Cursor:
            return Cursor()

    monkeypatch.setattr(run_sql, "AUTHORITIES", AUTHORITIES)
    monkeypatch.setattr(pymysql, "connect", lambda **_: Connection())
    event = {"host": "h", "port": 1, "user": "u", "password": "p", "database": "d", "authority": ""}
    statements = ["CREATE USER u IDENTIFIED BY 's3cr3t'", "GRANT ALL", "SELECT 1"]
    assert run_sql.handler({**event, "statements": statements}, None) == {
        "rows": [["1"]],
        "errors": ["CREATE USER u: error 1064", "GRANT ALL: (1064, 'error near GRANT ALL')"],
    }
