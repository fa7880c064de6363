"""The mail of a run: what is new and needs somebody, and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from moto import mock_aws

from rds_to_s3.aws.notices import publish
from rds_to_s3.commit.read_as import FEW_HEALED
from rds_to_s3.extract.proof import ledgers
from rds_to_s3.manifest.overview import notice as notices
from rds_to_s3.manifest.overview.notice import Notice, notice_of
from rds_to_s3.manifest.overview.standing import Standings
from rds_to_s3.manifest.write_manifest import write_manifest
from tests.support.manifests import manifest
from tests.support.memory_store import MemoryStore
from tests.unit.test_overview import NOON, after, entry, planned

HEALED = {"rows": 50, "healed": 14, "gone": 0, "whole_until": None}


def told(
    before: Standings, *entries: dict[str, Any], lags: dict[str, float] | None = None, hours: float = 4, **members: Any
) -> Notice | None:
    known = after(before, *entries, hours=hours)
    known.behind = [name for name, lag in (lags or {}).items() if lag > 8 * 3600]
    run = manifest(*entries, run_id=f"run-{hours:g}", started_at="2025-04-02T16:00:00Z", **members)
    return notice_of(run, before, known, lags or {}, is_new=True, limit_hours=8, bucket="food-data", region="eu-west-1")


def test_a_table_that_begins_to_fail_is_in_the_mail_with_its_error_and_the_next_command() -> None:
    notice = told(after(Standings(), entry()), entry(status="FAILED"), status="FAILED")
    assert notice is not None
    assert notice.subject == "food-data: 1 failing"
    assert "- orders: DatabaseAccessError: GRANT SELECT first" in notice.body
    assert "Next: rds-to-s3 redrive run-4" in notice.body
    assert "started 2025-04-02 16:00 UTC" in notice.body
    assert "https://eu-west-1.console.aws.amazon.com/s3/object/food-data?region=eu-west-1&prefix=runs%2Findex.html" in (
        notice.body
    )
    assert len(notice.body.splitlines()) < 12


def test_what_goes_on_is_no_news_but_is_named_beside_what_is() -> None:
    failing = after(Standings(), entry(status="FAILED"), entry("menu"))
    assert told(failing, entry(status="FAILED"), entry("menu")) is None
    notice = told(failing, entry(status="FAILED"), entry("menu", status="FAILED"))
    assert notice is not None
    assert "- menu: Database" in notice.body
    assert "Still failing: orders" in notice.body


def test_lag_healed_rows_a_shorter_list_and_recovery_each_have_theirs() -> None:
    known = after(Standings(), entry(), entry("menu"), entry("gone"), entry("well", status="FAILED"))
    lags = {"orders": 9 * 3600.0, "menu": 60.0}
    notice = told(known, entry(), entry("menu", proof=HEALED), entry("well"), lags=lags)
    assert notice is not None
    assert notice.subject == "food-data: 1 behind, 1 with rows healed, 1 well again, the list shrank"
    assert "- orders: 9 h 00 min behind the database; the limit is 8 h 00 min" in notice.body
    assert "- menu: 14 rows differed from the files, and were delivered again" in notice.body
    assert "- gone: their files and watermarks stay" in notice.body
    assert "- well: failed since 2025-04-02 12:00 UTC" in notice.body
    behind = after(known, entry(), entry("menu"), entry("well"))
    behind.behind = ["orders"]
    assert told(behind, entry(), entry("menu"), entry("well"), lags=lags) is None


def test_a_few_healed_rows_are_no_news_as_for_the_alarm() -> None:
    assert vars(notices)["FEW_HEALED"] == vars(ledgers)["FEW_HEALED"] == FEW_HEALED
    assert told(after(Standings(), entry()), entry(proof=HEALED | {"healed": FEW_HEALED})) is None


def test_a_run_that_could_not_be_planned_says_why() -> None:
    error = {"type": "TableListError", "message": "not JSON"}
    run = manifest(status="FAILED", error=error)
    notice = notice_of(run, Standings(), Standings(), {}, is_new=True, limit_hours=8, bucket="b", region="")
    assert notice is not None
    assert notice.subject == "b: a run could not be planned"
    assert "TableListError: not JSON" in notice.body
    assert "s3://b/runs/index.html" in notice.body


def test_a_mail_of_five_hundred_tables_is_short() -> None:
    names = [f"table_with_a_long_name_{number}" for number in range(500)]
    known = after(Standings(), *(entry(name) for name in names))
    notice = told(known, *(entry(name, "FAILED") for name in names))
    assert notice is not None
    assert "and 485 more" in notice.body
    assert len(notice.body) < 10_000
    assert len(notice.subject) <= 100


def test_a_run_sends_its_notice_once_and_a_fault_in_it_fails_nothing() -> None:
    store, sent, problems = MemoryStore(), [], []  # type: ignore[var-annotated]
    planned(store, "run-a", ["orders"], NOON.timestamp())
    execution = {
        "Id": "arn:aws:states:eu-central-1:1:execution:m:run-a", "Name": "run-a", "StartTime": "2025-04-02T12:00:00Z",
        "Input": {},
    }  # fmt: skip
    result = [{"table": "orders", "status": "FAILED", "error": "Sandbox.Timedout"}]
    del store.objects["_state/runs/run-a/tables/orders.json"]
    for _ in range(2):
        write_manifest(execution, {"results": result}, store, on_notice=sent.append, on_problem=problems.append)
    assert [notice.subject for notice in sent] == ["memory: 1 failing"]
    assert problems == []

    def fail(_: Notice) -> None:
        raise OSError("no topic")

    planned(store, "run-b", ["orders"], NOON.timestamp() + 1)
    other = execution | {"Id": "arn:aws:states:eu-central-1:1:execution:m:run-b", "Name": "run-b"}
    write_manifest(other, {}, store, on_notice=fail, on_problem=problems.append)
    assert [str(problem) for problem in problems] == ["no topic"]


@pytest.mark.parametrize("subject", ["food-data: 1 failing", "注文: 1 failing"])
def test_the_topic_takes_it(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    import boto3  # noqa: PLC0415

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        topic = boto3.client("sns").create_topic(Name="alarms")["TopicArn"]
        publish(topic, subject, "body: 注文")
