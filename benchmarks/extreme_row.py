"""What each contender makes of one row of values that are hard to carry: found by running it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from benchmarks.measuring import OURS, Bench, reason
from benchmarks.outputs import Text, find, read_row

# What writes a file that a reader takes apart; the others write the same text in other ways.
CONTENDERS = (
    "rds-to-s3 csv",
    "rds-to-s3 parquet",
    "mydumper",
    "mariadb client",
    "rivet csv",
    "rivet parquet",
    "connectorx to csv",
    "chdb csv",
    "chdb parquet",
    "duckdb csv",
    "duckdb parquet",
    "sling csv",
    "dlt connectorx",
    "dlt pyarrow",
    "pandas in chunks",
)
_DECIMAL = "12345678901234567890123456789012345.123456789012345678901234567891"
_TEXTS = ("empty_text", "null_text", "null_word")
# By column: its type, its value, and how the page names both.
_COLUMNS = {
    "zero_date": ("DATE", "'0000-00-00'", "DATE 0000-00-00"),
    "partial_date": ("DATE", "'2024-00-00'", "DATE 2024-00-00"),
    "zero_datetime": ("DATETIME", "'0000-00-00 00:00:00'", "DATETIME 0000-00-00"),
    "longest_time": ("TIME", "'-838:59:59'", "TIME -838:59:59"),
    "long_decimal": ("DECIMAL(65,30)", f"'{_DECIMAL}'", "DECIMAL(65,30) of 65 digits"),
    "large_int": ("BIGINT UNSIGNED", "18446744073709551615", "BIGINT UNSIGNED 2⁶⁴-1"),
    "small_float": ("FLOAT", "16777216", "FLOAT 16777216"),
    "flag": ("TINYINT(1)", "2", "TINYINT(1) 2"),
    "bits": ("BIT(16)", "b'1010101011111111'", "BIT(16) 0xAAFF"),
    "empty_text": ("VARCHAR(9)", "''", "`''`, NULL and `'NULL'`"),
    "null_text": ("VARCHAR(9)", "NULL", ""),
    "null_word": ("VARCHAR(9)", "'NULL'", ""),
}
# A value that a contender refuses hides the others of its row: then each is read alone, but for the three texts.
_GROUPS = (*([name] for name in _COLUMNS if name not in _TEXTS), list(_TEXTS))
SHOWN = {group[0]: _COLUMNS[group[0]][2] for group in _GROUPS}
_INTRO = """\
## One extreme row

