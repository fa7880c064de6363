"""`make aws-smoke` deletes what it created, however it ends; the account is moto's."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from smoke import __main__ as smoke
from smoke import clean_up, trial
from smoke.account import Account
from smoke.asking import Fact
from smoke.clean_up import Left, delete_stack, find_left
from smoke.errors import BudgetSpentError, NotAskedError, NotHeldError, SmokeError
from smoke.price import Purse, estimate, read_prices
from smoke.trial import Trial

REGION = "eu-west-1"
STEPS = len(Trial.steps(Trial(*[None] * 5)))  # type: ignore[arg-type]
FOREIGN = "rds-to-s3-smoke-signals"


class CloudFormation:
    """Stacks by name, each with the states that it is seen in, one after the other; the last one remains.

    A stack is gone once it has been deleted and has no states left to come.
    """

    def __init__(self, **stacks: list[str]) -> None:
        self.stacks = stacks
        self.deletions = 0
        self.interfaces: list[str] = []

    def create(self, name: str) -> None:
        self.stacks[name] = ["CREATE_COMPLETE"]

    def delete_stack(self, **request: str) -> None:
        self.deletions += 1
        states = self.stacks.get(request["StackName"], [])
        if states[:1] == ["UPDATE_IN_PROGRESS"]:
            raise refusal("ValidationError", "is in UPDATE_IN_PROGRESS and cannot be deleted")
        if len(states) == 1 and not self.interfaces:
            del self.stacks[request["StackName"]]

    def describe_stacks(self, **request: str) -> dict[str, Any]:
        states = self.stacks.get(request["StackName"])
        if states is None:
            raise refusal("ValidationError", f"Stack with id {request['StackName']} does not exist")
        state = states.pop(0) if len(states) > 1 else states[0]
        return {"Stacks": [{"StackStatus": state, "Outputs": [{"OutputKey": "VpcId", "OutputValue": "vpc-1"}]}]}

    def describe_stack_events(self, **_: str) -> dict[str, Any]:
        reason = "sg-1 has a dependent object"
        event = {"LogicalResourceId": "Group", "ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": reason}
        return {"StackEvents": [event]}

    def get_paginator(self, _operation: str) -> Any:
        pages = [{"Stacks": [{"StackName": name} for name in self.stacks]}]
        return SimpleNamespace(paginate=lambda: pages)

    # EC2's answers, as far as a stack's deletion depends on them.

    def describe_network_interfaces(self, **_: Any) -> dict[str, Any]:
        return {"NetworkInterfaces": [{"NetworkInterfaceId": name} for name in self.interfaces]}

    def delete_network_interface(self, **request: str) -> None:
        self.interfaces.remove(request["NetworkInterfaceId"])


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "AnOperation")


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Any]]:
    with mock_aws():
        session = boto3.Session("test", "test", region_name=REGION)
        found: dict[str, Any] = {"s3": session.client("s3"), "sts": session.client("sts")}
        found["s3"].create_bucket(Bucket=FOREIGN, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield found


@pytest.fixture
def account(clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Account:
    stacks = CloudFormation(**{FOREIGN: ["CREATE_COMPLETE"]})
    served = {**clients, "cloudformation": stacks, "ec2": stacks}
    monkeypatch.setattr(Account, "client", lambda _, service: served[service])
    monkeypatch.setattr(trial, "create_database", create_database)
    monkeypatch.setattr(trial, "create_stack", create_stack)
    for step in ("fill_database", "ask_from_inside", "run_first", "run_broken", "redrive", "edit_list"):
        monkeypatch.setattr(Trial, step, lambda _: None)
    monkeypatch.setattr(smoke, "FACTS", ())
    return Account(REGION)


def create_database(account: Account, names: Any, _work: Path) -> dict[str, str]:
    account.client("cloudformation").create(names.database_stack)
    return {}


def create_stack(account: Account, names: Any, *_: Any) -> dict[str, str]:
    """Leave a bucket with versions, as the product's stack does."""
    bucket, s3 = f"{names.stack}-databucket-1a2b3c", account.client("s3")
    account.client("cloudformation").create(names.stack)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _each in range(2):
        s3.put_object(Bucket=bucket, Key="orders/csv/last_extract.txt", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="orders/csv/last_extract.txt")
    s3.create_multipart_upload(Bucket=bucket, Key="orders/csv/staged.csv")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
    return {"DataBucketName": bucket}


def stop_in(monkeypatch: pytest.MonkeyPatch, number: int, what: Callable[[], None]) -> None:
    """Let step `number` do its work, and then `what`."""
    steps = Trial.steps

    def stopped(self: Trial) -> list[tuple[str, Callable[[], None]]]:
        listed = steps(self)
        name, step = listed[number]

        def both() -> None:
            step()
            what()

        listed[number] = (name, both)
        return listed

    monkeypatch.setattr(Trial, "steps", stopped)


