"""The function RunSql: runs statements in the database. It is packed with PyMySQL and RDS's certificate authorities."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pymysql

AUTHORITIES = Path(__file__).with_name("rds-ca-bundle.pem")


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Run `event`'s ``statements`` at ``host port user password database``.

    Returns
    -------
    dict
        ``{"rows": [[..]], "errors": [".."]}``: the rows of the last statement as text, and what each statement that
        failed got from the server.
    """
    tls = ssl.create_default_context(cafile=str(AUTHORITIES))
    if event.get("authority"):
        tls.load_verify_locations(cadata=event["authority"])
    connection = pymysql.connect(
        host=event["host"],
        port=int(event["port"]),
        user=event["user"],
        password=event["password"],
        database=event["database"],
        ssl=tls,
        connect_timeout=20,
        autocommit=True,
    )
    rows: list[list[str]] = []
    errors: list[str] = []
    with connection, connection.cursor() as cursor:
        for statement in event["statements"]:
            try:
                cursor.execute(statement)
            except pymysql.MySQLError as error:
                shown, hidden, _ = statement.partition("IDENTIFIED BY")
                # The server's text quotes from the statement, which may hold a password.
                errors.append(f"{shown.strip()}: {f'error {error.args[0]}' if hidden else error}")
                continue
            rows = [[str(value) for value in row] for row in cursor.fetchall()]
    return {"rows": rows, "errors": errors}
