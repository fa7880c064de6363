"""Runs statements on fakesnow: one JSON document a line in, one out. Started by the Python of its own environment.

Names nothing of the project: that environment does not have what the project imports. Fakesnow judges all statements
but two kinds. It does not know a COPY with a SELECT over CSV, nor METADATA$FILENAME: DuckDB's own reader plays them
here. And its MERGE is several statements in two databases, which DuckDB does not allow in a transaction: each commits.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import fakesnow
import snowflake.connector

_COPY = re.compile(
    r"COPY INTO (?P<into>.+?)\nFROM \(SELECT (?P<values>.+)\nFROM @(?P<stage>.+?)/(?P<folder>[^\n]*)/\)\n"
    r"FILES = \((?P<files>.*?)\)\nFILE_FORMAT = \((?P<options>.*?)\n\)\nON_ERROR",
    re.DOTALL,
)

_TRANSACTION = {"BEGIN", "COMMIT", "ROLLBACK"}


def _type(name: str, digits: str) -> str:
    if name == "NUMBER":
        return f"DECIMAL{digits}"
    return {"FLOAT": "DOUBLE", "BINARY": "BLOB", "TIMESTAMP_NTZ": "TIMESTAMP"}.get(name, name)


def _copied(match: re.Match[str], bucket: Path) -> str:
    """Return the INSERT of a COPY, in DuckDB's SQL."""
    paths = [bucket / match["folder"] / name for name in re.findall(r"'([^']+)'", match["files"])]
    listed = ", ".join(f"'{path}'" for path in paths)
    values = match["values"].replace("METADATA$FILENAME", "filename")
    if "TYPE = CSV" in match["options"]:
        opened = gzip.decompress(paths[0].read_bytes()) if "GZIP" in match["options"] else paths[0].read_bytes()
        names = next(csv.reader(io.StringIO(opened.decode(), newline="")))
        columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(1, len(names) + 1))
        compression = "gzip" if "GZIP" in match["options"] else "none"
        rows = (
            f"read_csv([{listed}], auto_detect = false, header = true, columns = {{{columns}}}, quote = '\"', "
            f"escape = '\"', nullstr = '', allow_quoted_nulls = false, filename = true, compression = '{compression}', "
            "parallel = false)"
        )
        values = re.sub(r"TO_BINARY\(\$(\d+), 'HEX'\)", r"unhex(c\1)", values)
        values = re.sub(r"\$(\d+)", r"c\1", values)
    else:
        rows = f"read_parquet([{listed}], filename = true)"
        values = re.sub(r'\$1:("(?:[^"]|"")+")', r"\1", values)
    values = re.sub(
        r"(::| AS )([A-Z_]+)(\([\d, ]+\))?", lambda found: found[1] + _type(found[2], found[3] or ""), values
    )
    return f"INSERT INTO {match['into']} SELECT {values} FROM {rows}"


def _answer(connection: Any, bucket: Path, statement: str) -> dict[str, Any]:
    if statement in _TRANSACTION:
        return {"rows": []}
    try:
        if match := _COPY.match(statement):
            return {"rows": connection._duck_conn.execute(_copied(match, bucket)).fetchall()}
        cursor = connection.cursor().execute(statement)
        return {"rows": cursor.fetchall()}
    except snowflake.connector.errors.Error as error:
        return {"error": str(error), "errno": error.errno, "sqlstate": error.sqlstate}
    except Exception as error:  # what fakesnow cannot do; the test shows it
        return {"error": f"{type(error).__name__}: {error}", "errno": -1, "sqlstate": None}


with fakesnow.patch():
    opened = snowflake.connector.connect(database="RAW", schema="SHOP")
    for line in sys.stdin:
        print(json.dumps(_answer(opened, Path(sys.argv[1]), json.loads(line)), default=str), flush=True)  # noqa: T201
