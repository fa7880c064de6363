"""What a trial costs: the estimate before it, and the budget while it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from smoke.errors import BudgetSpentError

PRICES = Path(__file__).with_name("prices.json")


@cache
def read_prices() -> dict[str, Any]:
    """Read the price list: prices an hour and once; `hours` and `elsewhere` make the estimate a high one."""
    prices: dict[str, Any] = json.loads(PRICES.read_text(encoding="utf-8"))
    return prices


def factor(region: str) -> float:
    """Return by how much the prices of a region may exceed those of the list."""
    prices = read_prices()
    return 1.0 if region == prices["region"] else float(prices["elsewhere"])


def estimate(region: str) -> float:
    """Return the highest cost that is expected of a trial, in USD."""
    return _cost(region, read_prices()["hours"] * 3600)


def _cost(region: str, seconds: float) -> float:
    prices = read_prices()
    hours = max(seconds, 600) / 3600  # RDS bills ten minutes at least
    return float(factor(region) * (sum(prices["an_hour"].values()) * hours + sum(prices["once"].values())))


@dataclass
class Purse:
    """The budget of a trial. Nothing is spent before `open`."""

    region: str
    budget: float
    clock: Callable[[], float] = time.monotonic
    opened: float | None = field(default=None, init=False)

    def open(self) -> None:
        """From now on something is there that costs."""
        self.opened = self.clock()

    def spent(self) -> float:
        """Return what the trial has cost so far, in USD, by the price list."""
        return 0.0 if self.opened is None else _cost(self.region, self.clock() - self.opened)

    def check(self) -> None:
        """Raise `BudgetSpentError` once the budget is spent."""
        if self.spent() > self.budget:
            raise BudgetSpentError(f"the budget of ${self.budget:.2f} is spent, by the estimate: deleting everything")
