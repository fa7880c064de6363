"""The command's watermarks, table list and files, as an operator or a script meets them."""

from __future__ import annotations

import hashlib
import json

import pytest

from rds_to_s3.bucket_keys import state_key, watermark_key
from rds_to_s3.commit.state import Commit, TableState
from rds_to_s3_ops.commands import tables
from tests.support.deployed_command import Deployed, manifest
from tests.support.manifests import entry

WATERMARK = "orders/csv/last_extract.txt"


# --- rewind -------------------------------------------------------------------------------------------------------


def test_rewind_says_what_was_and_will_be_and_writes_it(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    result = deployed.run("rewind", "orders", "2025-04-01", "--yes")
    assert result.exit_code == 0
    assert "the watermark is 2025-04-02 12:00:00 and becomes 2025-04-01 00:00:00" in result.stderr
    assert deployed.get(WATERMARK) == "2025-04-01 00:00:00"


def test_rewind_all_empties_the_watermark(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    told = json.loads(deployed.run("rewind", "orders", "--all", "--yes", "--json").stdout)
    assert told == {"table": "orders", "key": WATERMARK, "was": "2025-04-02 12:00:00", "is": None}
    assert deployed.get(WATERMARK) == ""


def test_rewind_fixes_a_malformed_watermark_and_knows_from_the_last_commit_what_is_forward(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "yesterday")
    refused = deployed.run("rewind", "orders", "2025-04-01 10:00:00.5", "--yes")
    assert (refused.exit_code, "FORWARD" in refused.stderr) == (2, True), "nobody knows what was extracted"
    deployed.put(
        state_key("orders", "csv"),
        TableState(
            table="orders",
            format="csv",
            commit=Commit(
                run_id="run-1",
                token="0",
                planned_at=0.0,
                server_utc=0.0,
                watermark="2025-04-02 12:00:00",
                watermark_before=None,
                read_from=None,
                files=[],
                record=entry(),
            ),
        ).model_dump_json(),
    )
    assert deployed.run("rewind", "orders", "2099-01-01", "--yes").exit_code == 2
    assert deployed.run("rewind", "orders", "2025-04-01 10:00:00.5", "--yes").exit_code == 0
    assert deployed.get(WATERMARK) == "2025-04-01 10:00:00.500000"


@pytest.mark.parametrize("present", ["2025-04-02 12:00:00", "", None])
def test_rewind_goes_forward_only_when_told_to(deployed: Deployed, present: str | None) -> None:
    if present is not None:
        deployed.put(WATERMARK, present)
    refused = deployed.run("rewind", "orders", "2025-05-01", "--yes")
    assert (refused.exit_code, "FORWARD" in refused.stderr, "--forward" in refused.stderr) == (2, True, True)
    assert deployed.run("rewind", "orders", "2025-05-01", "--yes", "--forward").exit_code == 0
    assert deployed.get(WATERMARK) == "2025-05-01 00:00:00"


def test_rewind_asks_and_without_a_terminal_needs_yes(deployed: Deployed) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    result = deployed.run("rewind", "orders", "2025-04-01")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert deployed.get(WATERMARK) == "2025-04-02 12:00:00"


def test_rewind_overwrites_nothing_that_moved_meanwhile(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    monkeypatch.setattr(tables, "_confirm", lambda: deployed.put(WATERMARK, "2025-04-02 16:00:00"))
    result = deployed.run("rewind", "orders", "2025-04-01")
    assert result.exit_code == 5
    assert deployed.get(WATERMARK) == "2025-04-02 16:00:00"


def test_rewind_needs_the_state_only_where_the_watermark_says_nothing(deployed: Deployed) -> None:
    deployed.put(state_key("orders", "csv"), "damaged")
    deployed.put(WATERMARK, "2025-04-02 12:00:00")
    assert deployed.run("rewind", "orders", "2025-04-01", "--yes").exit_code == 0
    deployed.put(WATERMARK, "yesterday")
    refused = deployed.run("rewind", "orders", "2025-04-01", "--yes")
    assert (refused.exit_code, state_key("orders", "csv") in refused.stderr) == (4, True)
    assert deployed.run("rewind", "orders", "--all", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["orders"], 2),
        (["orders", "2025-04-01", "--all"], 2),
        (["orders", "last week"], 2),
        (["orders", "2025-02-30"], 2),
        (["nope", "2025-04-01"], 3),
    ],
)
def test_rewind_refuses_what_it_cannot_do(deployed: Deployed, arguments: list[str], code: int) -> None:
    result = deployed.run("rewind", *arguments, "--yes")
    assert result.exit_code == code
    assert ("exclude each other" in result.stderr) == ("--all" in arguments)


def test_rewind_finds_the_watermark_of_the_table_s_format_also_behind_a_pattern(deployed: Deployed) -> None:
    deployed.run("tables", "add", "inv*", "--set", "format=parquet")
    deployed.put("invoice/parquet/last_extract.txt", "2025-04-02 12:00:00")
    assert deployed.run("rewind", "invoice", "--all", "--yes").exit_code == 0
    assert deployed.get("invoice/parquet/last_extract.txt") == ""


@pytest.mark.parametrize("name", ["a/b", "a\\b", "100%", "why?", "#1", "café", ".."])
def test_rewind_moves_the_watermark_that_the_run_reads_whatever_the_table_s_name(deployed: Deployed, name: str) -> None:
    deployed.write_table_list(json.dumps({"tables": [name]}))
    key = watermark_key(name, "csv")
    deployed.put(key, "2025-04-02 12:00:00")
    assert deployed.run("rewind", name, "2025-04-01", "--yes").exit_code == 0
    assert deployed.get(key) == "2025-04-01 00:00:00"
    assert deployed.keys() == [key]


def test_a_table_that_is_extracted_in_full_has_nothing_to_rewind(deployed: Deployed) -> None:
    deployed.run("tables", "add", "city", "--set", "mode=full")
    assert deployed.run("rewind", "city", "--all", "--yes").exit_code == 2


# --- tables -------------------------------------------------------------------------------------------------------


def test_a_table_is_added_with_settings_and_removed(deployed: Deployed) -> None:
    checks = {"total": {"ge": 0}}
    result = deployed.run(
        "tables", "add", "invoice", "--set", "format=parquet", "--set", f"checks={json.dumps(checks)}"
    )
    assert result.exit_code == 0
    assert deployed.table_list()["tables"][-1] == {"name": "invoice", "format": "parquet", "checks": checks}
    assert "invoice" in deployed.run("tables", "list").stdout
    assert deployed.run("tables", "remove", "invoice").exit_code == 0
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_a_listed_table_changes_only_when_told_to_and_keeps_its_place(deployed: Deployed) -> None:
    assert deployed.run("tables", "add", "menu", "--set", "format=parquet").exit_code == 2
    assert deployed.run("tables", "add", "menu", "--set", "format=parquet", "--replace").exit_code == 0
    assert deployed.table_list()["tables"] == [{"name": "menu", "format": "parquet"}, "orders"]


def test_what_the_operator_wrote_around_the_tables_stays(deployed: Deployed) -> None:
    written = {"defaults": {"format": "parquet"}, "tables": ["menu", "naïve"], "exclude": ["tmp*"]}
    deployed.write_table_list(json.dumps(written))
    deployed.run("tables", "add", "orders")
    assert deployed.table_list() == {**written, "tables": ["menu", "naïve", "orders"]}


@pytest.mark.parametrize(
    "setting",
    ["formt=csv", "format=xml", "format", "lookback_seconds=soon", "name=zzz", "own_keys=[]", "tables=[]", "=csv"],
)
def test_a_setting_that_is_not_valid_changes_nothing(deployed: Deployed, setting: str) -> None:
    result = deployed.run("tables", "add", "invoice", "--set", setting)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_the_table_that_is_listed_is_the_one_that_was_named(deployed: Deployed) -> None:
    result = deployed.run("tables", "add", "café", "--set", "name=zzz")
    assert (result.exit_code, "name is not a setting" in result.stderr) == (2, True)
    assert deployed.run("tables", "add", "menu", "--set", "name=zzz", "--replace").exit_code == 2
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_a_setting_that_is_given_twice_is_refused(deployed: Deployed) -> None:
    result = deployed.run("tables", "add", "invoice", "--set", "format=csv", "--set", "format=parquet")
    assert (result.exit_code, "given twice" in result.stderr) == (2, True)
    assert deployed.table_list() == {"tables": ["menu", "orders"]}


def test_removing_a_table_that_is_not_listed_names_those_that_are(deployed: Deployed) -> None:
    result = deployed.run("tables", "remove", "order")
    assert (result.exit_code, "menu, orders" in result.stderr) == (3, True)


def test_a_malformed_table_list_is_reported_with_its_error(deployed: Deployed) -> None:
    deployed.write_table_list('{"tables": ["menu", "menu"]}')
    result = deployed.run("tables", "list")
    assert (result.exit_code, "listed twice" in result.stderr) == (2, True)


def test_a_long_table_list_is_summarised_unless_all_is_asked_for(deployed: Deployed) -> None:
    deployed.write_table_list(json.dumps({"tables": [f"t{number}" for number in range(50)]}))
    assert "and 10 more tables" in deployed.run("tables", "list").stdout
    assert "t49" in deployed.run("tables", "list", "--all").stdout


def test_tables_list_as_json_is_the_document(deployed: Deployed) -> None:
    assert json.loads(deployed.run("tables", "list", "--json").stdout) == {"tables": ["menu", "orders"]}


# --- verify -------------------------------------------------------------------------------------------------------


def with_file(deployed: Deployed, run_id: str, body: bytes, key: str = "orders/csv/orders_data_x.csv") -> None:
    document = manifest(run_id)
    file = {"key": key, "rows": 2, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    document["tables"][1]["files"] = [file]
    deployed.put(f"runs/{run_id}/manifest.json", document)
    deployed.put("runs/latest.json", document)
    deployed.put(key, body)


def test_verify_reads_the_newest_runs_files_and_says_that_nothing_differs(deployed: Deployed) -> None:
    with_file(deployed, "run-1", b'a,b\n1,"x\ny"\n,\n')
    result = deployed.run("verify")
    assert result.exit_code == 0, result.output
    assert "1 files, 2 rows" in result.output
    assert "nothing differs" in result.output


@pytest.mark.parametrize("arguments", [("run-1",), ("--table", "orders"), ()])
def test_verify_names_the_file_that_differs_and_exits_with_1(deployed: Deployed, arguments: tuple[str, ...]) -> None:
    with_file(deployed, "run-1", b"a\n1\n2\n")
    deployed.put("orders/csv/orders_data_x.csv", b"a\n1\n2\n3\n")
    result = deployed.run("verify", *arguments, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert not found["ok"]
    assert [problem.split(":")[0] for problem in found["files"]["broken"][0]["problems"]] == ["bytes", "sha256", "rows"]


@pytest.mark.parametrize(
    ("arguments", "exit_code"), [(("run-9",), 3), (("--table", "nothing"), 3), (("run-1", "--table", "orders"), 2)]
)
def test_verify_of_what_is_not_there_is_reported(
    deployed: Deployed, arguments: tuple[str, ...], exit_code: int
) -> None:
    with_file(deployed, "run-1", b"a\n1\n2\n")
    assert deployed.run("verify", *arguments).exit_code == exit_code
