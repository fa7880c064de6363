"""One large table with 1, 2, 4 and 8 readers, through the deployed local stack."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.deployed.system import BYTES_PER_SECOND, MOST_READERS, Deployed, Execution
from benchmarks.tables import LARGE, ONE_ROW

AIMS = {2: 1.8, 4: 3.3, 8: 5.5}
_INTRO = """\
## One table, many readers

`large`, {rows:,} rows of 250 bytes, is loaded by 1 to {most} [readers](tune.md#one-table-many-readers) through the
whole deployed local stack. A proxy lets each connection carry {rate:.0f} MB/s in place of Lambda's network. The times
are of whole executions, from their start to their end. {when}

*Network* is the time that the bytes take through so many connections. *Rest* is everything else: plan, division, calls
of functions, uneven ranges, commit, manifest. The same execution of a table of one row takes {fixed:.1f} s. CPU and peak
memory are of the extractor's processes. The database, the local AWS (in Python) and the proxy share the two cores.

| readers | wall s | times faster | aim | network s | rest s | CPU s per million rows | peak MB of one | CPU s: database | local AWS | proxy |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""  # noqa: E501 - the head of a table


def measure(deployed: Deployed) -> dict[str, Any]:
    """Load the table with each number of readers."""
    with deployed.behind_a_slow_network() as network:
        # The first calls start the functions' processes.
        deployed.first_load(network, LARGE, MOST_READERS)
        fixed = deployed.first_load(network, ONE_ROW, 1)
        runs = []
        for readers in (1, *AIMS):
            runs.append(deployed.first_load(network, LARGE, readers))
            print(f"  {LARGE}, {readers} readers: {runs[-1].seconds:.1f} s", file=sys.stderr)
    return {"fixed": fixed.seconds, "runs": [asdict(run) for run in runs]}


def section(found: Mapping[str, Any], when: str) -> str:
    """Write the part of the page."""
    runs = [Execution(**run) for run in found["runs"]]
    one = next(run for run in runs if run.readers == 1)
    lines = []
    for run in runs:
        network = run.carried / BYTES_PER_SECOND / run.readers
        lines.append(
            f"| {run.readers} | {run.seconds:.1f} | {one.seconds / run.seconds:.2f} | {AIMS.get(run.readers, '')} "
            f"| {network:.1f} | {run.seconds - network:.1f} | {run.cpu / run.rows * 1e6:.2f} | {run.peak_mb:.0f} "
            f"| {run.server_cpu:.1f} | {run.aws_cpu:.1f} | {run.network_cpu:.1f} |"
        )
    intro = _INTRO.format(
        rows=one.rows, most=MOST_READERS, rate=BYTES_PER_SECOND / 1e6, fixed=found["fixed"], when=when
    )
    return intro + "\n".join([*lines, ""])
