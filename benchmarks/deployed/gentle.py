"""How an application feels the readers: its response times beside ours, and beside rivet's chunked mode."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from benchmarks.contenders import programs
from benchmarks.deployed.oltp import CONNECTIONS, PER_SECOND, UPDATES
from benchmarks.deployed.source import Source
from benchmarks.deployed.system import BYTES_PER_SECOND, Deployed
from benchmarks.measuring import OURS
from benchmarks.tables import LARGE
from local.errors import LocalSystemError
from local.slow_network import SlowNetwork

READERS = (1, 4, 8)
WORKERS = (4, 8)
QUIET_SECONDS = 20
_INTRO = """\
## How gentle it is

A small application has {connections} connections to the same table on the same server. At a fixed rate of {rate}
statements a second it reads rows by key ({reads:.0%}) or updates one ({updates:.0%}). Below are its response times
while the table is loaded once, each connection of the readers carrying {speed:.0f} MB/s. Each time begins when the
statement was due, so that waiting counts. The readers and the local AWS run at the lowest priority, since in production
they are on other machines. {when}

*Statement* and *snapshot* are the longest statement and the oldest transaction of the readers. *Undo* is how many
transactions InnoDB's history list grew by: old versions of rows that a snapshot keeps from being purged.

| beside | s | read p50 ms | p99 | max | update p50 ms | p99 | max | statement s | snapshot s | undo |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def measure(deployed: Deployed, binary: Path, rows: int) -> dict[str, Any]:
    """Let the application run beside nothing, beside our readers, and beside rivet's workers."""
    runs = {}
    with deployed.behind_a_slow_network() as network:
        # The first calls start the functions' processes.
        deployed.first_load(network, LARGE, max(READERS))
        variants: dict[str, Callable[[], object]] = {"nothing": lambda: time.sleep(QUIET_SECONDS)}
        for readers in READERS:
            variants[f"{OURS}, {_number(readers, 'reader')}"] = _ours(deployed, network, readers)
        for workers in WORKERS:
            variants[f"rivet chunked, {_number(workers, 'worker')}"] = _rivet(deployed, network, binary, rows, workers)
        for name, read in variants.items():
            runs[name] = _beside(deployed, rows, read)
            print(f"  beside {name}: {runs[name]}", file=sys.stderr)
    return {"runs": runs}


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _ours(deployed: Deployed, network: SlowNetwork, readers: int) -> Callable[[], object]:
    def read() -> None:
        aws = int((deployed.local.aws.directory / "ministack.pid").read_text())
        with _lowest_priority([aws, *deployed.functions()]):
            deployed.first_load(network, LARGE, readers)

    return read


@contextmanager
def _lowest_priority(pids: Sequence[int]) -> Iterator[None]:
    threads = [int(entry.name) for pid in pids for entry in Path(f"/proc/{pid}/task").iterdir()]
    before = {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
    for thread in threads:
        os.setpriority(os.PRIO_PROCESS, thread, 19)
    try:
        yield
    finally:
        for thread, priority in before.items():
            if Path(f"/proc/{thread}").exists():
                os.setpriority(os.PRIO_PROCESS, thread, priority)


def _rivet(deployed: Deployed, network: SlowNetwork, binary: Path, rows: int, workers: int) -> Callable[[], object]:
    def read() -> None:
        password = token_urlsafe(18)
        deployed.server.execute(
            "CREATE USER IF NOT EXISTS 'peer'@'%'",
            f"ALTER USER 'peer'@'%' IDENTIFIED BY '{password}'",
            "GRANT SELECT ON bench.* TO 'peer'@'%'",
        )
        with tempfile.TemporaryDirectory() as folder:
            chunks = programs.Chunks("bench", "id", -(-rows // (4 * workers)), workers)
            program = programs.rivet_chunked(str(binary), "csv", LARGE, Path(folder), chunks)
            environment = programs.environment(f"mysql://peer:{password}@127.0.0.1:{network.port}/bench")
            command = ["nice", "-n", "39", *program.command]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalSystemError(f"rivet: {done.stderr[-2000:]}")

    return read


def _beside(deployed: Deployed, rows: int, read: Callable[[], object]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.deployed.oltp", LARGE, str(rows)]
    environment = programs.environment(deployed.server.url("bench"))
    with (
        Source(deployed.server, "extractor", "peer") as source,
        subprocess.Popen(
            command, cwd=programs.REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as application,
    ):
        began = time.monotonic()
        read()
        seconds = time.monotonic() - began
        output, _ = application.communicate()
    assert source.left is not None
    times = {kind: quantiles(found) for kind, found in json.loads(output).items()}
    return {"seconds": seconds, **times, **vars(source.left)}


def quantiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the largest.

    Examples
    --------
    >>> quantiles([1.0] * 98 + [5.0, 9.0])
    {'p50': 1.0, 'p99': 5.0, 'max': 9.0}
    """
    found = sorted(milliseconds)
    return {
        "p50": found[len(found) // 2],
        "p99": found[max(-(-len(found) * 99 // 100) - 1, 0)],
        "max": found[-1],
    }


def section(found: Mapping[str, Any], when: str) -> str:
    """Write the part of the page."""
    lines = []
    for name, run in found["runs"].items():
        times = " | ".join(
            f"{run[kind][figure]:.1f}" for kind in ("read", "update") for figure in ("p50", "p99", "max")
        )
        lines.append(
            f"| {f'**{name}**' if name.startswith(OURS) else name} | {run['seconds']:.0f} | {times} "
            f"| {run['longest_statement']:.1f} | {run['oldest_snapshot']:.1f} | {run['undo']:,} |"
        )
    intro = _INTRO.format(
        connections=CONNECTIONS,
        rate=PER_SECOND,
        reads=1 - UPDATES,
        updates=UPDATES,
        speed=BYTES_PER_SECOND / 1e6,
        when=when,
    )
    return intro + "\n".join([*lines, ""])
