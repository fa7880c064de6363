"""Run every contender in turn, in several rounds. Print the medians, and write JSON and a plot.

Settings come from the environment: BENCH_ROWS (1000000), BENCH_LARGE_ROWS (3200000), BENCH_ROUNDS (3), BENCH_PARTS,
BENCH_CONTENDERS and BENCH_TABLES (names, separated by commas; all of them by default), BENCH_PUBLISH=1 (write
docs/benchmark.md and its plot as well; what was not measured stays there as it was).
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import extreme_row, page
from benchmarks.cold_start import cold_starts
from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.programs import REPOSITORY
from benchmarks.deployed import gentle, readers
from benchmarks.deployed.system import Deployed
from benchmarks.measuring import PROGRAMS, Bench, measure
from benchmarks.tables import NAMES, make_large_table, make_tables
from local.errors import LocalSystemError, exit_with_message
from local.ministack_server import MiniStack
from local.mysql_server import MySqlServer

PARTS = ("contenders", "row", "readers", "gentle", "cold starts")
HOME = REPOSITORY / ".local" / "bench"
# The tables are read from memory, because the benchmark measures the clients. Purged undo leaves the list at once.
_SERVER_OPTIONS = ("--innodb-buffer-pool-size=2G", "--loose-innodb-purge-rseg-truncate-frequency=1")


def machine() -> dict[str, Any]:
    """Return the description of the machine."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cpu() -> str:
    """Return the model of the machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


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


@contextmanager
def _taken(document: dict[str, Any], part: str, rounds: int) -> Iterator[None]:
    """Record when, where and how often a part is measured, and how many processes are runnable before and after."""
    before = os.getloadavg()[0]
    yield
    load = [round(before, 1), round(os.getloadavg()[0], 1)]
    date = datetime.now(UTC).date().isoformat()
    document["taken"][part] = {"date": date, "cpu": cpu(), "rounds": rounds, "load": load}


def main() -> int:
    rows = int(os.environ.get("BENCH_ROWS", "1000000"))
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    parts = chosen("BENCH_PARTS", PARTS)
    tables = {name: rows // (10 if name == "wide" else 1) for name in NAMES if name in chosen("BENCH_TABLES", NAMES)}
    contenders = chosen("BENCH_CONTENDERS", [*CONTENDERS, *PROGRAMS])
    server = MySqlServer.start(HOME / "mysql", extra_options=_SERVER_OPTIONS)
    aws = MiniStack.start(HOME / "aws")
    document: dict[str, Any] = {"taken": {}, "tables": {}, "missing": {}}
    try:
        server.execute("CREATE DATABASE IF NOT EXISTS bench")
        with server.connect("bench") as connection:
            version = connection.get_server_info()  # type: ignore[no-untyped-call]
            document["machine"] = machine()
            document["server"] = f"{'MariaDB' if server.flavour == 'mariadb' else 'MySQL'} {version}"
            bench = Bench(server.url("bench"), aws, HOME / "venv" / "bin", HOME / "tools")
            if "row" in parts:
                with _taken(document, "row", 1):
                    document["row"] = extreme_row.compare(bench, connection, contenders)
            if "contenders" in parts:
                print(f"tables of {rows:,} rows (made once, a minute) ...", file=sys.stderr)
                make_tables(connection, rows)
                _measure_contenders(document, bench, tables, contenders, rounds)
            if {"readers", "gentle"} & set(parts):
                large = int(os.environ.get("BENCH_LARGE_ROWS", "3200000"))
                print(f"a table of {large:,} rows (made once, a minute) ...", file=sys.stderr)
                make_large_table(connection, large)
                _measure_deployed(document, parts, server, large)
    finally:
        aws.stop()
        server.stop()
        _keep(document)
    if "cold starts" in parts:
        document["cold_starts"] = {name: asdict(start) for name, start in cold_starts().items()}
        _keep(document)
    print(page.summary(document))
    for table, found in page.runs_of(document).items():
        (HOME / f"{table}.svg").write_text(page.plot(table, found))
    if os.environ.get("BENCH_PUBLISH"):
        page.publish(document)
    print(f"kept in {HOME.relative_to(REPOSITORY)}", file=sys.stderr)
    return 0


def _keep(document: dict[str, Any]) -> None:
    (HOME / "results.json").write_text(json.dumps(document, indent=1) + "\n")


def _measure_contenders(
    document: dict[str, Any], bench: Bench, tables: dict[str, int], contenders: Sequence[str], rounds: int
) -> None:
    for table, rows in tables.items():
        with _taken(document, table, rounds):
            found = measure(bench, table, rows, contenders, rounds=rounds, missing=document["missing"])
        document["tables"][table] = {name: [asdict(run) for run in runs] for name, runs in found.items()}


def _measure_deployed(document: dict[str, Any], parts: Sequence[str], server: MySqlServer, rows: int) -> None:
    deployed = Deployed.up(HOME, server)
    if "readers" in parts:
        with _taken(document, "readers", 1):
            document["readers"] = readers.measure(deployed)
    if "gentle" in parts:
        with _taken(document, "gentle", 1):
            document["gentle"] = gentle.measure(deployed, HOME / "venv" / "bin" / "rivet", rows)


if __name__ == "__main__":
    sys.exit(exit_with_message(main))
