"""Commands that change the table list keep what they do not name, and refuse names before anything starts."""

from __future__ import annotations

import json

import pytest

from tests.support.deployed_command import Deployed, manifest
from tests.support.manifests import entry_json, manifest_json

OWN = {"name": "orders", "format": "parquet", "deletes": "track", "checks": {"total": {"ge": 0}}}


@pytest.fixture
def own(deployed: Deployed) -> Deployed:
    deployed.write_table_list(json.dumps({"defaults": {"lookback_seconds": 5}, "tables": ["menu", OWN]}))
    return deployed


def test_replace_changes_what_is_named_keeps_the_rest_and_shows_both(own: Deployed) -> None:
    result = own.run("tables", "add", "orders", "--replace", "--set", "compression=gzip")
    assert own.table_list()["tables"] == ["menu", OWN | {"compression": "gzip"}]
    before, after, _ = result.stderr.splitlines()
    assert json.loads(before.removeprefix("orders before: ")) == {k: v for k, v in OWN.items() if k != "name"}
    assert json.loads(after.removeprefix("orders after : "))["compression"] == "gzip"


def test_unset_takes_a_setting_away_and_a_table_without_any_is_its_name_again(own: Deployed) -> None:
    own.run("tables", "add", "orders", "--unset", "checks", "--set", "format=csv")
    assert own.table_list()["tables"][1] == {"name": "orders", "format": "csv", "deletes": "track"}
    own.run("tables", "add", "orders", "--unset", "format", "--unset", "deletes")
    assert own.table_list()["tables"] == ["menu", "orders"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "orders", "--unset", "mode"), "mode is not set; set are: format, deletes, checks"),
        (("add", "orders", "--set", "format=csv", "--unset", "format"), "both set and unset"),
        (("add", "orders", "--set", "format=csv"), "add --replace"),
        (("set-default",), "nothing to change"),
        (("set-default", "formt=csv"), "did you mean"),
        (("set-default", "--unset", "mode"), "defaults: mode is not set; set are: lookback_seconds"),
        (("exclude", "orders"), "rds-to-s3 tables remove orders"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_nothing_is_written(
    own: Deployed, words: tuple[str, ...], told: str
) -> None:
    before = own.table_list()
    result = own.run("tables", *words)
    assert (result.exit_code, told in result.stderr, own.table_list()) == (2, True, before), result.stderr


def test_a_default_is_changed_and_the_others_stay(own: Deployed) -> None:
    result = own.run("tables", "set-default", "format=parquet", "prove_bytes=0")
    assert own.table_list()["defaults"] == {"lookback_seconds": 5, "format": "parquet", "prove_bytes": 0}
    assert 'defaults before: {"lookback_seconds": 5}' in result.stderr
    own.run("tables", "set-default", "--unset", "lookback_seconds", "--unset", "format", "--unset", "prove_bytes")
    assert "defaults" not in own.table_list()
    assert own.table_list()["tables"] == ["menu", OWN]


def test_tables_are_excluded_and_let_in_again(own: Deployed) -> None:
    own.write_table_list('{"tables": ["order*"]}')
    own.run("tables", "exclude", "order_tmp*", "orders_old")
    assert own.table_list()["exclude"] == ["order_tmp*", "orders_old"]
    assert own.run("tables", "exclude", "orders_old").exit_code == 2
    own.run("tables", "exclude", "--remove", "orders_old")
    assert own.table_list()["exclude"] == ["order_tmp*"]
    assert own.run("tables", "exclude", "--remove", "orders_old").exit_code == 3


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        (["menu", "orders"], ["ordesr"]),
        (["menu", "orders"], ["orders", "x*"]),
        (["order*"], ["menu"]),
        (["order*"], ["order_tmp_1"]),
    ],
)
def test_a_name_that_is_not_listed_starts_nothing(deployed: Deployed, listed: list[str], names: list[str]) -> None:
    document = {"tables": listed, "exclude": ["order_tmp*"]} if listed == ["order*"] else {"tables": listed}
    deployed.write_table_list(json.dumps(document))
    options = [word for name in names for word in ("--table", name)]
    result = deployed.run("run", "--no-watch", *options)
    assert (result.exit_code, deployed.inputs()) == (3, [])
    assert names[-1] in result.stderr
    assert ("did you mean" in result.stderr) == (names == ["ordesr"])


