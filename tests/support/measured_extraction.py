"""One invocation of the extractor in a process of its own, which tells the most memory it had: read by a test.

``python -m tests.support.measured_extraction``; its input is a JSON object on standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

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
    store = ObjectStore(given["bucket"], boto3.client("s3"))
    outcome = run_extraction(
        given["run_id"],
        given["table"],
        store,
        lambda seconds: connect(lambda _: credentials, Tls("off"), read_seconds=seconds),
        time_left=lambda: 900.0,
    )
    json.dump({"rows": outcome.rows, "files": outcome.files, "peak_mb": peak_mb()}, sys.stdout)


if __name__ == "__main__":
    main()
