"""The trial, step by step: create, fill, run, break, redrive. What is seen is kept for the facts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymysql.converters import escape_string

from smoke.account import Account
from smoke.deployment import Database, Names, create_code_bucket, create_database, create_stack
from smoke.errors import SmokeError
from smoke.price import Purse

TABLES = ("orders", "menu", "vouchers", "readings")
RUN_SECONDS = 1800
_ROW = (
    "id BIGINT PRIMARY KEY AUTO_INCREMENT, {}, createdDate DATETIME NOT NULL, modifiedDate DATETIME,"
    " KEY (createdDate), KEY (modifiedDate)"
)
_SCHEMA = (
    f"CREATE TABLE orders ({_ROW.format('customer VARCHAR(80), total DECIMAL(12, 2), note TEXT')})",
    f"CREATE TABLE menu ({_ROW.format('name VARCHAR(80), price DECIMAL(8, 2)')})",
    f"CREATE TABLE vouchers ({_ROW.format('code VARCHAR(20)')})",  # stays empty
    f"CREATE TABLE readings ({_ROW.format('sensor INT, value DOUBLE, text VARCHAR(100)')})",
    "INSERT INTO orders (customer, total, note, createdDate) VALUES "
    "('Zoë, \"the chef\"', 12.50, NULL, NOW() - INTERVAL 2 HOUR), ('', -0.01, '', NOW() - INTERVAL 1 HOUR)",
    "INSERT INTO menu (name, price, createdDate) VALUES ('Ćevapi', 8.90, NOW() - INTERVAL 1 DAY)",
    "INSERT INTO readings (sensor, value, text, createdDate)"
    " VALUES (1, RAND(), REPEAT('x', 80), NOW() - INTERVAL 1 DAY)",
)
_DOUBLED = (
    "INSERT INTO readings (sensor, value, text, createdDate)"
    " SELECT sensor + 1, RAND(), REPEAT('y', 80), createdDate FROM readings"
)
_CHANGES = (
    "INSERT INTO orders (customer, total, createdDate) VALUES ('new', 1, NOW())",
    "UPDATE orders SET total = total + 1, modifiedDate = NOW() WHERE id = 1",
    "INSERT INTO menu (name, price, createdDate) VALUES ('new', 1, NOW())",
)
_GRANTS = (
    "CREATE USER 'smoke_reader'@'%' IDENTIFIED BY '{}' REQUIRE SSL",
    "GRANT SELECT ON smoke.* TO 'smoke_reader'@'%'",
    "GRANT PROCESS ON *.* TO 'smoke_reader'@'%'",
    "GRANT SELECT ON performance_schema.* TO 'smoke_reader'@'%'",
)
"""As docs/deploy.md has them."""


@dataclass
class Trial:
    """What a trial does and sees. What has not been seen yet is empty.

    Attributes
    ----------
    work : Path
        The folder for builds and SAM's log.
    seconds : dict
        How long each step took.
    doublings : int
        The rows of the table that is timed are two to the power of it.
    """

    account: Account
    names: Names
    purse: Purse
    work: Path
    say: Callable[[str], None]
    parameters: Mapping[str, str] = field(default_factory=dict)
    doublings: int = 18
    pause: float = 5.0

    seconds: dict[str, float] = field(default_factory=dict)
    database_outputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    refused_grants: list[str] | None = None
    reached: dict[str, Any] = field(default_factory=dict)
    started_by_itself: list[str] | None = None
    first: dict[str, Any] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    broken: dict[str, Any] = field(default_factory=dict)
    redriven: dict[str, Any] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return Database(self.account, self.database_outputs)

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the steps in their order, each with what is said of it."""
        return [
            ("create a bucket for the code", self.create_code_bucket),
            ("create a network and a database (RDS takes about ten minutes)", self.create_database),
            ("build and create the stack, with VPC endpoints", self.create_stack),
            ("create tables and a user in the database, from inside", self.fill_database),
            ("ask PlanRun what it reaches", self.ask_from_inside),
            ("run: everything", self.run_first),
            ("break a table, change others, run: one table fails", self.run_broken),
            ("mend the table, redrive", self.redrive),
            ("edit the table list, deploy another log level, then another tag", self.edit_list),
        ]

    def play(self) -> None:
        """Do every step; one that fails ends the trial."""
        self.purse.open()
        for name, step in self.steps():
            self.say(f"  {time.strftime('%H:%M:%S')}  {name} ...")
            began = time.monotonic()
            try:
                step()
            finally:
                self.seconds[name] = time.monotonic() - began
            self.purse.check()

    # --- the steps ------------------------------------------------------------------------------------------------

    def create_code_bucket(self) -> None:
        create_code_bucket(self.account, self.names)

    def create_database(self) -> None:
        self.database_outputs = create_database(self.account, self.names, self.work)

    def create_stack(self) -> None:
        self.outputs = create_stack(self.account, self.names, self.database_outputs, self.parameters, self.work)

    def fill_database(self) -> None:
        database = self.database
        database.run(*_SCHEMA)
        database.run(*[_DOUBLED] * self.doublings)
        refused: list[str] = []
        password = escape_string(database.secret("ReaderSecretArn")["password"])
        database.run(*(grant.format(password) for grant in _GRANTS), errors=refused)
        self.refused_grants = refused
        for refusal in refused:
            self.say(f"            refused: {refusal}")

    def ask_from_inside(self) -> None:
        cloudformation = self.account.client("cloudformation")
        resource = cloudformation.describe_stack_resource(
            StackName=self.names.stack, LogicalResourceId="PlanRunFunction"
        )
        function = resource["StackResourceDetail"]["PhysicalResourceId"]
        answer = self.account.client("lambda").invoke(FunctionName=function, Payload=json.dumps({"check": True}))
        self.reached = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise SmokeError(f"PlanRun fails: {self.reached.get('errorType')}: {self.reached.get('errorMessage')}")
        for finding in self.reached["findings"]:
            self.say(f"            {finding['result']}: {finding['check']}: {finding['message']}")

    def run_first(self) -> None:
        machine = self.outputs["StateMachineArn"]
        listed = self.account.client("stepfunctions").list_executions(stateMachineArn=machine)
        self.started_by_itself = [execution["name"] for execution in listed["executions"]]
        self.first = self._run("SUCCEEDED")
        self.manifests["first"] = self._manifest(self.first)
        self.counted = {table: self._count(table) for table in TABLES}

    def run_broken(self) -> None:
        self.database.run(*_CHANGES, "RENAME TABLE menu TO menu_away")
        self.broken = self._run("FAILED")

    def redrive(self) -> None:
        self.database.run("RENAME TABLE menu_away TO menu")
        arn = self.broken["executionArn"]
        client = self.account.client("stepfunctions")
        client.redrive_execution(executionArn=arn)
        self.redriven = self._ended(arn, "SUCCEEDED")
        self.manifests["redriven"] = self._manifest(self.redriven)
        pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
        self.history = [event for page in pages for event in page["events"]]

    def edit_list(self) -> None:
        parameter = self.outputs["TableListParameterName"]
        edited = json.dumps({"tables": ["orders", "menu"]})
        self.account.client("ssm").put_parameter(Name=parameter, Value=edited, Overwrite=True)
        self.lists["edited"] = edited
        self._update({"LogLevel": "DEBUG"}, "rds-to-s3-smoke")
        self.lists["after another parameter"] = self._list(parameter)
        self._update({}, "rds-to-s3-smoke-again")
        self.lists["after another tag"] = self._list(parameter)

    # --- what the steps are made of ----------------------------------------------------------------------------------

    @property
    def first_tables(self) -> list[dict[str, Any]]:
        """The first run's tables, from its manifest."""
        return list(self.manifests.get("first", {}).get("tables", []))

    @property
    def run_costs(self) -> list[float]:
        """What the runs' manifests say that they cost, in USD."""
        costs = [manifest.get("cost") for manifest in self.manifests.values()]
        return [float(cost["amount"]) for cost in costs if cost]

    def waits(self, seconds: float) -> Iterator[None]:
        """Yield at least once, then again after each pause; check the budget meanwhile."""
        deadline = time.monotonic() + seconds
        yield
        while time.monotonic() < deadline:
            self.purse.check()
            time.sleep(self.pause)
            yield

    def _run(self, expected: str) -> dict[str, Any]:
        machine = self.outputs["StateMachineArn"]
        started = self.account.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")
        return self._ended(started["executionArn"], expected)

    def _ended(self, arn: str, expected: str) -> dict[str, Any]:
        client = self.account.client("stepfunctions")
        for _ in self.waits(RUN_SECONDS):
            execution: dict[str, Any] = client.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                break
        if execution["status"] == expected:
            return execution
        cause = str(execution.get("cause", ""))[:2000]
        raise SmokeError(f"{arn} is {execution['status']}, not {expected}: {execution.get('error', '')} {cause}")

    def _manifest(self, execution: Mapping[str, Any]) -> dict[str, Any]:
        key = f"runs/{execution['name']}/manifest.json"
        body = self.account.client("s3").get_object(Bucket=self.outputs["DataBucketName"], Key=key)["Body"].read()
        manifest: dict[str, Any] = json.loads(body)
        return manifest

    def _count(self, table: str) -> int:
        return int(self.database.run(f"SELECT COUNT(*) FROM {table}")[0][0])  # noqa: S608 - one of TABLES

    def _list(self, parameter: str) -> str:
        return str(self.account.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"])

    def _update(self, changed: Mapping[str, str], tag: str) -> None:
        client = self.account.client("cloudformation")
        stack = client.describe_stacks(StackName=self.names.stack)["Stacks"][0]
        parameters: Sequence[dict[str, Any]] = [
            {"ParameterKey": key, "ParameterValue": changed[key]}
            if (key := parameter["ParameterKey"]) in changed
            else {"ParameterKey": key, "UsePreviousValue": True}
            for parameter in stack["Parameters"]
        ]
        client.update_stack(
            StackName=self.names.stack,
            UsePreviousTemplate=True,
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Tags=[{"Key": "project", "Value": tag}],
        )
        for _ in self.waits(RUN_SECONDS):
            status = client.describe_stacks(StackName=self.names.stack)["Stacks"][0]["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                break
        if status != "UPDATE_COMPLETE":
            raise SmokeError(f"the stack is {status} after an update")