def test_patterns_and_names_that_a_pattern_may_bring_in_are_started(deployed: Deployed) -> None:
    assert deployed.run("run", "--no-watch", "--table", "o*").exit_code == 0
    deployed.write_table_list('{"tables": ["order*"]}')
    assert deployed.run("run", "--no-watch", "--table", "orders", "--table", "*_x").exit_code == 0
    assert sorted(deployed.inputs(), key=str) == [{"tables": ["o*"]}, {"tables": ["orders", "*_x"]}]


# --- verify, show -------------------------------------------------------------------------------------------------


def runs_of(deployed: Deployed) -> None:
    """Two runs: an older one of orders, whose file is gone, and a newer one of menu."""
    body = b"id\n1\n"
    file = {"key": "menu/csv/menu_data_20250402_120000.csv", "rows": 1, "bytes": len(body), "sha256": "0" * 64}
    deployed.put(file["key"], body)  # type: ignore[arg-type]
    gone = {"key": "orders/csv/orders_data_20250401_120000.csv", "rows": 1, "bytes": 5, "sha256": "0" * 64}
    window = {"after": "2025-04-01 08:00:00", "until": "2025-04-01 12:00:00"}
    old = manifest_json(entry_json(rows=1, files=[gone], window=window), run_id="run-1")
    deployed.put("runs/run-1/manifest.json", old | {"started_at": "2025-04-01T12:00:00Z"})
    deployed.put("runs/run-2/manifest.json", manifest_json(entry_json("menu", rows=1, files=[file]), run_id="run-2"))


def test_plain_verify_says_what_it_leaves_out_and_all_leaves_out_nothing(deployed: Deployed) -> None:
    runs_of(deployed)
    plain = deployed.run("verify")
    assert "1 files" in plain.stdout
    assert "left out: the files of all runs but the newest, run-2, and 1 listed table that this" in plain.stdout
    assert "orders. rds-to-s3 verify --all" in plain.stdout
    everything = deployed.run("verify", "--all")
    assert "2 files" in everything.stdout
    assert "left out" not in everything.stdout


def test_a_file_that_is_gone_has_a_remedy_that_extracts_its_window_again(deployed: Deployed) -> None:
    runs_of(deployed)
    for words in (["--table", "ord*"], ["--table", "orders"], ["--all"], ["run-1"]):
        result = deployed.run("verify", *words)
        assert result.exit_code == 1
        assert "orders/csv/orders_data_20250401_120000.csv (run run-1): is missing" in result.stdout
        assert (
            "  rds-to-s3 rewind orders '2025-04-01 08:00:00'   and then: rds-to-s3 run --table orders" in result.stdout
        )
        assert f"list-object-versions --bucket {deployed.stack.bucket} --prefix orders/csv/" in result.stdout


def test_verify_refuses_names_of_which_no_run_has_a_file(deployed: Deployed) -> None:
    runs_of(deployed)
    assert deployed.run("verify", "--table", "menu", "--table", "review").exit_code == 3
    assert deployed.run("verify", "--table", "x*").exit_code == 3
    assert deployed.run("verify", "run-2", "--all").exit_code == 2


def test_without_latest_json_the_newest_run_is_found_by_its_manifest(deployed: Deployed) -> None:
    runs_of(deployed)
    deployed.put("runs/run-2/manifest.json", manifest("run-2"))
    assert deployed.run("show").stdout.startswith("run-2  succeeded")


# --- the command itself -------------------------------------------------------------------------------------------


def test_the_version_is_the_project_s(deployed: Deployed) -> None:
    import tomllib  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert deployed.run("--version").stdout == f"rds-to-s3 {project['version']}\n"
