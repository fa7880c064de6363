"""One invocation of the extractor in a process of its own, which tells the most memory it had: read by a test.

``python -m tests.support.measured_extraction``; its input is a JSON object on standard input.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import boto3

from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.mysql.connection import Tls, connect
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.s3.objects import ObjectStore


def peak_mb() -> int:
    """Return this process's largest resident size; `ru_maxrss` would count what it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> None:
    given = json.load(sys.stdin)
    credentials = Credentials(**given["credentials"])
    s3 = boto3.client("s3")
    requests: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        requests[model.name] += 1

    s3.meta.events.register("before-call.s3", count)
    store = ObjectStore(given["bucket"], s3)
    began, cpu = time.perf_counter(), time.process_time()
    outcome = run_extraction(
        given["run_id"],
        given["table"],
        store,
        lambda seconds: connect(lambda _: credentials, Tls("off"), read_seconds=seconds),
        time_left=lambda: 900.0,
    )
    found: dict[str, Any] = {"rows": outcome.rows, "files": outcome.files, "status": outcome.status}
    found |= {"seconds": round(time.perf_counter() - began, 3), "cpu": round(time.process_time() - cpu, 3)}
    json.dump(found | {"requests": requests, "peak_mb": peak_mb()}, sys.stdout)


if __name__ == "__main__":
    main()
