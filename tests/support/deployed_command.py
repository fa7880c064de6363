"""The command on a stack whose AWS is moto's, in process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from rds_to_s3_ops import cli
from rds_to_s3_ops.deployment.stack import Stack
from tests.support.manifests import entry_json, manifest_json


@dataclass
class Deployed:
    """A stack's parts, and how to put things in them and run the command on it."""

    stack: Stack
    s3: Any
    ssm: Any
    stepfunctions: Any

    def put(self, key: str, body: str | bytes | dict[str, Any]) -> None:
        self.s3.put_object(Bucket=self.stack.bucket, Key=key, Body=json.dumps(body) if isinstance(body, dict) else body)

    def get(self, key: str) -> str:
        body: bytes = self.s3.get_object(Bucket=self.stack.bucket, Key=key)["Body"].read()
        return body.decode()

    def keys(self) -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=self.stack.bucket).get("Contents", [])]

    def table_list(self) -> dict[str, Any]:
        listed: dict[str, Any] = json.loads(
            self.ssm.get_parameter(Name=self.stack.table_list_parameter)["Parameter"]["Value"]
        )
        return listed

    def write_table_list(self, text: str) -> None:
        self.ssm.put_parameter(Name=self.stack.table_list_parameter, Overwrite=True, Value=text)

    def executions(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.stepfunctions.list_executions(stateMachineArn=self.stack.state_machine_arn)[
            "executions"
        ]
        return listed

    def inputs(self) -> list[Any]:
        described = [
            self.stepfunctions.describe_execution(executionArn=item["executionArn"]) for item in self.executions()
        ]
        return [json.loads(item["input"]) for item in described]

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, [*arguments], env={"STACK_NAME": "food"})


def manifest(run_id: str, failed: tuple[str, ...] = ()) -> dict[str, Any]:
    error = {"type": "TableNotFoundError", "message": "no such table"}
    window = {"after": None, "until": "2025-04-02 11:59:58"}
    tables = [entry_json(name, rows=20, window=window) for name in ("menu", "orders")]
    for table in tables:
        table.update({"status": "FAILED", "error": error} if table["table"] in failed else {"error": None})
    totals = {"tables": 2, "succeeded": 2 - len(failed), "failed": len(failed), "rows": 40, "files": 0, "bytes": 0}
    return manifest_json(
        *tables,
        run_id=run_id,
        status="FAILED" if failed else "SUCCEEDED",
        totals=totals,
        window_end="2025-04-02 11:59:58",
    )
