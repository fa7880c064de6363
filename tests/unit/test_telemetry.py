"""The metrics as they reach the log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from rds_to_s3.extract import Outcome
from telemetry import emit_lags, emit_metrics


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RdsToS3")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    return Metrics()


def emitted(capsys: pytest.CaptureFixture[str]) -> list[tuple[list[list[str]], dict[str, Any]]]:
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(document["_aws"]["CloudWatchMetrics"][0]["Dimensions"], document) for document in documents]


def test_a_finished_table_emits_its_figures_and_the_alarms_theirs(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"files": [{"bytes": 10}, {"bytes": 5}], "seconds": 1.5, "quarantined_rows": 2}
    emit_metrics(metrics, "orders", Outcome("SUCCEEDED", record, rows=7, files=2, lag_seconds=3.0))
    (_, table), *alarms = emitted(capsys)
    assert (table["table"], table["service"]) == ("orders", "stack")
    figures = {name: table[name] for name in ("RowsExtracted", "FilesWritten", "BytesWritten", "ExtractSeconds")}
    assert figures == {"RowsExtracted": [7], "FilesWritten": [2], "BytesWritten": [15], "ExtractSeconds": [1.5]}
    assert [dimensions for dimensions, _ in alarms] == [[["service"]], [["service"]]]
    assert (alarms[0][1]["FreshnessLagSeconds"], alarms[1][1]["RowsQuarantined"]) == ([3.0], [2])


def test_one_tables_dimension_does_not_reach_the_next(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    emit_lags(metrics, {"orders": 60.0, "menu": 90.0})
    lags = [(document.get("table"), document["FreshnessLagSeconds"]) for _, document in emitted(capsys)]
    assert lags == [("orders", [60.0]), (None, [60.0]), ("menu", [90.0]), (None, [90.0])]


@pytest.mark.parametrize("status", ["CONTINUE", "SKIPPED"])
def test_what_is_not_finished_emits_nothing(metrics: Metrics, capsys: pytest.CaptureFixture[str], status: Any) -> None:
    emit_metrics(metrics, "orders", Outcome(status))
    assert emitted(capsys) == []
