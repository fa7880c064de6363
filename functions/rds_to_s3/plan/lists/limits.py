"""How many tables, and readers of one table, one execution holds.

Step Functions keeps 25,000 events of an execution and 256 KiB of state
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). A table that is read once takes 11 events.
Its name is twice in the state of WriteManifest: in the plan, and in its result. A range of a table takes as many
events, and has the table's name twice: in the list of ranges, and in its result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rds_to_s3.errors import TableListError
from rds_to_s3.plan.table_list import TableSpec

MOST_TABLES = 2_000  # 22,000 events; the rest is for retries, continued reads and redrives
MOST_STATE_BYTES = 200 * 1024  # of 256 KiB; the rest is the document, the input and the running executions
RESULT_BYTES = 90  # of a table in plan and results, without its name
RANGE_BYTES = 80  # of a range in the list and in the results, without the table's name


def state_bytes(names: Iterable[str]) -> int:
    """Return how many bytes of state the tables take at most."""
    return sum(2 * len(json.dumps(name)) + RESULT_BYTES for name in names)


def readers_that_fit(tables: Sequence[TableSpec], table: TableSpec) -> int:
    """Return how many readers a table may have, so that the ranges of all tables of its run fit.

    A number that the table list gives is kept, if those of all tables fit. The others share the rest, since how many
    of them are large is not known.
    """
    names = [spec.name for spec in tables]
    bytes_of_a_range = RANGE_BYTES + 2 * max(len(json.dumps(name)) for name in names)
    fit = min(MOST_TABLES - len(names), (MOST_STATE_BYTES - state_bytes(names)) // bytes_of_a_range)
    given = [spec.readers for spec in tables if spec.readers not in {"auto", 1}]
    left, sharing = fit, [spec for spec in tables if spec.readers != 1]
    taken = sum(number for number in given if isinstance(number, int))
    if taken <= fit:
        if isinstance(table.readers, int):
            return table.readers
        left, sharing = fit - taken, [spec for spec in tables if spec.readers == "auto"]
    return max(1, left // max(len(sharing), 1))


def refuse_too_many(names: list[str]) -> None:
    """Refuse a run that its execution could not finish.

    Raises
    ------
    TableListError
    """
    if len(names) <= MOST_TABLES and state_bytes(names) <= MOST_STATE_BYTES:
        return
    fit = 0
    left = MOST_STATE_BYTES
    for name in names[:MOST_TABLES]:
        left -= state_bytes([name])
        if left < 0:
            break
        fit += 1
    raise TableListError(
        f"the run has {len(names):,} tables, and one execution holds {fit:,} of them (25,000 events, 256 KiB of "
        'state): nothing was read. Divide them among several executions, such as {"tables": ["a*", "b*"]}, each with a '
        "schedule of its own, or among several stacks"
    )
