"""Masked and renamed columns: what is written, and that the values are nowhere, whatever happens to the run."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
import zlib
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from rds_to_s3.aws.mask_key import MaskKey
from rds_to_s3.errors import SettingsError, TableListError
from rds_to_s3.extract import page_reader
from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.extract.ranges import division
from rds_to_s3.plan.table_list import parse_table_list
from tests.integration.pipeline import Json, Pipeline, entry
from tests.integration.test_long_reads import hurry
from tests.integration.verifying import reconcile
from tests.support.csv_reading import read_csv
from tests.support.schemas import manifest_schema

PEOPLE = """CREATE TABLE people (
    id INT PRIMARY KEY AUTO_INCREMENT, email VARCHAR(60) NULL, phone VARCHAR(20) NOT NULL, raw VARBINARY(20) NULL,
    kind ENUM('Secret Person', 'other') NULL, code INT NULL,
    createdDate DATETIME NOT NULL DEFAULT '2025-01-01 00:00:00', modifiedDate DATETIME NULL,
    KEY (createdDate), KEY (modifiedDate, phone, email))"""
ROWS = """INSERT INTO people (email, phone, raw, kind, code) VALUES
    ('hush.anna@example.org', '+49-555-7777', x'C0FFEEFADED0', 'Secret Person', 700070007),
    ('hush.bert@example.org', '+49-555-8888', x'C0FFEEFADED0', 'other', NULL),
    (NULL, '+49-555-9999', NULL, NULL, 700090009), ('', '+49-555-0000', '', 'other', 700070007)"""
MASK = {"email": "hash", "PHONE": "null", "raw": "hash", "kind": "hash", "code": "hash"}
SECRETS = [
    b"hush.",
    b"49-555",
    b"C0FFEEFADED0",
    b"\xc0\xff\xee\xfa\xde\xd0",
    b"Secret Person",
    b"700070007",
    b"700090009",
]
KEY = b"a key of the tests"


def hashed(text: str) -> str:
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()


in_memory = pytest.mark.bucket_in_memory


@pytest.fixture
def mysql_people(pipeline: Pipeline) -> Pipeline:
    """What does not depend on the server is tried on one."""
    pipeline.database.execute(PEOPLE, ROWS)
    return pipeline


@pytest.fixture
def people(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(PEOPLE, ROWS)
    return any_pipeline


def extracted(pipeline: Pipeline, **settings: Any) -> Json:
    pipeline.tables = [{"name": "people", "mask": MASK, **settings}]
    manifest = pipeline.run()
    jsonschema.validate(manifest, manifest_schema())
    return entry(manifest, "people")


def assert_nowhere(pipeline: Pipeline, *texts: str) -> None:
    """Look for the values in everything that is in the bucket, old versions of it included, and in these texts."""
    for key in pipeline.keys(""):
        body = pipeline.body(key)
        if key.endswith(".gz"):
            body = zlib.decompress(body, 31)
        if key.endswith(".parquet"):
            body += json.dumps(pq.read_table(io.BytesIO(body)).to_pylist(), default=str).encode()
        assert [secret for secret in SECRETS if secret in body] == [], key
    everything = "\n".join(texts).encode()
    assert [secret for secret in SECRETS if secret in everything] == []


def test_a_hash_is_the_hmac_of_the_values_text_and_null_stays_null(people: Pipeline) -> None:
    table = extracted(people)
    rows = list(people.delivered("people"))
    assert [row["email"] for row in rows] == [
        hashed("hush.anna@example.org"),
        hashed("hush.bert@example.org"),
        None,
        hashed(""),
    ]
    assert [row["phone"] for row in rows] == [None] * 4
    assert [row["raw"] for row in rows] == [hashed("C0FFEEFADED0"), hashed("C0FFEEFADED0"), None, hashed("")]
    assert [row["code"] for row in rows] == [hashed("700070007"), None, hashed("700090009"), hashed("700070007")]
    types = {column["name"]: (column["type"], column["nullable"]) for column in table["columns"]}
    assert types["email"] == types["kind"] == ("char(64)", True)
    assert types["phone"] == ("varchar(20)", True)
    assert reconcile(people, "people", mask=MASK).is_fine(extra_is_fine=False)
    assert_nowhere(people)


@in_memory
@pytest.mark.parametrize("mode", ["incremental", "compare"])
@pytest.mark.parametrize("written", [{"format": "parquet"}, {"compression": "gzip"}])
def test_the_values_are_nowhere_whatever_becomes_of_the_rows(
    people: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: str, written: Json
) -> None:
    monkeypatch.setattr(page_reader, "MOST_ROWS", 2)
    caplog.set_level(logging.DEBUG, "rds_to_s3")
    checks = {"email": {"unique": True, "not_null": True}, "id": {"le": 3}}
    settings = {"mode": mode, "deletes": "track", "checks": checks, "on_violation": "quarantine", **written}
    first = extracted(people, **settings)
    assert first["quarantined_rows"] == 2  # one has no email, the other an id that is too large
    people.database.execute(
        "UPDATE people SET email = 'hush.carl@example.org', modifiedDate = NOW() WHERE id = 1",
        "UPDATE people SET email = 'hush.dora@example.org' WHERE id = 2",  # no stamp: the proof finds it
        "INSERT INTO people (email, phone, createdDate) VALUES ('hush.late@example.org', '+49-555-1', '2099-01-01')",
        "DELETE FROM people WHERE id = 3",
    )
    second = extracted(people, **settings)
    assert second["rows"] == 2
    failed = extracted(people, **(settings | {"on_violation": "fail", "checks": {"id": {"lt": 1}}}), lookback_seconds=9)
    people.database.execute("ALTER TABLE people MODIFY kind ENUM('Secret Person', 'other', 'hush.third') NULL")
    third = extracted(people, **settings)
    assert third["error"] is None
    assert_nowhere(people, json.dumps([first, second, failed, third]), caplog.text)


@in_memory
def test_a_read_of_several_invocations_keeps_no_value_between_them(
    people: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, rows=1, pages=1)
    people.tables = [{"name": "people", "mask": MASK, "checks": {"email": {"unique": True}}, "on_violation": "warn"}]
    people.set_watermark("people", "2024-01-01 00:00:00")
    run = people.plan(people.execution("long"))["run_id"]
    statuses = ["CONTINUE"]
    while statuses[-1] == "CONTINUE" and len(statuses) < 20:
        statuses.append(people.extract(run, "people"))
        assert_nowhere(people)
    assert (statuses[-1], len(statuses) > 4) == ("SUCCEEDED", True)


@in_memory
def test_another_key_is_reported_and_the_proof_writes_the_rows_anew(mysql_people: Pipeline) -> None:
    extracted(mysql_people)
    assert extracted(mysql_people)["status"] == "UNCHANGED"
    mysql_people.mask_key = b"another key"
    table = extracted(mysql_people)
    assert (table["rows"], table["proof"]["healed"]) == (4, 4)
    assert any("the key of the masks has changed" in warning for warning in table["warnings"])
    assert extracted(mysql_people)["status"] == "UNCHANGED"


@in_memory
def test_a_mask_that_comes_later_replaces_what_was_delivered(mysql_people: Pipeline) -> None:
    mysql_people.tables = ["people"]
    mysql_people.run()
    table = extracted(mysql_people)
    assert table["proof"]["healed"] == 4
    assert any("the masks of" in warning for warning in table["warnings"])
    assert next(iter(read_csv(mysql_people.body(table["files"][0]["key"]))))["email"] == hashed("hush.anna@example.org")


def test_columns_have_their_new_names_everywhere(people: Pipeline) -> None:
    rename = {"email": "contact", "id": "person_id", "code": "email"}
    settings: Json = {"rename": rename, "mask": {"email": "hash"}, "deletes": "track", "on_violation": "quarantine"}
    checks = {"code": {"ge": 700080008}, "phone": {"min_length": 5}}
    first = extracted(people, checks=checks, **settings)
    names = ["person_id", "contact", "phone", "raw", "kind", "email", "createdDate", "modifiedDate"]
    assert [column["name"] for column in first["columns"]] == names
    assert (first["key"], first["quarantined_rows"]) == (["person_id"], 2)
    assert any("email ge 700080008: 2 rows (person_id 1; person_id 4)" in warning for warning in first["warnings"])
    (quarantine,) = first["quarantine"]
    assert list(next(iter(read_csv(people.body(quarantine["key"]))))) == [*names, "_violations"]
    people.database.execute("DELETE FROM people WHERE id = 2", "ALTER TABLE people MODIFY code BIGINT NULL")
    second = extracted(people, checks=checks, **settings)
    assert [(change["change"], change["column"]) for change in second["drift"]] == [("widened", "email")]
    assert list(read_csv(people.body(second["deletes"][0]["key"]))) == [{"person_id": "2"}]
    assert extracted(people, checks=checks, **(settings | {"rename": {}}))["proof"]["healed"] == 0
    assert reconcile(people, "people", rename=rename, mask={"email": "hash"}).error is None


@in_memory
def test_a_name_that_another_column_had_in_earlier_files_is_reported(mysql_people: Pipeline) -> None:
    def warned(rename: dict[str, str]) -> list[str]:
        warnings = extracted(mysql_people, mask={}, rename=rename)["warnings"]
        return [text.partition(":")[0] for text in warnings if "another column has this name" in text]

    assert warned({"email": "phone", "phone": "email"}) == []
    assert warned({"email": "phone", "phone": "email"}) == []
    assert warned({}) == ["email, phone"]
    assert warned({"email": "contact", "phone": "email"}) == ["email"]
    mysql_people.database.execute("ALTER TABLE people RENAME COLUMN kind TO sort")
    assert warned({"email": "contact", "phone": "email", "sort": "kind"}) == []


@in_memory
@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"mask": {"id": "hash"}}, "TableListError", "a column of its key"),
        ({"mask": {"emial": "hash"}}, "ColumnNotFoundError", "emial"),
        ({"rename": {"nothing": "x"}}, "ColumnNotFoundError", "nothing"),
        ({"rename": {"email": "Phone"}}, "TableListError", "which another of its columns has"),
    ],
)
def test_what_does_not_suit_the_table_fails_it_before_a_row_is_read(
    mysql_people: Pipeline, settings: Json, error: str, named: str
) -> None:
    table = extracted(mysql_people, **settings)
    assert (table["error"]["type"], named in table["error"]["message"]) == (error, True)
    assert mysql_people.keys("people/") == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"mask": {"createdDate": "hash"}}, "a cursor column"),
        ({"mask": {"email": "hash"}, "where": "Email == 'a'"}, '"where" reads "Email"'),
        ({"mask": {"email": "hash"}, "checks": {"EMAIL": {"matches": ".*"}}}, "the check matches"),
        ({"mask": {"email": "null"}, "checks": {"email": {"unique": True}}}, "so it is NULL"),
        ({"mask": {"email": "hash"}, "checks": {"*": {"expressions": ["email == 'a'"]}}}, "the expression"),
        ({"mask": {"email": "md5"}}, "mask"),
        ({"mask": {"email": "hash", "Email": "null"}}, '"Email" twice'),
        ({"rename": {"a": "x", "b": "X"}}, "the same name"),
        ({"rename": {"a": "b"}, "columns": ["a", "b"]}, "the name of another column"),
    ],
)
def test_what_contradicts_itself_is_refused_without_the_table(settings: Json, named: str) -> None:
    with pytest.raises(TableListError) as caught:
        parse_table_list(json.dumps({"tables": [{"name": "people", **settings}]}))
    assert named in str(caught.value)


@in_memory
def test_without_a_key_nothing_is_read(mysql_people: Pipeline) -> None:
    mysql_people.tables = [{"name": "people", "mask": {"email": "hash"}}]

    run = mysql_people.plan(mysql_people.execution("keyless"))["run_id"]
    with pytest.raises(SettingsError, match="MaskKeySecret"):
        run_extraction(
            run, "people", mysql_people.store, mysql_people.connect, time_left=lambda: 99.0, mask_key=MaskKey("").get
        )
    assert mysql_people.keys("people/") == []


def test_several_readers_keep_the_values_and_the_rows_that_are_left_out_to_themselves(
    people: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "LEAST_BYTES", 1)
    people.database.execute(
        "INSERT INTO people (email, phone, code) WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n "
        "WHERE n < 400) SELECT CONCAT('hush.', n, '@example.org'), CONCAT('+49-555-', n), 700000000 + 10001 * n FROM n",
        "ANALYZE TABLE people",
    )
    settings: Json = {"readers": 3, "deletes": "track", "where": "id != 3", "rename": {"id": "person_id"}}
    table = extracted(people, **settings)
    assert (table["error"], table["rows"], table["readers"], table["key"]) == (None, 403, 3, ["person_id"])
    assert {row["email"] for row in people.delivered("people")} >= {hashed("hush.7@example.org"), hashed("")}
    assert_nowhere(people, json.dumps(table))
    people.database.execute("UPDATE people SET email = 'hush.later@example.org' WHERE id = 5")
    later = extracted(people, **settings)
    assert (later["rows"], later["proof"]["healed"]) == (1, 1)
    assert reconcile(people, "people", mask=MASK, where="id != 3", rename={"id": "person_id"}).is_fine(
        extra_is_fine=False
    )
    assert_nowhere(people, json.dumps(later))
