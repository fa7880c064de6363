"""Writes docs/explorer.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.explorer.mutations import Mutation
from tests.explorer.search import Broken, Scenario

DOCUMENT = Path(__file__).parents[2] / "docs" / "explorer.md"
HEAD = """# Every interleaving of a few invocations

`make explore` plays the real extractor and the real manifest function on a bucket in memory. A scheduler decides on
every request and owns the clock. At each request it chooses: the request succeeds, it fails, or another invocation
takes over. It plays all choices within the bounds below. Where two schedules reach the same state, it continues only
one of them. The same choices always play the same schedule. The last line is `N schedules, 0 violations`. A violation
is printed with its shortest schedule, request by request. `make test` plays a part.

A schedule that deviates from another one continues from a copy of the bucket and the clock at that point. An invocation
depends only on the answers to its requests. So its code runs once for each list of answers, and not once for each
schedule.

Not modelled: simultaneous requests of one invocation (they happen one after the other), S3's limits, listings of
several pages, and MySQL. A small scripted table represents MySQL. It changes at every plan and at every connection.

## What can happen to a request

| choice | what happens |
| --- | --- |
| die after | the request takes effect, and the process ends; before the first change also without effect |
| down | no effect, and the caller sees that S3 cannot be reached |
| lost | the request takes effect, and the caller sees that S3 cannot be reached |
| again | the answer is lost, and boto3's retry finds what the first request did |
| conflict | a conditional write is answered 409 without effect |
| switch | another invocation takes over; the interrupted one is frozen until it is chosen again |
| expiry | with a switch, or where an actor ends: all leases expire; in one scenario the frozen clock does not advance |

## What must hold

After every request:

- A run takes no lease that another run holds.
- No decision is written under a lease that has expired.
- Nothing becomes visible that no commit names, and nothing visible is overwritten.
- The watermark moves only as the decision in the register says, from the value that the read began with, and never
  before the files are visible.
- No invocation removes what belongs to the holder of the table, or what the table's state names.
- A manifest that reports a success names all files that its run has committed and no other run has taken.

Every schedule ends. At the end, time passes and one more run ends undisturbed. Then:

- The newest version of every row is delivered, and no version is in two files.
- Every delete is reported once.
- Every visible file is in exactly one manifest, with its bytes.
- No upload, lease, progress, digest or value is left over.

## What is played

Bounds: interruptions, faults, expiries of all leases, and interruptions and faults together.

| scenario | interruptions | faults | expiries | together |
| --- | --- | --- | --- | --- |
"""
GUARDS = """
## What happens without a guard

Written by `python -m tests.explorer --mutations`, which removes one guard at a time. `make test` does the same.

| guard | without it | lines of the shortest schedule |
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
