"""One comparison of a table with its files in a process of its own, which tells the most memory it had.

``python -m tests.support.measured_verification``; its input is a JSON object on standard input.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing

import boto3

from rds_to_s3.mysql.connection import Tls, connect
from rds_to_s3.mysql.credentials import Credentials
from rds_to_s3.plan.table_list import TableSpec
from rds_to_s3_ops.deployment.bucket import Bucket
from rds_to_s3_ops.verify.verification import compare_tables
from tests.support.measured_extraction import peak_mb


def main() -> None:
    given = json.load(sys.stdin)
    credentials = Credentials(**given["credentials"])
    s3 = boto3.client("s3")
    began, cpu = time.perf_counter(), time.process_time()
    (result,) = compare_tables(
        lambda: closing(connect(lambda _: credentials, Tls("off"), read_seconds=900)),
        Bucket(s3, given["bucket"]),
        [TableSpec.model_validate(given["table"])],
        memory=given["memory"],
    )
    costs = {"seconds": round(time.perf_counter() - began, 3), "cpu": round(time.process_time() - cpu, 3)}
    json.dump(result.as_json() | costs | {"peak_mb": peak_mb()}, sys.stdout)


if __name__ == "__main__":
    main()