What each makes of a row whose values are hard to carry, found by running it with its defaults. ✓: the value in MySQL
can be read from the file. Otherwise what it became, or *refused*: it stopped with an error. *nothing*: in CSV, no
character, as for NULL. The last column asks whether the file tells the three texts apart. Parquet's dates have no zero
dates: ours are NULL there, with a warning in the manifest that counts them. {when}
"""
EXACT, REFUSED, NOTHING = "exact", "refused", "nothing"
# Every form from which a reader has the same sixteen bits.
_BITS = {b"\xaa\xff".upper(), b"AAFF", b"0XAAFF", b"\\XAA\\XFF", b"43775", b"1010101011111111"}


def compare(bench: Bench, connection: Any, contenders: Sequence[str]) -> dict[str, Any]:
    """Let each contender read the row, and return its answers and the reasons of its refusals."""
    tables = {"extreme": list(_COLUMNS)} | {f"extreme_{group[0]}": group for group in _GROUPS}
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        for table, columns in tables.items():
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            described = ", ".join(f"{name} {_COLUMNS[name][0]}" for name in columns)
            cursor.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, {described})")
            cursor.execute(f"INSERT INTO {table} VALUES (1, {', '.join(_COLUMNS[name][1] for name in columns)})")
        connection.commit()
    answers: dict[str, dict[str, str]] = {}
    reasons: dict[str, dict[str, str]] = {}
    for name in (name for name in CONTENDERS if name in contenders):
        try:
            answers[name], reasons[name] = _answers(bench, name, "extreme", tables["extreme"]), {}
        except RuntimeError:
            answers[name], reasons[name] = _alone(bench, name)
        print(f"  extreme row, {name}: {answers[name]}", file=sys.stderr)
    return {"answers": answers, "reasons": {name: found for name, found in reasons.items() if found}}


def _alone(bench: Bench, name: str) -> tuple[dict[str, str], dict[str, str]]:
    answers: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for group in _GROUPS:
        try:
            answers |= _answers(bench, name, f"extreme_{group[0]}", group)
        except RuntimeError as error:
            answers[group[0]] = REFUSED
            reasons[group[0]] = reason(error)
    return answers, reasons


def _answers(bench: Bench, name: str, table: str, columns: list[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        bench.run_into(Path(folder), name, table, 1)
        row = read_row(find(Path(folder), name, table), name, ["id", *columns])
    if row is None:
        return dict.fromkeys((name for name in columns if name in SHOWN), "no row")
    found = {column: row[column] for column in columns}
    answers = {column: judge(column, value) for column, value in found.items() if column not in _TEXTS}
    if _TEXTS[0] in found:
        answers[_TEXTS[0]] = judge_texts(*(found[column] for column in _TEXTS))
    return answers


def judge(column: str, found: Any) -> str:
    """Return `EXACT`, or what the value became."""
    return EXACT if _is_exact(column, found) else _shown(found)


def _is_exact(column: str, found: Any) -> bool:
    value = found.value if isinstance(found, Text) else found
    if column == "bits":
        return (value if isinstance(value, bytes) else str(value).encode()).upper() in _BITS
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    wanted = _COLUMNS[column][1].strip("'")
    if column == "longest_time":
        return value == -timedelta(hours=838, minutes=59, seconds=59) or text == wanted
    if "date" in column:
        return text == wanted
    try:
        return not isinstance(value, bool) and Decimal(text) == Decimal(wanted)
    except InvalidOperation:
        return False


def judge_texts(empty: Any, absent: Any, word: Any) -> str:
    """Return `EXACT` if a reader of the file can tell the empty string, NULL and the text NULL apart."""
    written = {
        name: value.written if isinstance(value, Text) else value
        for name, value in {"''": empty, "NULL": absent, "'NULL'": word}.items()
    }
    names = list(written)
    alike = [f"{a} = {b}" for n, a in enumerate(names) for b in names[n + 1 :] if written[a] == written[b]]
    return ", ".join(alike) or EXACT


def _shown(found: Any) -> str:
    if isinstance(found, Text):
        return found.value.decode(errors="backslashreplace") if found.written else NOTHING
    if found is None:
        return "NULL"
    return found.isoformat(" ") if isinstance(found, datetime) else str(found)


def section(found: Mapping[str, Any], when: str) -> str:
    """Write the part of the page."""
    lines = [
        _INTRO.format(when=when),
        f"| contender | {' | '.join(SHOWN.values())} |",
        f"| --- |{' --- |' * len(SHOWN)}",
    ]
    for name, answers in found["answers"].items():
        cells = [_cell(answers.get(column, "")) for column in SHOWN]
        lines.append(f"| {f'**{name}**' if name.startswith(OURS) else name} | {' | '.join(cells)} |")
    refusals = [
        f"- {name}, {SHOWN[column]}: `{text.replace('`', '')[:140]}`"
        for name, reasons in found["reasons"].items()
        for column, text in list(reasons.items())[:1]
    ]
    return "\n".join([*lines, *(["", "What the first refusal of each says:", "", *refusals] if refusals else []), ""])


def _cell(answer: str) -> str:
    if answer in {EXACT, REFUSED}:
        return "✓" if answer == EXACT else "refused"
    return f"`{answer.replace('|', '')}`" if answer not in {"", NOTHING} else answer
