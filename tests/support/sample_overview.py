"""The standing of the tables of the sample report, and of more: one behind, one new, one that fails for a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rds_to_s3.manifest.overview.page import Facts
from rds_to_s3.manifest.overview.standing import Failure, Standings, TableStanding
from rds_to_s3.plan.execution import utc_text
from rds_to_s3.reported.manifest import Manifest, RunSummary
from tests.support.sample_report import BUCKET, START, UNTIL, earlier_runs, sample_manifest

_DENIED = "the user 'extractor' may not read `orders`. Grant it:\nGRANT SELECT ON `food`.`orders` TO 'extractor'@'%';"
_LOST = "the connection to the server was lost after 1,204,331 rows"
_ROWS = {
    "location": 0, "customer": 5_740, "restaurant": 331, "delivery_agent": 12, "customer_address": 5_810,
    "menu": 12_170, "order_item": 1_847_200, "delivery": 98_115, "orders": 311_420,
}  # fmt: skip


def sample_facts() -> Facts:
    """Return what the page shows."""
    runs = [*earlier_runs(), Manifest.model_validate(sample_manifest()).summary]
    runs.sort(key=lambda run: run.started_at)
    tables = {name: _standing(name, rows) for name, rows in _ROWS.items()}
    tables["orders"] = tables["orders"].model_copy(update=_failing(runs))
    lost = Failure(run_id=runs[-7].run_id, at=runs[-7].started_at, type="ReadInterruptedError", message=_LOST)
    tables["order_item"] = tables["order_item"].model_copy(update={"whole_until": None, "failures": [lost]})
    tables["city"] = TableStanding(planned_at=1.0)
    tables["courier_position_history_of_the_last_ninety_days"] = _standing("", 4_100_000)
    lags = {name: 612.0 for name in tables if name != "city"}
    lags |= {"orders": 93_600.0, "delivery": 32_400.0}
    until = dict.fromkeys(lags, UNTIL) | {"orders": "2025-04-01 11:59:56", "delivery": "2025-04-02 03:09:56"}
    standings = Standings(
        generation=7, planned_at=1.0, counted_since=utc_text(START - timedelta(days=9)), tables=tables
    )
    return Facts(standings, until, lags, runs, 8.0, BUCKET, START + timedelta(minutes=10))


def _standing(name: str, rows: int) -> TableStanding:
    days = {f"{START - timedelta(days=day):%Y-%m-%d}": rows for day in range(7)}
    proves = name not in {"delivery_agent"}
    return TableStanding(planned_at=1.0, proves=proves, whole_until=UNTIL if proves else None, days=days)


def _failing(runs: list[RunSummary]) -> dict[str, object]:
    failed = [
        Failure(run_id=run.run_id, at=run.started_at, type="DatabaseAccessError", message=_DENIED)
        for run in (runs[-1], runs[-2], runs[-3])
    ]
    return {"failed_runs": 6, "failing_since": runs[-6].started_at, "failures": failed, "whole_until": None}


def hostile_facts(hostile: str) -> Facts:
    """Tables with hostile and with long names, one with no space to break it."""
    facts = sample_facts()
    names = [hostile, "ATableOfLongName" * 4, "注文明細表" * 12, *facts.standings.tables]
    tables = dict(zip(names, [*facts.standings.tables.values()] * 2, strict=False))
    return replace(facts, standings=facts.standings.model_copy(update={"tables": tables}), bucket=hostile)
