"""Writes docs/explorer.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.explorer.mutations import Mutation
from tests.explorer.search import Broken, Scenario

DOCUMENT = Path(__file__).parents[2] / "docs" / "explorer.md"
HEAD = """# Every interleaving of a few invocations

`make explore` plays the real extractor and the real manifest function on a bucket in memory. A scheduler owns every
request and the clock. At each request it chooses: the request happens, it fails, or another invocation takes over. All
choices within the bounds below are played; where two schedules meet in the same state, one of them is played on. The
same choices always play the same schedule. The last line is `N schedules, 0 violations`; a violation is printed with
its shortest schedule, request by request. `make test` plays a part.

Not modelled: requests of one invocation that are under way at the same time (they happen one after the other), S3's
limits and listings of several pages, and MySQL, in whose place stands a small scripted table that changes at every plan
and every connection.

## What a request may come to

| choice | what happens |
| --- | --- |
| die after | the request takes effect, and the process is gone; before its first change also without effect |
| down | no effect, and the caller sees that S3 cannot be reached |
| lost | the request takes effect, and the caller sees that S3 cannot be reached |
| again | the answer is lost, and boto3's retry meets what the first request did |
| conflict | a conditional write is answered 409 without effect |
| switch | another invocation takes over; the interrupted one is frozen until it is chosen again |
| expiry | with a switch, or where an actor ends: all leases expire; in one scenario the frozen clock stands still |

## What must hold

After every request: a run takes no lease that another run holds; no decision is written under a lease that has expired;
nothing becomes visible that no commit names, and nothing visible is overwritten; the watermark moves only as the
decision in the register says, from what its read began with, and never ahead of its files; no invocation removes what
belongs to the holder of the table, or what the table's state names. Every schedule ends.

At the end, when time has passed and a last run has ended undisturbed: the newest version of every row is delivered, no
version is in two files, every delete is told once, every visible file is in exactly one manifest with its bytes, and
no upload, lease, progress, digest or value is left over.

## What is played

Bounds: interruptions, faults, expiries of all leases, and interruptions and faults together.

| scenario | interruptions | faults | expiries | together |
| --- | --- | --- | --- | --- |
"""
GUARDS = """
## What happens without a guard

Written by `python -m tests.explorer --mutations`, which takes out one guard at a time. `make test` does so, too.

| guard | without it | requests of the shortest schedule |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Bitten:
    """What the explorer found without a guard."""

    mutation: Mutation
    broken: Broken | None


def document(scenarios: Sequence[Scenario], bitten: Sequence[Bitten]) -> str:
    """Return the page."""
    lines = []
    for scenario in scenarios:
        bounds = scenario.bounds
        lines.append(
            f"| {scenario.title} | {bounds.switches} | {bounds.faults} | {bounds.expiries} | {bounds.together} |"
        )
    guards = [
        f"| {each.mutation.guard} | {each.broken.what} | {len(each.broken.trace)} |" for each in bitten if each.broken
    ]
    return HEAD + "\n".join(lines) + "\n" + GUARDS + "\n".join(guards) + "\n"
