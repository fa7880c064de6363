"""A part of what `make explore` plays, and every guard taken out once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.explorer.document import DOCUMENT, GUARDS, document
from tests.explorer.mutations import MUTATIONS, Mutation, missed
from tests.explorer.replaced import playing
from tests.explorer.scenarios import SCENARIOS
from tests.explorer.search import Scenario, Search

PART = 25  # schedules of each scenario


@pytest.fixture(autouse=True)
def _playing() -> Iterator[None]:
    with playing():
        yield


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_schedule_of_the_smaller_set_breaks_a_rule(scenario: Scenario) -> None:
    found = Search(scenario).run(most=PART)
    assert not {rule: [broken.what, *broken.trace] for rule, broken in found.broken.items()}
    assert found.schedules == PART


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_without_a_guard_a_rule_breaks_that_holds_with_it(mutation: Mutation) -> None:
    broken = missed(mutation)
    assert broken is not None
    assert mutation.rule not in Search(mutation.scenario).run(most=PART).broken


def test_the_same_choices_play_the_same_schedules() -> None:
    first, second = (Search(SCENARIOS[0]).run(most=PART) for _ in range(2))
    assert first == second


def test_the_page_has_every_scenario_and_every_guard() -> None:
    page = DOCUMENT.read_text()
    assert page.startswith(document(SCENARIOS, []).rstrip()), "out of date: python -m tests.explorer --mutations"
    guards = re.findall(r"^\| (.+?) \| .+ \| \d+ \|$", page.partition(GUARDS)[2], re.MULTILINE)
    assert guards == [mutation.guard for mutation in MUTATIONS], "out of date: python -m tests.explorer --mutations"
