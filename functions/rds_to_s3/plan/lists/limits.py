"""How many tables one execution holds.

Step Functions keeps 25,000 events of an execution and 256 KiB of state
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). A table that is read once takes 11 events.
Its name is twice in the state of WriteManifest: in the plan, and in its result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from rds_to_s3.errors import TableListError

MOST_TABLES = 2_000  # 22,000 events; the rest is for retries, continued reads and redrives
MOST_STATE_BYTES = 200 * 1024  # of 256 KiB; the rest is the document, the input and the running executions
RESULT_BYTES = 90  # of a table in plan and results, without its name


def state_bytes(names: Iterable[str]) -> int:
    """Return how many bytes of state the tables take at most."""
    return sum(2 * len(json.dumps(name)) + RESULT_BYTES for name in names)


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
