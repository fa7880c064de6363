"""``make demo``: a first run, a quarter of an hour of changes, an incremental run, and one with nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

from local.database import SAMPLE_DATA
from local.errors import LocalSystemError
from local.ministack_server import REPOSITORY
from local.system import LocalSystem

COMMAND = REPOSITORY / ".venv" / "bin" / "rds-to-s3"


def run_demo(system: LocalSystem, say: Callable[[str], None]) -> int:
    """Show the whole process. On the user's own server, skip the steps that change it."""
    s3 = system.aws.client("s3")
    bucket = system.outputs["DataBucketName"]
    if system.database.server:
        say("\nreset: the sample data, an empty bucket")
        system.database.reset()
        empty_bucket(s3, bucket)

    _title(say, "run 1: no watermark yet, so everything")
    _run(system)
    _show_files(s3, bucket, say)

    if system.database.server:
        _title(say, "new orders come in: inserts and updates (local/sample_data/changes.sql)")
        system.database.run_script(SAMPLE_DATA / "changes.sql")
        _title(say, "run 2: only the rows inserted or updated since run 1")
        _run(system)
        _show_files(s3, bucket, say)
        _show_rows(s3, bucket, say)

    _title(say, "another run: no changes, so every table is UNCHANGED and no file is written")
    _run(system)
    latest = _latest(s3, bucket)
    _title(say, f"the manifest of that run (runs/{latest['run_id']}/manifest.json), its first table")
    say(json.dumps({**latest, "tables": latest["tables"][:1]}, indent=2))
    say("\nContinue by hand:  . .local/env && .venv/bin/rds-to-s3 --help")
    return 0


def empty_bucket(s3: Any, bucket: str) -> None:
    """Delete every object and every version."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])


def _run(system: LocalSystem) -> None:
    environment = {**os.environ, **system.environment, "NO_PROXY": "127.0.0.1,localhost"}
    result = subprocess.run([str(COMMAND), "run", "--watch"], env=environment, check=False)
    if result.returncode:
        raise LocalSystemError(f"the run failed (exit code {result.returncode})")


def _latest(s3: Any, bucket: str) -> dict[str, Any]:
    manifest = json.loads(s3.get_object(Bucket=bucket, Key="runs/latest.json")["Body"].read())
    return dict(manifest)


def _show_files(s3: Any, bucket: str, say: Callable[[str], None]) -> None:
    say(f"\ns3://{bucket}/")
    for table in _latest(s3, bucket)["tables"]:
        for file in table["files"]:
            say(f"  {file['key']:<70} {file['rows']:>5} rows {file['bytes']:>8} bytes")


def _show_rows(s3: Any, bucket: str, say: Callable[[str], None]) -> None:
    """Print the file of one table that has inserted and updated rows."""
    for table in _latest(s3, bucket)["tables"]:
        if table["table"] == "orders" and table["files"]:
            key = table["files"][0]["key"]
            say(f"\n{key}")
            say(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def _title(say: Callable[[str], None], text: str) -> None:
    say(f"\n=== {text} ===")
