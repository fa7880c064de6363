"""A privilege that is missing: who may not do what, and the GRANT that helps, which runs as printed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.pipeline import Json, Pipeline, entry

pytestmark = pytest.mark.bucket_in_memory

USER = "o'nar`row"
ACCOUNT = "'o''nar`row'@'%'"
NAME = "two `words`"
SQL_NAME = "`two ``words```"


@pytest.fixture
def narrow(any_pipeline: Pipeline) -> Pipeline:
    """A table of which the user may read every column but `secret key` and `select`."""
    database, server = any_pipeline.database, any_pipeline.database.server
    database.execute(
        f"CREATE TABLE {SQL_NAME} (id INT NOT NULL, `secret key` INT NOT NULL, `select` DATETIME NULL, "
        "createdDate DATETIME NOT NULL DEFAULT '2025-01-01', modifiedDate DATETIME NULL, PRIMARY KEY (id), "
        "KEY (createdDate), KEY (modifiedDate), KEY (`select`))",
        f"INSERT INTO {SQL_NAME} (id, `secret key`) VALUES (1, 7)",
    )
    server.execute(
        f"DROP USER IF EXISTS {ACCOUNT}",
        f"CREATE USER {ACCOUNT} IDENTIFIED BY 'narrow-Pa55'",
        f"GRANT PROCESS ON *.* TO {ACCOUNT}",
        f"GRANT SELECT (id, createdDate, modifiedDate) ON `{database.name}`.{SQL_NAME} TO {ACCOUNT}",
    )
    any_pipeline.user = (USER, "narrow-Pa55")
    return any_pipeline


def run(pipeline: Pipeline, **settings: Any) -> Json:
    pipeline.tables = [{"name": NAME, **settings}]
    return entry(pipeline.run(), NAME)


def grant_in(pipeline: Pipeline, text: str) -> None:
    """Run the GRANT that a message ends with, as it is, where no database is selected."""
    statement = text[text.index("GRANT SELECT") :]
    assert statement.endswith(f" ON `{pipeline.database.name}`.{SQL_NAME} TO {ACCOUNT}")
    pipeline.database.server.execute(statement)


@pytest.mark.parametrize(
    "settings",
    [
        {"columns": ["id", "Secret Key"]},
        {"checks": {"secret key": {"ge": 0}}},
        {"checks": {"*": {"expressions": ["`secret key` > id - 100"]}}},
        {"modified_column": "select"},
        {"modified_column": None, "created_column": "select"},
    ],
    ids=["columns", "a check", "an expression", "modified_column", "created_column"],
)
def test_a_setting_that_names_a_column_that_the_user_may_not_read_has_the_grant(
    narrow: Pipeline, settings: dict[str, Any]
) -> None:
    error = run(narrow, **settings)["error"]
    assert error["type"] == "ColumnNotFoundError"
    assert "the database user may not read column" in error["message"]
    grant_in(narrow, error["message"])
    assert run(narrow, **settings)["error"] is None


def test_a_column_that_may_not_be_read_may_be_excluded(narrow: Pipeline) -> None:
    table = run(narrow, exclude_columns=["secret key"])
    assert (table["error"], table["warnings"], table["rows"]) == (None, [], 1)


def test_a_default_cursor_column_that_may_not_be_read_is_a_warning_with_the_grant(narrow: Pipeline) -> None:
    narrow.defaults = {"modified_column": "select"}
    (warning,) = run(narrow)["warnings"]
    assert "The database user may not read select, which the table has" in warning
    grant_in(narrow, warning)
    assert not any("GRANT" in told for told in run(narrow)["warnings"])


def test_a_key_that_may_not_be_read_is_reported_with_the_grant(narrow: Pipeline) -> None:
    narrow.database.execute(f"ALTER TABLE {SQL_NAME} DROP PRIMARY KEY, ADD PRIMARY KEY (id, `secret key`)")
    (warning,) = [told for told in run(narrow)["warnings"] if "no primary key" in told]
    if narrow.database.server.flavour == "mariadb":
        # MariaDB shows no index with a column that the user may not read: which column that is, nobody tells.
        return
    assert "The database user may not read its key" in warning
    error = run(narrow, deletes="track")["error"]
    assert error["type"] == "NoKeyError"
    grant_in(narrow, error["message"])
    assert run(narrow, deletes="track")["error"] is None
