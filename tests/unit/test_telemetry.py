"""The metrics as they reach the log."""

from __future__ import annotations

import json
from typing import Any

import pytest

import telemetry
from rds_to_s3.extract.outcome import Outcome
from tests.support.manifests import entry


@pytest.fixture(autouse=True)
def a_cold_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RdsToS3")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    telemetry._metrics.cache_clear()


def emitted(capsys: pytest.CaptureFixture[str]) -> list[tuple[list[list[str]], dict[str, Any]]]:
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(document["_aws"]["CloudWatchMetrics"][0]["Dimensions"], document) for document in documents]


def test_a_finished_table_emits_its_figures_and_the_alarms_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    files = [{"key": str(size), "rows": 1, "bytes": size, "sha256": "0" * 64} for size in (10, 5)]
    proof = {"rows": 9, "healed": 3, "gone": 0, "whole_until": None}
    record = entry("orders", files=files, seconds=1.5, quarantined_rows=2, proof=proof)
    telemetry.emit_table("orders", Outcome("SUCCEEDED", record, rows=7, files=2, lag_seconds=3.0))
    (_, table), *for_alarms = emitted(capsys)
    assert (table["table"], table["service"]) == ("orders", "stack")
    figures = {name: table[name] for name in ("RowsExtracted", "FilesWritten", "BytesWritten", "ExtractSeconds")}
    assert figures == {"RowsExtracted": [7], "FilesWritten": [2], "BytesWritten": [15], "ExtractSeconds": [1.5]}
    assert (table["RowsQuarantined"], table["RowsHealed"]) == ([2], [3])
    assert [dimensions for dimensions, _ in for_alarms] == [[["service"]]] * 2
    assert (for_alarms[0][1]["RowsQuarantined"], for_alarms[1][1]["RowsHealed"]) == ([2], [3])


def test_a_table_of_which_nothing_is_proved_has_no_healed_row(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.emit_table("orders", Outcome("SUCCEEDED", entry("orders")))
    assert [document.get("RowsHealed") for _, document in emitted(capsys)] == [[0], None, [0]]


def test_the_alarm_hears_how_far_the_last_table_is_behind(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.emit_lags({"orders": 60.0, "menu": 5400.0, "café": 5.0})
    *tables, (_, seconds), (dimensions, alarm) = emitted(capsys)
    lags = [(document["table"], document["FreshnessLagSeconds"]) for _, document in tables]
    assert lags == [("orders", [60.0]), ("menu", [5400.0]), ("caf\\xe9", [5.0])]
    assert (dimensions, seconds["FreshnessLagSeconds"], alarm["FreshnessLagHours"]) == ([["service"]], [5400.0], [1.5])


def test_an_alarm_hears_when_no_table_is_behind_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.emit_lags({})
    assert [document.get("FreshnessLagHours") for _, document in emitted(capsys)] == [None, [0.0]]


@pytest.mark.parametrize("status", ["CONTINUE", "SKIPPED"])
def test_what_is_not_finished_emits_nothing(capsys: pytest.CaptureFixture[str], status: Any) -> None:
    telemetry.emit_table("orders", Outcome(status, None if status == "CONTINUE" else entry("orders", status)))
    telemetry.emit_table("orders", Outcome("SUCCEEDED", entry("orders"), reported_before=True))
    assert emitted(capsys) == []
