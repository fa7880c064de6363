"""Run every contender in turn, in several rounds. Print the medians, and write JSON and a plot.

Settings come from the environment: BENCH_ROWS (2000000), BENCH_ROUNDS (3), BENCH_CONTENDERS and BENCH_TABLES (names,
separated by commas; all of them by default), BENCH_PUBLISH=1 (write docs/benchmark.md and its plot as well).
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.cold_start import cold_starts
from benchmarks.contender import CONTENDERS
from benchmarks.measuring import PROGRAMS, Bench, measure
from benchmarks.programs import REPOSITORY
from benchmarks.tables import NAMES, make_tables
from local.errors import LocalSystemError, exit_with_message
from local.ministack_server import MiniStack
from local.mysql_server import MySqlServer

HOME = REPOSITORY / ".local" / "bench"
# The tables are read from memory, because the benchmark measures the clients.
_SERVER_OPTIONS = ("--innodb-buffer-pool-size=2G",)


def machine() -> dict[str, Any]:
    """Return the description of the machine and the server."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def chosen(variable: str, known: Sequence[str]) -> list[str]:
    """Return the names in an environment variable; all if it is not set.

    Raises
    ------
    LocalSystemError
        A name is unknown.
    """
    names = [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]
    unknown = set(names) - set(known)
    if unknown:
        raise LocalSystemError(f"{variable}: no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return names or list(known)


def main() -> int:
    rows = int(os.environ.get("BENCH_ROWS", "2000000"))
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    tables = {name: rows // (10 if name == "wide" else 1) for name in NAMES if name in chosen("BENCH_TABLES", NAMES)}
    contenders = chosen("BENCH_CONTENDERS", [*CONTENDERS, *PROGRAMS])
    before = machine()
    server = MySqlServer.start(HOME / "mysql", extra_options=_SERVER_OPTIONS)
    aws = MiniStack.start(HOME / "aws")
    try:
        server.execute("CREATE DATABASE IF NOT EXISTS bench")
        connection = server.connect("bench")
        print(f"tables of {rows:,} rows (made once, a minute) ...", file=sys.stderr)
        make_tables(connection, rows)
        version = connection.get_server_info()  # type: ignore[no-untyped-call]
        connection.close()
        bench = Bench(server.url("bench"), aws, HOME / "venv" / "bin", HOME / "tools")
        measured = measure(bench, tables, contenders, rounds)
    finally:
        aws.stop()
        server.stop()
    before["load_after"] = [round(load, 1) for load in os.getloadavg()]
    document = {
        "machine": before,
        "server": f"{'MariaDB' if server.flavour == 'mariadb' else 'MySQL'} {version}",
        "rounds": rounds,
        "tables": {
            table: {name: [asdict(run) for run in runs] for name, runs in found.items()}
            for table, found in measured.runs.items()
        },
        "missing": measured.missing,
        "cold_starts": {name: asdict(start) for name, start in cold_starts().items()},
    }
    (HOME / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    print(page.tables(document))
    for table, found in measured.runs.items():
        (HOME / f"{table}.svg").write_text(page.plot(table, found))
    if os.environ.get("BENCH_PUBLISH"):
        page.publish(document)
    print(f"kept in {HOME.relative_to(REPOSITORY)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
