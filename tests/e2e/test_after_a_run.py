"""What the deployed stack does once a run has ended: the mail, Snowpipe's queue, partitions in the catalogue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import OVERRIDES, Command, DeployedSystem
from tests.e2e.examples import take_all

LAKE = OVERRIDES["GlueDatabase"]


class Queue:
    """A queue that is empty at first."""

    def __init__(self, system: DeployedSystem, name: str) -> None:
        self._sqs: Any = system.client("sqs")
        self.url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self._sqs.purge_queue(QueueUrl=self.url)

    @property
    def arn(self) -> str:
        attributes = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        return str(attributes["QueueArn"])

    def take(self, found_in: Callable[[Any], list[Any]], count: int) -> list[Any]:
        """Take all messages; return what is found in them, once that is so many things."""

        def found(messages: list[Any]) -> list[Any]:
            return [each for message in messages for each in found_in(message)]

        return found(take_all(self._sqs, self.url, lambda messages: len(found(messages)) >= count))


def test_a_run_that_succeeded_sends_its_message_tells_snowpipe_and_registers_its_partitions(
    system: DeployedSystem,
    command: Command,
) -> None:
    mail, snowpipe = Queue(system, "mail"), Queue(system, "snowpipe")
    assert snowpipe.arn == OVERRIDES["SnowpipeQueueArn"]
    sns, glue, ssm = system.client("sns"), system.client("glue"), system.client("ssm")
    sns.subscribe(TopicArn=system.local.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=mail.arn)
    glue.create_database(DatabaseInput={"Name": LAKE})
    parameter = system.local.outputs["TableListParameterName"]
    before = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    tables = [{"name": "orders", "layout": "hive", "format": "parquet"}, "menu"]
    ssm.put_parameter(Name=parameter, Value=json.dumps({"tables": tables}), Overwrite=True)
    try:
        first = system.run()
        (script,) = json.loads(command("catalogue", "orders", "--json").stdout)
        query(system, script["statements"][0])
        second = system.run()
    finally:
        ssm.put_parameter(Name=parameter, Value=before, Overwrite=True)

    # A notice also says that the list is shorter than in the runs of other tests.
    messages = mail.take(lambda mail: [text.strip('"') for text in [mail["Message"]] if " succeeded: " in text], 2)
    assert sorted(messages) == sorted(
        f"Run {run.manifest['run_id']} succeeded: {run.manifest['totals']['rows']} rows. "
        f"Manifest: s3://{system.bucket}/runs/{run.manifest['run_id']}/manifest.json"
        for run in (first, second)
    )
    files = [file["key"] for entry in first.tables.values() for file in entry["files"]]
    records = snowpipe.take(lambda message: message.get("Records", []), len(files))
    assert sorted(record["s3"]["object"]["key"].replace("%3D", "=") for record in records) == sorted(files)
    (partition,) = glue.get_partitions(DatabaseName=LAKE, TableName="orders_files")["Partitions"]
    (key,) = [file["key"] for file in first.tables["orders"]["files"]]
    assert partition["StorageDescriptor"]["Location"] == f"s3://{system.bucket}/{key.rpartition('/')[0]}/"


def query(system: DeployedSystem, statement: str) -> None:
    athena, results = system.client("athena"), "athena-results"  # in the data bucket Snowpipe would be notified of them
    system.client("s3").create_bucket(Bucket=results)
    started = athena.start_query_execution(
        QueryString=statement,
        QueryExecutionContext={"Database": LAKE},
        ResultConfiguration={"OutputLocation": f"s3://{results}/"},
    )["QueryExecutionId"]
    for _ in range(1000):
        status = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
        if status["State"] not in {"QUEUED", "RUNNING"}:
            break
        time.sleep(0.05)
    assert status["State"] == "SUCCEEDED", status
