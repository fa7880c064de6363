"""`python -m tests.explorer`: play every scenario, or take the guards out and write docs/explorer.md."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass

from tests.explorer.document import DOCUMENT, Bitten, document
from tests.explorer.mutations import MUTATIONS, missed
from tests.explorer.replaced import playing
from tests.explorer.scenarios import SCENARIOS
from tests.explorer.search import Found, Search


@dataclass(frozen=True)
class Played:
    """One scenario's search."""

    name: str
    found: Found
    seconds: float


def play(name: str) -> Played:
    """Search one scenario, in a process of its own."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    began = time.monotonic()
    gc.set_threshold(100_000, 50, 1_000)  # much lives as long as the search, and little is in cycles
    with playing():
        found = Search(scenario).run()
    return Played(name, found, time.monotonic() - began)


def explore(names: list[str], processes: int) -> int:
    """Play scenarios side by side; return the exit code."""
    plays: list[Played] = []
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=1) as pool:
        for played in pool.imap(play, names):
            found = played.found
            print(
                f"{played.name}: {found.schedules} schedules, {found.merged} of them until they met another; "
                f"{len(found.broken)} violations, {played.seconds:.0f} s",
                flush=True,
            )
            plays.append(played)
    broken = [(each, played.name) for played in plays for each in played.found.broken.values()]
    for each, name in sorted(broken, key=lambda pair: (len(pair[0].deviations), len(pair[0].trace)), reverse=True):
        print(f"\nVIOLATION in {name!r} ({each.rule}): {each.what}\n")
        print("\n".join(f"  {number:3} {line}" for number, line in enumerate(each.trace, 1)))
    schedules = sum(played.found.schedules for played in plays)
    print(f"{schedules} schedules, {len(broken)} violations")
    return 1 if broken else 0


def bite() -> int:
    """Take every guard out once, and write what was found into docs/explorer.md."""
    with playing():
        bitten = [Bitten(mutation, missed(mutation)) for mutation in MUTATIONS]
    DOCUMENT.write_text(document(SCENARIOS, bitten))
    for each in bitten:
        print(f"{each.mutation.name}: {each.broken.what if each.broken else 'NOT FOUND'}")
    return 0 if all(each.broken is not None for each in bitten) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.explorer", description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="names of scenarios; all of them without")
    parser.add_argument("--mutations", action="store_true", help="take the guards out, and write docs/explorer.md")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.mutations:
        return bite()
    return explore(options.scenarios or [scenario.name for scenario in SCENARIOS], options.processes)


if __name__ == "__main__":
    sys.exit(main())
