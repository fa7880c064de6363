"""examples/load: a run's event starts the load, and the warehouse equals the source; deployed as its template says.

Only the packaging is another one: the local AWS runs no images, and has no EFS.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import duckdb

from local.ministack_server import REPOSITORY
from tests.e2e.conftest import DeployedSystem
from tests.e2e.examples import EXAMPLES, deploy
from tests.template import load

TABLES = ("orders", "menu")


def as_zip() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.write(EXAMPLES / "load" / "handler.py", "handler.py")
        for package in ("functions/rds_to_s3", "ops/rds_to_s3_ops"):
            for path in sorted((REPOSITORY / package).rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    bundle.write(path, path.relative_to((REPOSITORY / package).parent))
    return archive.getvalue()


def with_a_zip(bucket: str, key: str) -> str:
    template = load(EXAMPLES / "load" / "template.yaml")
    properties = template["Resources"]["LoadFunction"]["Properties"]
    for image_only in ("PackageType", "VpcConfig", "FileSystemConfigs"):
        del properties[image_only]
    zipped = {"Runtime": "python3.13", "Handler": "handler.handler", "Code": {"S3Bucket": bucket, "S3Key": key}}
    properties |= zipped
    return json.dumps(template, default=str)


def loaded(path: Path, table: str) -> int:
    try:
        with duckdb.connect(path, read_only=True) as database:
            (rows,) = database.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    except duckdb.Error:  # not there yet, or being written
        return -1
    return int(rows)


def test_the_event_of_a_run_starts_the_load_and_the_next_runs_event_the_next(
    system: DeployedSystem, tmp_path: Path
) -> None:
    client = system.client("s3")
    client.create_bucket(Bucket="code")
    client.put_object(Bucket="code", Key="load.zip", Body=as_zip())
    path = tmp_path / "warehouse.duckdb"
    deploy(
        system,
        "load/template.yaml",
        with_a_zip("code", "load.zip"),
        StackName=system.local.stack_name,
        DataBucketName=system.bucket,
        ImageUri="unused",
        AccessPointArn="unused",
        SubnetIds="unused",
        SecurityGroupIds="unused",
        DatabaseFile=str(path),
    )
    for _ in range(2):
        run = system.run(tables=list(TABLES))
        assert run.execution["status"] == "SUCCEEDED"
        deadline = time.monotonic() + 60
        while any(loaded(path, table) != system.count(table) for table in TABLES):
            assert time.monotonic() < deadline, [(loaded(path, table), system.count(table)) for table in TABLES]
            time.sleep(0.5)
        system.change_rows()
