"""Messages say where something is, what was probably meant, and what to run where they are printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rds_to_s3.aws import database
from rds_to_s3.errors import DatabaseLoginError, RdsToS3Error, TableListError, TableNotFoundError
from rds_to_s3.manifest.report import render_report
from rds_to_s3.mysql.catalogue import snapshot
from rds_to_s3.plan.lists.stored_list import read_table_list
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3.settings import DatabaseSettings
from rds_to_s3_ops.findings import warned
from rds_to_s3_ops.inspection.local_system import is_local, local_remedy
from tests.support.deployed_command import Deployed
from tests.support.manifests import manifest
from tests.support.memory_store import MemoryStore

LIST = """\
{
 "defaults": {"formt": "csv"},
 "tables": [
  "menu",
  {"name": "orders", "format": "parquet",
   "mode": "often", "checks": {"a": [1, {"b": "}]"}]}},
  {"name": "review", "colums": ["x"]},
  "menu"
 ],
 "exlude": []
}
"""


def test_each_problem_of_a_list_says_its_line_and_column() -> None:
    with pytest.raises(TableListError) as caught:
        parse_table_list(LIST)
    problems = str(caught.value).removeprefix("the table list: ").split("; ")
    places = {problem.split(":")[0].split(" (")[0]: problem.rpartition(" (")[2].rstrip(")") for problem in problems}
    assert places == {
        "defaults": "line 2, column 15",
        "tables[1]": "line 6, column 4",
        "tables[2]": "line 7, column 22",
        "tables[3]": "line 8, column 3",
        'unknown key "exlude"': "line 10, column 2",
    }


@pytest.mark.parametrize(
    "document", ["{", '{"tables": 3}', "[]", '{"tables": [{"name": "a", "a\\n\\"b": 1}]}', '{"tables": [[]]}']
)
def test_any_error_of_a_list_names_its_parameter(document: str) -> None:
    with pytest.raises(TableListError, match=r"in the SSM parameter /food/table-list\)$"):
        read_table_list(document, MemoryStore(), "/food/table-list")


def test_the_command_names_the_parameter_and_the_place_too(deployed: Deployed) -> None:
    deployed.write_table_list('{"tables": [{"name": "a", "formt": 1}]}')
    result = deployed.run("tables", "list")
    assert result.exit_code == 2
    assert "line 1, column 27" in result.stderr
    assert deployed.stack.table_list_parameter in result.stderr


def test_a_wrong_option_has_no_place_in_a_document_that_nobody_wrote(deployed: Deployed) -> None:
    result = deployed.run("tables", "add", "review", "--set", "formt=csv")
    assert "did you mean" in result.stderr
    assert "line 1" not in result.stderr


@pytest.mark.parametrize(
    "words", [("tables", "remove", "ordesr"), ("rewind", "ordesr", "--all"), ("run", "-t", "ordesr")]
)
def test_a_table_with_a_similar_name_is_offered(deployed: Deployed, words: tuple[str, ...]) -> None:
    assert "orders" in deployed.run(*words).stderr.partition("did you mean")[2].partition("?")[0]


class Catalogue:
    """A server without the table that is asked for."""

    is_mariadb = False

    def __init__(self, tables: list[str]) -> None:
        self.tables = tables

    def run(self, statement: str, **_: Any) -> None:
        if "FROM" in statement:
            raise TableNotFoundError("there is no such table.")

    def rows(self, *_: Any) -> list[dict[str, str]]:
        return [{"name": name} for name in self.tables]

    def row(self, *_: Any) -> dict[str, int]:
        return {"counted": len(self.tables)}


@pytest.mark.parametrize(
    ("tables", "ending"),
    [(["Orders", "menu"], "Did you mean 'Orders'?"), (["order"], "Did you mean 'order'?"), (["xyz"], "no such table.")],
)
def test_a_table_that_is_not_in_the_database_may_have_another_name(tables: list[str], ending: str) -> None:
    with pytest.raises(TableNotFoundError) as caught:
        snapshot.open_snapshot(Catalogue(tables), "food", "orders", seconds=1)  # type: ignore[arg-type]
    assert str(caught.value).endswith(ending)


def test_a_refused_login_names_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DatabaseLoginError("the server refused the password of 'extractor'.")

    monkeypatch.setattr(database, "connect", refuse)
    settings = DatabaseSettings(data_bucket="food-data", database_credentials="secretsmanager:food/extractor")
    with pytest.raises(RdsToS3Error, match="The login is from secretsmanager:food/extractor"):
        database.open_connection(settings, 5)


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (
            {"status": "FAILED", "window_end": None, "error": {"type": "TableListError", "message": "no"}},
            "not be planned",
        ),
        ({}, "the table list is empty"),
    ],
)
def test_a_report_without_tables_does_not_say_that_none_failed(members: dict[str, Any], told: str) -> None:
    page = render_report(manifest(**members))
    assert "none failed" not in page
    assert told in page


@pytest.mark.parametrize(
    ("remedy", "local"),
    [
        ("deploy with DatabaseTls=verify", "STACK_PARAMETERS='DatabaseTls=verify' make up"),
        ("deploy again: the stack needs its bucket", "make up: the stack needs its bucket"),
        ("rds-to-s3 run", "rds-to-s3 run"),
    ],
)
def test_on_the_local_system_a_remedy_is_what_works_there(
    monkeypatch: pytest.MonkeyPatch, remedy: str, local: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert is_local()
    assert local_remedy(warned("check", "told", remedy)).remedy == local
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://states.eu-west-1.amazonaws.com")
    assert not is_local()


def test_the_list_of_the_sample_is_json_otherwise() -> None:
    assert set(json.loads(LIST)) == {"defaults", "tables", "exlude"}
