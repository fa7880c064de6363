"""Run every contender in turn, several rounds, interleaved; print medians, keep them as JSON, draw them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pymysql

from benchmarks import programs
from benchmarks.contender import CONTENDERS
from benchmarks.plot import draw
from benchmarks.programs import REPOSITORY
from benchmarks.tables import NAMES, make_tables

LIMIT = "socket"
PROGRAMS = ("rivet csv", "rivet parquet", "mydumper", "mariadb client")


@dataclass(frozen=True)
class Run:
    """One contender's read of one table.

    Attributes
    ----------
    seconds, cpu : float
        Wall and CPU time of the client.
    peak_mb : float
        The process's largest resident size, imports included.
    """

    rows: int
    seconds: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Bench:
    """Where things are.

    Attributes
    ----------
    python, rivet : str
        Programs of an environment that holds the contenders.
    tools : Path
        Of the Debian tools.
    """

    url: str
    python: str
    rivet: str
    tools: Path

    def run(self, name: str, table: str, rows: int) -> Run:
        """Run one contender; what it writes is thrown away.

        Raises
        ------
        RuntimeError
            It failed.
        """
        with tempfile.TemporaryDirectory() as folder:
            program = self._program(name, table, Path(folder))
            output = program.stdout or Path(folder) / "stdout"
            with output.open("wb") as stdout, (Path(folder) / "stderr").open("wb") as stderr:
                began = time.perf_counter()
                environment = programs.environment(self.url) | program.environment
                process = subprocess.Popen(
                    program.command, stdout=stdout, stderr=stderr, env=environment, cwd=REPOSITORY
                )
                peak = 0.0
                while True:
                    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                    if pid:
                        break
                    peak = max(peak, _peak_mb(process.pid))
                    time.sleep(0.01)
                seconds = time.perf_counter() - began
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError((Path(folder) / "stderr").read_text()[-2000:])
            if name in CONTENDERS:
                told = programs.result_of(output.read_text().splitlines()[-1])
                return Run(int(told["rows"]), told["seconds"], told["cpu"], peak)
            return Run(rows, seconds, usage.ru_utime + usage.ru_stime, peak)

    def _program(self, name: str, table: str, folder: Path) -> programs.Program:
        if name in CONTENDERS:
            return programs.Program([self.python, "-m", "benchmarks.contender", name, table, str(folder / "out")])
        if name.startswith("rivet"):
            return programs.rivet(self.rivet, name.split()[1], table, folder)
        make = programs.mydumper if name == "mydumper" else programs.client
        return make(programs.debian_tools(self.tools), self.url, table, folder)


def _peak_mb(pid: int) -> float:
    """Return a running process's peak so far; `wait4` would count this process's own size before the exec."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def medians(runs: Sequence[Run]) -> Run:
    """Return the median of each figure."""
    return Run(*(statistics.median(getattr(run, name) for run in runs) for name in Run.__dataclass_fields__))


def measure(
    bench: Bench, tables: dict[str, int], contenders: Sequence[str], rounds: int
) -> dict[str, dict[str, list[Run]]]:
    """Run everything; a contender that fails once is left out of that table from then on."""
    results: dict[str, dict[str, list[Run]]] = {}
    for table, rows in tables.items():
        found: dict[str, list[Run]] = {name: [] for name in contenders}
        for number in range(rounds):
            for name in list(found):
                try:
                    found[name].append(bench.run(name, table, rows))
                    print(f"  {table}, round {number + 1}, {name}: {found[name][-1].seconds:.2f} s", file=sys.stderr)
                except RuntimeError as error:
                    print(f"  {table}, {name} failed: {error}", file=sys.stderr)
                    del found[name]
        results[table] = found
    return results


def print_table(table: str, found: dict[str, list[Run]]) -> None:
    """Print one table's medians, the fastest first."""
    figures = {name: medians(runs) for name, runs in found.items() if runs}
    limit = figures[LIMIT].seconds if LIMIT in figures else float("nan")
    print(f"\n{table}\n| contender | wall s | rows/s | CPU s per million rows | peak MB | times the socket's |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, run in sorted(figures.items(), key=lambda item: item[1].seconds):
        per_million = run.cpu / run.rows * 1e6
        print(
            f"| {name} | {run.seconds:.2f} | {run.rows / run.seconds:,.0f} | {per_million:.2f} | {run.peak_mb:.0f} "
            f"| {run.seconds / limit:.2f} |"
        )


def machine() -> dict[str, object]:
    """Describe where the figures come from."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--url", required=True, help="mysql://user:password@host:port/database, which takes the tables")
    parser.add_argument("--python", default=sys.executable, help="of an environment that holds the libraries")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--table", action="append", choices=NAMES)
    parser.add_argument("--contender", action="append", choices=[*CONTENDERS, *PROGRAMS])
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".local" / "bench")
    arguments = parser.parse_args()
    url = urlsplit(arguments.url)
    connection = pymysql.connect(
        host=url.hostname, port=url.port or 3306, user=url.username, password=url.password or "",
        database=url.path.strip("/"),
    )  # fmt: skip
    make_tables(connection, arguments.rows)
    sizes = {name: arguments.rows // (10 if name == "wide" else 1) for name in arguments.table or NAMES}
    beside = Path(arguments.python).with_name("rivet")
    rivet = str(beside) if beside.is_file() else shutil.which("rivet") or "rivet"
    bench = Bench(arguments.url, arguments.python, rivet, arguments.out / "tools")
    results = measure(bench, sizes, arguments.contender or [*CONTENDERS, *PROGRAMS], arguments.rounds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        ((server,),) = cursor.fetchall()
    kept = {
        table: {name: [asdict(run) for run in runs] for name, runs in found.items()} for table, found in results.items()
    }
    document = {"machine": machine(), "server": server, "rounds": arguments.rounds, "tables": kept}
    (arguments.out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    for table, found in results.items():
        print_table(table, found)
        bars = {name: medians(runs).seconds for name, runs in found.items() if runs}
        (arguments.out / f"{table}.svg").write_text(draw(f"{sizes[table]:,} rows of {table}, seconds", bars))
    print(f"\nkept in {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