def play(account: Account, tmp_path: Path, *, answer: str = "yes", budget: float = 5) -> tuple[int, str]:
    said: list[str] = []
    code = smoke.try_account(account, budget, say=said.append, answer=lambda _: answer, work=tmp_path, pause=0)
    return code, "\n".join(said)


def raise_error() -> None:
    raise refusal("LimitExceeded", "too many")


def interrupt(*_: Any, **__: Any) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    signal.raise_signal(signal.SIGINT)


def untouched(account: Account) -> bool:
    buckets = {bucket["Name"] for bucket in account.client("s3").list_buckets()["Buckets"]}
    return FOREIGN in account.client("cloudformation").stacks and FOREIGN in buckets


def test_everything_is_deleted_in_the_end(account: Account, tmp_path: Path) -> None:
    code, said = play(account, tmp_path)
    assert code == 0
    assert not find_left(account)
    assert untouched(account)
    assert "Nothing is left" in said
    assert "held                  A deleted stack leaves the bucket" in said


@pytest.mark.parametrize("number", range(STEPS))
def test_everything_is_deleted_after_a_failure(
    account: Account, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in(monkeypatch, number, raise_error)
    code, said = play(account, tmp_path)
    assert code == 1
    assert "LimitExceeded" in said
    assert not find_left(account)
    assert untouched(account)


@pytest.mark.parametrize("number", [0, 1, 2, STEPS - 1])
def test_everything_is_deleted_after_ctrl_c(
    account: Account, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "FACTS", (Fact("asked", lambda _: pytest.fail("waits for an answer")),))
    stop_in(monkeypatch, number, interrupt)
    code, said = play(account, tmp_path)
    assert code == 130
    assert "could not be asked" not in said
    assert not find_left(account)


def test_a_second_ctrl_c_says_what_is_left_and_clean_deletes_it(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in(monkeypatch, 3, interrupt)
    with monkeypatch.context() as patched:
        patched.setattr(clean_up, "_settled", interrupt)
        patched.setattr(clean_up, "_delete_bucket", interrupt)
        code, said = play(account, tmp_path)
    left = find_left(account)
    assert code == 130
    assert [name.endswith("-database") for name in left.stacks] == [True]
    assert {name[23:].split("-")[0] for name in left.buckets} == {"code", "databucket"}
    for line in [*left.lines(), f"make aws-smoke CLEAN=1 REGION={REGION}"]:
        assert line in said

    lines: list[str] = []
    assert smoke.clean(account, say=lines.append, answer=lambda _: "no", pause=0) == 2
    assert find_left(account) == left
    assert set(left.lines()) <= set(lines)
    assert smoke.clean(account, say=lines.append, answer=lambda _: "y", pause=0) == 0
    assert not find_left(account)
    assert untouched(account)
    assert smoke.clean(account, say=lines.append, answer=lambda _: pytest.fail("nothing to ask"), pause=0) == 0


def test_nothing_is_created_beyond_the_budget(account: Account, tmp_path: Path) -> None:
    said: list[str] = []
    budget = estimate(REGION) - 0.01
    code = smoke.try_account(
        account, budget, say=said.append, answer=lambda _: pytest.fail("it asks"), work=tmp_path / "work"
    )
    assert (code, find_left(account), (tmp_path / "work").exists()) == (2, Left([], []), False)
    assert f"${estimate(REGION):.2f}" in "\n".join(said)


@pytest.mark.parametrize("service", ["s3", "cloudformation"])
def test_nothing_is_created_that_could_not_be_found_again(
    account: Account, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Account.client
    refused = SimpleNamespace(list_buckets=raise_error, get_paginator=lambda _: SimpleNamespace(paginate=raise_error))
    with monkeypatch.context() as patched:
        patched.setattr(Account, "client", lambda self, name: refused if name == service else served(self, name))
        code, said = play(account, tmp_path)
    assert (code, find_left(account)) == (2, Left([], []))
    assert "LimitExceeded" in said


@pytest.mark.parametrize("answer", ["no", "", "yess", "n"])
def test_nothing_is_created_without_a_yes(account: Account, answer: str, tmp_path: Path) -> None:
    code, said = play(account, tmp_path, answer=answer)
    assert (code, find_left(account)) == (2, Left([], []))
    for named in ("RDS MySQL", "interface endpoint", "$", REGION, "Nothing was created"):
        assert named in said


def test_a_trial_ends_when_the_budget_is_spent(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_in(monkeypatch, 4, lambda: monkeypatch.setattr(Purse, "spent", lambda _: 99.0))
    code, said = play(account, tmp_path)
    assert (code, find_left(account)) == (1, Left([], []))
    assert "budget of $5.00 is spent" in said


def test_the_purse_counts_from_the_first_creation() -> None:
    now = [0.0]
    purse = Purse(read_prices()["region"], estimate(read_prices()["region"]), lambda: now[0])
    assert purse.spent() == 0
    purse.open()
    now[0] = 7199
    purse.check()
    now[0] = 7300
    with pytest.raises(BudgetSpentError):
        purse.check()
    assert estimate(REGION) > estimate(read_prices()["region"])


def raising(error: Exception) -> Callable[[Trial], str]:
    def ask(_: Trial) -> str:
        raise error

    return ask


@pytest.mark.parametrize(
    ("fact", "result", "expected"),
    [
        (raising(NotHeldError("it is 7")), "did not hold", 1),
        (raising(NotAskedError("no access")), "could not be asked", 0),
        (raising(KeyError("x")), "could not be asked", 0),
        (lambda _: "seen", "held", 0),
    ],
)
def test_a_fact_that_does_not_hold_fails(
    account: Account,
    fact: Callable[[Trial], str],
    result: str,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoke, "FACTS", (Fact("S3 answers", fact),))
    code, said = play(account, tmp_path)
    assert code == expected
    assert f"  {result:<20}  S3 answers" in said
    assert not find_left(account)


def test_a_stack_is_deleted_in_the_middle_of_an_update_and_over_interfaces_that_lambda_left(account: Account) -> None:
    stacks = account.client("cloudformation")
    stacks.stacks["s"] = ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED"]
    stacks.interfaces.append("eni-1")
    delete_stack(account, "s", lambda _: None, pause=0)
    assert (stacks.interfaces, "s" in stacks.stacks) == ([], False)
    assert stacks.deletions >= 3


def test_an_interface_that_lambda_deletes_at_the_same_time_does_not_end_the_deletion(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = account.client("cloudformation")

    def deleted_by_lambda(_: Any, **request: str) -> None:
        stacks.interfaces.remove(request["NetworkInterfaceId"])
        raise refusal("InvalidNetworkInterfaceID.NotFound", "does not exist")

    monkeypatch.setattr(CloudFormation, "delete_network_interface", deleted_by_lambda)
    stacks.stacks["s"] = ["DELETE_FAILED"]
    stacks.interfaces += ["eni-1", "eni-2"]
    delete_stack(account, "s", lambda _: None, pause=0)
    assert "s" not in stacks.stacks


@pytest.mark.parametrize("stuck", ["", "-database"])
def test_a_stack_that_does_not_go_keeps_nothing_else(
    account: Account, stuck: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = CloudFormation.delete_stack

    def refused(self: CloudFormation, **request: str) -> None:
        name = request["StackName"]
        if name.endswith("-database") == bool(stuck):
            raise refusal("AccessDenied", f"{name} may not be deleted")
        delete(self, **request)

    monkeypatch.setattr(clean_up, "TRIES", 2)
    with monkeypatch.context() as patched:
        patched.setattr(CloudFormation, "delete_stack", refused)
        code, said = play(account, tmp_path)
        left = find_left(account)
    assert code == 1
    assert (len(left.stacks), left.buckets) == (1, [])
    assert left.stacks[0].endswith("-database") == bool(stuck)
    assert "may not be deleted" in said
    assert left.lines()[0] in said
    assert smoke.clean(account, say=lambda _: None, answer=lambda _: "yes", pause=0) == 0
    assert not find_left(account)


def test_a_stack_that_does_not_go_is_named_with_the_reason(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_up, "TRIES", 2)
    monkeypatch.setattr(CloudFormation, "delete_network_interface", lambda *_, **__: None)
    stacks = account.client("cloudformation")
    stacks.stacks["s"] = ["DELETE_FAILED"]
    stacks.interfaces.append("eni-1")
    said: list[str] = []
    with pytest.raises(SmokeError, match="sg-1 has a dependent object"):
        delete_stack(account, "s", said.append, pause=0)
    assert len([line for line in said if "sg-1 has a dependent object" in line]) == 1  # while it is still tried


@pytest.mark.parametrize(
    "words", [["--region", REGION], ["--region", REGION, "--budget", "1"], ["--region", "", "--budget", "1"]]
)
def test_it_needs_a_region_a_budget_and_a_shell_that_talks_to_aws(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "Session", lambda **_: pytest.fail("talks to AWS"))
    if REGION in words and "--budget" in words:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    else:
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert smoke.main(words) == 2
