"""Writes the generated part of docs/errors.md: ``python -m rds_to_s3_ops.error_docs``, in the checkout.

It lists every known error number and code, and how long the state machine retries each error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rds_to_s3.errors import PermanentError, RdsToS3Error
from rds_to_s3.manifest.report.figures import duration
from rds_to_s3.mysql.error_numbers import ACCESS, INTERRUPTED, LOGIN
from rds_to_s3.mysql.error_numbers import Refusal as ServerRefusal
from rds_to_s3.mysql.row_error_numbers import ROWS
from rds_to_s3.s3.error_codes import REFUSALS

PAGE = Path("docs/errors.md")
STATE_MACHINE = Path("statemachine/extract_tables.asl.json")
MARK = "<!-- Written by `python -m rds_to_s3_ops.error_docs` from here on; a test compares. -->\n"

_PLACEHOLDERS = {
    "account": "'USER'@'%'",
    "user": "'USER'",
    "table": "DATABASE.TABLE",
    "column": "a virtual column",
    "exclude": '"COLUMN"',
    "grant": "GRANT SELECT ON DATABASE.TABLE TO 'USER'@'%';",
}
_S3_PLACEHOLDERS = {"bucket": "BUCKET", "key": "KEY", "action": "the action"}

Retrier = Mapping[str, Any]


def retriers(state_machine: str) -> list[Retrier]:
    """Return the retriers of ExtractTable, from the definition's text; PlanRun has the same."""
    tables = json.loads(state_machine)["States"]["ExtractTables"]["ItemProcessor"]["States"]
    found: list[Retrier] = tables["ExtractTable"]["Retry"]
    return found


def pauses(retrier: Retrier) -> list[float]:
    """Return the seconds before each further attempt; with jitter, the maximum."""
    first, rate, limit = retrier["IntervalSeconds"], retrier["BackoffRate"], retrier["MaxDelaySeconds"]
    return [min(first * rate**attempt, limit) for attempt in range(retrier["MaxAttempts"])]


def retried(error: type[RdsToS3Error], found: Iterable[Retrier]) -> str:
    """Return whether, and for how long, an error is retried."""
    if issubclass(error, PermanentError):
        return "no"
    retrier = next(one for one in found if {error.__name__, "States.ALL"} & set(one["ErrorEquals"]))
    up_to = "up to " if retrier["JitterStrategy"] == "FULL" else ""
    return f"{retrier['MaxAttempts']} times, {up_to}{duration(sum(pauses(retrier)))}"


def generated_part(state_machine: str) -> str:
    """Return the part of the page after the mark."""
    found = retriers(state_machine)
    parts = [
        "\n## How long an error is retried\n\n"
        "The pauses between the attempts of ExtractTable and PlanRun. A pause with jitter is random, up to the "
        "listed length.\n\n"
        "| error | attempts | pauses in seconds | in all |\n| --- | --- | --- | --- |\n",
        *map(_pauses_row, filter(lambda one: one["MaxAttempts"], found)),
        "\n## Numbers of the database\n\n"
        "The table lists the server's error numbers. For any other number, the class of its SQLSTATE decides: 08 is a "
        "broken connection, 22 a row that cannot be computed, 28 a refused login. Every other error is retried like a "
        "broken connection.\n",
        *_section("A login is refused", LOGIN, found),
        *_section("Something is missing, or the user may not read it", ACCESS, found),
        *_section("A read ends early", INTERRUPTED, found),
        *_section("Rows cannot be read", ROWS, found),
        "\n## Codes of S3\n\n"
        "For any other code, the HTTP status decides: 403 is `AccessDenied`; 408, 409, 425, 429 and 5xx are "
        "retried; all others are not.\n\n"
        "| code | error | retried | cause | what helps |\n| --- | --- | --- | --- | --- |\n",
        *(
            _row(", ".join(f"`{code}`" for code in refusal.codes), refusal.error, found, refusal.cause,
                 refusal.remedy.format(**_S3_PLACEHOLDERS))
            for refusal in REFUSALS
        ),
    ]  # fmt: skip
    return "".join(parts)


def _pauses_row(retrier: Retrier) -> str:
    errors = ", ".join(f"`{name}`" for name in retrier["ErrorEquals"]).replace("`States.ALL`", "every other")
    jitter = " (jitter)" if retrier["JitterStrategy"] == "FULL" else ""
    listed = ", ".join(f"{pause:g}" for pause in pauses(retrier))
    return f"| {errors} | {retrier['MaxAttempts'] + 1} | {listed}{jitter} | {duration(sum(pauses(retrier)))} |\n"


def _section(title: str, refusals: Iterable[ServerRefusal], found: list[Retrier]) -> list[str]:
    head = f"\n### {title}\n\n| number | error | retried | cause | what helps |\n| --- | --- | --- | --- | --- |\n"
    return [head, *(
        _row(", ".join(f"{number} {name}" for number, name in refusal.numbers.items()), refusal.error, found,
             refusal.cause.format(**_PLACEHOLDERS), refusal.remedy.format(**_PLACEHOLDERS))
        for refusal in refusals
    )]  # fmt: skip


def _row(names: str, error: type[RdsToS3Error], found: list[Retrier], cause: str, remedy: str) -> str:
    return f"| {names} | `{error.__name__}` | {retried(error, found)} | {cause} | {remedy} |\n"


def whole_page(page: str, state_machine: str) -> str:
    """Return the page with a new generated part."""
    return page.partition(MARK)[0] + MARK + generated_part(state_machine)


if __name__ == "__main__":
    PAGE.write_text(whole_page(PAGE.read_text(encoding="utf-8"), STATE_MACHINE.read_text(encoding="utf-8")), "utf-8")
