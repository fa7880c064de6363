"""What a run has cost at least."""

from __future__ import annotations

import json
from datetime import date

import pytest

from rds_to_s3.manifest import cost as cost_module
from rds_to_s3.manifest.cost import ExtractSize, cost_of, read_prices
from rds_to_s3.manifest.report import render_report
from tests.statemachine import definition
from tests.support.manifests import entry, manifest

ARM = ExtractSize(1769, "arm64")


def test_the_price_list_is_data_with_a_date_and_its_sources() -> None:
    prices = json.loads(cost_module.PRICES.read_text())
    assert date(2025, 1, 1) < date.fromisoformat(prices["as_of"]) <= date.today()
    assert all(source.startswith("https://aws.amazon.com/") for source in prices["sources"])
    assert set(prices["lambda_gb_second"]) == {"arm64", "x86_64"}


def test_a_run_of_two_tables_is_priced_by_hand() -> None:
    tables = [entry("orders", seconds=10.0), entry("menu", seconds=2.0)]
    cost = cost_of(ARM, tables, 0)
    assert cost.gb_seconds == pytest.approx(12 * 1769 / 1024, abs=1e-3)
    assert (cost.requests, cost.transitions) == (2 + 3, 11 + 2 * 2 + 2)
    assert cost.amount == pytest.approx(12 * 1769 / 1024 * 0.0000133334 + 5 * 0.0000002 + 17 * 0.000025, abs=1e-6)
    assert (cost.currency, cost.prices_as_of) == ("USD", read_prices()["as_of"])


def test_continuations_retries_and_redrives_cost_too_and_x86_costs_more() -> None:
    plain = cost_of(ARM, [entry("orders", seconds=10.0)], 0)
    longer = cost_of(ARM, [entry("orders", seconds=10.0, invocations=3, attempts=2)], 0)
    assert (longer.requests - plain.requests, longer.transitions - plain.transitions) == (3, 6)
    redriven = cost_of(ARM, [entry("orders", seconds=10.0)], 2)
    assert (redriven.requests - plain.requests, redriven.transitions - plain.transitions) == (6, 22)
    # One call divides the table, one reads each range, and the last of them joins them: test_readers.py counts them.
    shared = cost_of(ARM, [entry("orders", seconds=10.0, readers=4, invocations=1 + 4 + 1)], 0)
    assert (shared.requests - plain.requests, shared.transitions - plain.transitions) == (4, 4 * 3)
    assert cost_of(ExtractSize(1769, "x86_64"), [entry("orders", seconds=10.0)], 0).amount > plain.amount


def test_a_run_that_was_not_planned_costs_a_little() -> None:
    cost = cost_of(ARM, [], 0)
    assert (cost.gb_seconds, cost.requests) == (0, 3)
    assert 0 < cost.amount < 0.001


def test_the_states_that_are_counted_are_those_of_the_definition() -> None:
    machine = definition.as_deployed()
    assert len(set(machine["States"]) - {"TakeFailedTables"}) == cost_module.STATES_OF_A_ROUND
    inside = machine["States"]["ExtractTables"]["ItemProcessor"]["States"]
    assert len(set(inside) - {"TableFinished", "TableFailed"}) == cost_module.STATES_OF_AN_INVOCATION


def test_the_report_shows_it_with_the_prices_date_and_an_older_manifest_shows_none() -> None:
    priced = manifest(cost=cost_of(ARM, [entry(seconds=600.0)], 0).model_dump())
    page = render_report(priced, [], bucket="b", region="eu-west-1")
    assert "Cost at least" in page
    assert f"on {read_prices()['as_of']}" in page
    assert "Cost at least" not in render_report(manifest(), [], bucket="b", region="eu-west-1")
