"""Measures the imports of each function, which are part of its cold start."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.contenders.programs import REPOSITORY

_PROGRAM = """
import json, sys, time
began = time.perf_counter()
for name in sys.argv[1:]:
    __import__(name)
seconds = time.perf_counter() - began
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
json.dump([seconds, peak], sys.stdout)
"""
IMPORTS = {
    "PlanRun": ("plan_run.handler",),
    "ExtractTable, CSV": ("extract_table.handler", "rds_to_s3.formats.csv"),
    "ExtractTable, Parquet": ("extract_table.handler", "rds_to_s3.formats.parquet"),
    "WriteManifest": ("write_manifest.handler",),
    "CheckRun": ("check_run.handler",),
    "for comparison: boto3 alone": ("boto3",),
    "for comparison: pandas alone": ("pandas",),
}


@dataclass(frozen=True)
class ColdStart:
    """Median of a few fresh processes."""

    seconds: float
    peak_mb: float


def cold_starts(rounds: int = 5) -> dict[str, ColdStart]:
    """Import each handler in fresh processes, in turn; bytecode is cached, as it is on Lambda's second start."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in IMPORTS}
    for _ in range(rounds + 1):
        for name, modules in IMPORTS.items():
            command = [sys.executable, "-c", _PROGRAM, *modules]
            done = subprocess.run(command, cwd=REPOSITORY / "functions", capture_output=True, text=True, check=True)
            found[name].append(tuple(json.loads(done.stdout)))
    # The first round fills the caches.
    return {
        name: ColdStart(*(statistics.median(figures) for figures in zip(*runs[1:], strict=True)))
        for name, runs in found.items()
    }
