"""A part of what `make explore` plays, and every guard taken out once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.explorer.document import DOCUMENT, GUARDS, HEAD, document
from tests.explorer.mutations import MUTATIONS, Mutation, missed
from tests.explorer.replaced import playing
from tests.explorer.scenarios import SCENARIOS
from tests.explorer.search import Scenario, Search


@pytest.fixture(autouse=True)
def _playing() -> Iterator[None]:
    with playing():
        yield


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_schedule_of_the_smaller_set_breaks_a_rule(scenario: Scenario) -> None:
    bounds = replace(scenario.bounds, together=1)
    found = Search(replace(scenario, bounds=bounds)).run(most=60)
    assert not {rule: [broken.what, *broken.trace] for rule, broken in found.broken.items()}
    assert found.schedules == 60


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_without_a_guard_a_rule_breaks(mutation: Mutation) -> None:
    broken = missed(mutation)
    assert broken is not None
    assert broken.rule == mutation.rule
    with_guard = Search(mutation.scenario).run(most=20)
    assert mutation.rule not in with_guard.broken


def test_the_same_choices_play_the_same_schedule() -> None:
    first, second = (Search(SCENARIOS[0]).run(most=40) for _ in range(2))
    assert first == second


def test_the_page_has_every_scenario_and_every_guard() -> None:
    page = DOCUMENT.read_text()
    written = document(SCENARIOS, [])
    assert page.startswith(written.partition(GUARDS)[0]), "docs/explorer.md is out of date: make explorer-page"
    guards = re.findall(r"^\| (.+?) \| .+ \| \d+ \|$", page.partition(GUARDS)[2], re.MULTILINE)
    assert guards == [mutation.guard for mutation in MUTATIONS]
    assert HEAD in page
