"""What a run has cost at least, from what is known at its end. The prices are data of their own: ``prices.json``.

Not known here, and so not counted: requests to S3, Secrets Manager and Parameter Store, logs, traces, network, the time
of the three short functions, the attempts of a table that were replaced in a redrive, and, where several read a table,
the time of the ranges beside its longest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rds_to_s3.commit.entries import TableEntry
from rds_to_s3.reported.manifest import CostEntry

PRICES = Path(__file__).with_name("prices.json")
STATES_OF_A_ROUND = 11
"""TakeInput or TakeFailedTables, ReadTableList, ListRunningRuns, PlanRun, ExtractTables, ReadRanges, WriteManifest,
AnnounceRun, CheckRun, RetryFailed? and the end."""
STATES_OF_AN_INVOCATION = 2
"""ExtractTable and TableFinished?, or ReadRange and RangeFinished?. The last state of a table or range is one more."""
FUNCTIONS_OF_A_ROUND = 3


@dataclass(frozen=True)
class ExtractSize:
    """What an invocation of ExtractTable is billed by.

    Attributes
    ----------
    memory : int
        MiB.
    architecture : str
        ``arm64`` or ``x86_64``.
    """

    memory: int
    architecture: str


def cost_of(size: ExtractSize, tables: Sequence[TableEntry], redrives: int) -> CostEntry:
    """Add up what the run has used, and price it.

    Step Functions bills each transition, those of retries and redrives included; a round is the first one or a redrive.
    """
    rounds = 1 + redrives
    invocations = sum(_invocations_of(table) + max(table.attempts - 1, 0) for table in tables)
    ranges = sum(table.readers for table in tables if table.readers > 1)
    gb_seconds = sum(table.seconds for table in tables) * size.memory / 1024
    requests = invocations + FUNCTIONS_OF_A_ROUND * rounds
    transitions = STATES_OF_A_ROUND * rounds + STATES_OF_AN_INVOCATION * invocations
    transitions += len(tables) + ranges
    prices = read_prices()
    usd = (
        gb_seconds * prices["lambda_gb_second"][size.architecture]
        + requests * prices["lambda_request"]
        + transitions * prices["state_transition"]
    )
    return CostEntry(
        gb_seconds=round(gb_seconds, 3),
        requests=requests,
        transitions=transitions,
        amount=round(usd, 6),
        currency=prices["currency"],
        prices_as_of=prices["as_of"],
        prices_of=prices["region"],
    )


def _invocations_of(table: TableEntry) -> int:
    """Return the calls of ExtractTable for a table, its ranges included: the last range's call also joins them."""
    return max(table.invocations - (table.readers > 1), 1)


@cache
def read_prices() -> Mapping[str, Any]:
    """Read the price list."""
    prices: dict[str, Any] = json.loads(PRICES.read_text(encoding="utf-8"))
    return prices
