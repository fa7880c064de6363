"""The whole of `make aws-smoke` against the local AWS; what that cannot answer says so."""

from __future__ import annotations

from pathlib import Path

from local.stack import CA_PARAMETER
from smoke.__main__ import try_account
from smoke.account import Account, StandIn
from smoke.clean_up import find_left
from smoke.facts import AFTER_DELETION, FACTS
from tests.e2e.conftest import DeployedSystem


def test_the_whole_trial_runs_and_leaves_nothing(deployed: DeployedSystem, tmp_path: Path) -> None:
    server = deployed.local.database.server
    assert server is not None
    server.execute("DROP DATABASE IF EXISTS smoke", "CREATE DATABASE smoke CHARACTER SET utf8mb4")
    authority = server.authority.read_text()
    stand_in = StandIn(
        deployed.local.aws, server.host, server.port, server.user, server.password, authority, CA_PARAMETER
    )
    account = Account("us-east-1", stand_in)
    said: list[str] = []
    code = try_account(account, 1, say=said.append, answer=lambda _: "yes", work=tmp_path, pause=0.1, doublings=8)
    printed = "\n".join(said)
    assert code == 0, printed
    for fact in (*FACTS, *AFTER_DELETION):
        result = "held" if fact.local else "not on the local AWS"
        assert f"  {result:<20}  {fact.sentence}" in printed
    assert not find_left(account)
    assert {stack["StackName"] for stack in deployed.client("cloudformation").describe_stacks()["Stacks"]} <= {
        deployed.local.stack_name,
        "aws-sam-cli-managed-default",
    }
    assert deployed.client("rds").describe_db_instances()["DBInstances"] == []
    assert server.password not in printed
