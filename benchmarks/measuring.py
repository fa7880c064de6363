"""Runs the contenders in turn and in rounds, each in its own process."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.contenders import CONTENDERS, programs
from benchmarks.contenders.programs import REPOSITORY
from benchmarks.tables import KEYS
from local.errors import LocalSystemError
from local.ministack_server import MiniStack

LIMIT = "socket"
OURS = "rds-to-s3"
STAGE = "stage: "
PROGRAMS = (
    "rivet csv",
    "rivet parquet",
    "rivet chunked csv",
    "rivet chunked parquet",
    "sling csv",
    "mydumper",
    "mariadb client",
)
# Half a minute a run each: once, and on `orders` only.
SLOW = ("dlt pyarrow", "pandas in chunks", "the original", "sling csv")
# rivet's chunks, read by as many workers as this machine has cores.
CHUNKS, WORKERS = 8, 2
SECONDS = 600


@dataclass(frozen=True)
class Run:
    """One contender's read of one table.

    Attributes
    ----------
    seconds, cpu : float
        Wall and CPU time of the client.
    peak_mb : float
        The process's largest resident size, imports included.
    socket_seconds : float
        The time of the socket alone in the same round.
    """

    rows: int
    seconds: float
    cpu: float
    peak_mb: float
    socket_seconds: float = 0.0


@dataclass(frozen=True)
class Bench:
    """The locations of the programs.

    Attributes
    ----------
    peers : Path
        The programs folder of the peers' environment. Ours run in the environment of this process.
    tools : Path
        The folder of the Debian tools.
    """

    url: str
    aws: MiniStack
    peers: Path
    tools: Path

    def run(self, name: str, table: str, rows: int) -> Run:
        """Run one contender and discard its output.

        Raises
        ------
        RuntimeError
            It failed, or it read a different number of rows.
        """
        with tempfile.TemporaryDirectory() as folder:
            return self.run_into(Path(folder), name, table, rows)

    def run_into(self, folder: Path, name: str, table: str, rows: int) -> Run:
        """Run one contender, and keep its output in a folder. It raises as `run` does."""
        with self._bucket(name) as bucket:
            program = self._program(name, table, rows, folder)
            output = program.stdout or folder / "stdout"
            environment = programs.environment(self.url) | program.environment | bucket
            with output.open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
                began = time.perf_counter()
                process = subprocess.Popen(
                    program.command, stdout=stdout, stderr=stderr, env=environment, cwd=REPOSITORY
                )
                peak = 0.0
                while True:
                    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                    if pid:
                        break
                    peak = max(peak, _peak_mb(process.pid))
                    if time.perf_counter() - began > SECONDS:
                        process.kill()
                    time.sleep(0.01)
                seconds = time.perf_counter() - began
                process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError((folder / "stderr").read_text()[-2000:] or f"exit code {process.returncode}")
            if name not in CONTENDERS:
                return Run(rows, seconds, usage.ru_utime + usage.ru_stime, peak)
            told = programs.result_of(output.read_text().splitlines()[-1])
            if told["rows"] != rows:
                raise RuntimeError(f"it has read {told['rows']} rows of {rows}")
            return Run(rows, told["seconds"], told["cpu"], peak)

    @contextlib.contextmanager
    def _bucket(self, name: str) -> Any:
        """Yield the environment of a contender that writes to S3, with its own bucket, which is deleted afterwards."""
        if not name.endswith("to S3"):
            yield {}
            return
        s3, bucket = self.aws.client("s3"), f"bench-{uuid4().hex[:12]}"
        s3.create_bucket(Bucket=bucket)
        try:
            yield {**self.aws.environment, "BENCHMARK_BUCKET": bucket, "NO_PROXY": "127.0.0.1"}
        finally:
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
            s3.delete_bucket(Bucket=bucket)

    def _program(self, name: str, table: str, rows: int, folder: Path) -> programs.Program:
        if name in CONTENDERS:
            ours = name == LIMIT or name.startswith((OURS, STAGE))
            python = sys.executable if ours else str(self.peers / "python")
            return programs.Program([python, "-m", "benchmarks.contenders", name, table, str(folder / "out")])
        if name.startswith("rivet"):
            binary, file_format = str(self.peers / "rivet"), name.rsplit(maxsplit=1)[-1]
            if "chunked" not in name:
                return programs.rivet(binary, file_format, table, folder)
            database = urlsplit(self.url).path.strip("/")
            chunks = programs.Chunks(database, KEYS[table], -(-rows // CHUNKS), WORKERS)
            return programs.rivet_chunked(binary, file_format, table, folder, chunks)
        if name.startswith("sling"):
            return programs.sling(self.peers.parent, table, folder)
        make = programs.mydumper if name == "mydumper" else programs.client
        return make(programs.debian_tools(self.tools), self.url, table, folder)


def _peak_mb(pid: int) -> float:
    """Return a running process's peak so far; `wait4` would count this process's own size before the exec."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def reason(error: BaseException) -> str:
    """Return the last line about an error of what a contender said when it failed, or its last line."""
    lines = str(error).strip().splitlines()
    return next(
        (line for line in reversed(lines) if re.search("error|exception|panic", line, re.IGNORECASE)), lines[-1]
    )


def median(runs: Sequence[Run], figure: str) -> float:
    """Return the median of one of the runs' figures."""
    return float(statistics.median(getattr(run, figure) for run in runs))


def times_the_socket(runs: Sequence[Run]) -> float:
    """Return the median ratio of each run's time to that of the socket alone in its round."""
    return statistics.median(run.seconds / run.socket_seconds for run in runs)


def measure(
    bench: Bench, table: str, rows: int, contenders: Sequence[str], *, rounds: int, missing: dict[str, str]
) -> dict[str, list[Run]]:
    """Read one table with everything, in rounds.

    Parameters
    ----------
    missing : dict of str to str
        The reason for each missing contender. One that fails is added, and left out from then on.
    """
    names = [name for name in contenders if name != LIMIT]
    found: dict[str, list[Run]] = {name: [] for name in [LIMIT, *names]}
    for number in range(rounds):
        socket = bench.run(LIMIT, table, rows)
        found[LIMIT].append(replace(socket, socket_seconds=socket.seconds))
        for name in names:
            if name in missing or (name in SLOW and (number or table != "orders")):
                continue
            try:
                run = bench.run(name, table, rows)
            except (RuntimeError, LocalSystemError, OSError, ValueError) as error:
                missing[name] = reason(error)
                print(f"  {table}, {name} failed: {error}", file=sys.stderr)
                continue
            found[name].append(replace(run, socket_seconds=socket.seconds))
            print(f"  {table}, round {number + 1}, {name}: {run.seconds:.2f} s", file=sys.stderr)
    return {name: runs for name, runs in found.items() if runs}
