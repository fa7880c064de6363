"""The proof of tables whose key has a column that compares otherwise than it sorts."""

from __future__ import annotations

import pytest

from rds_to_s3.extract import page_reader
from tests.integration.pipeline import Pipeline, entry
from tests.integration.test_proof import proof_of, small_blocks
from tests.support.ledger import problems_with_leftovers, problems_with_rows

pytestmark = pytest.mark.bucket_in_memory

__all__ = ["small_blocks"]

NUMBERS = {"ENUM('b', 'a', 'd', 'c')": range(1, 5), "SET('b', 'a')": range(4), "BIT(10)": (0, 1, 256, 1023)}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("kind", "deletes"), [*zip(NUMBERS, ["track", "ignore", "ignore"], strict=True)])
def test_a_key_that_sorts_by_the_numbers_of_its_values_is_proved(
    any_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, kind: str, deletes: str
) -> None:
    monkeypatch.setattr(page_reader, "FEWEST_ROWS", 3)
    monkeypatch.setattr(page_reader, "MOST_ROWS", 3)
    rows = ", ".join(f"({number}, {part}, 'x', NOW() - INTERVAL 1 DAY)" for number in (1, 2) for part in NUMBERS[kind])
    any_pipeline.database.execute(
        f"CREATE TABLE t (id INT, kind {kind}, note VARCHAR(9), createdDate DATETIME, PRIMARY KEY (id, kind), "
        "KEY (createdDate))",
        f"INSERT INTO t VALUES {rows}",
    )
    any_pipeline.tables = [{"name": "t", "deletes": deletes, "modified_column": None}]
    first = entry(any_pipeline.run(), "t")
    assert (first["rows"], first["error"], first["warnings"]) == (8, None, [])
    last = tuple(NUMBERS[kind])[-1]
    any_pipeline.database.execute(
        f"UPDATE t SET note = 'restored' WHERE id = 1 AND kind + 0 = {last}",
        f"DELETE FROM t WHERE id = 2 AND kind + 0 = {last}",
    )
    changed = entry(any_pipeline.run(), "t")
    assert (changed["rows"], changed["proof"]["rows"], changed["proof"]["healed"]) == (1, 7, 1)
    assert (changed["proof"]["gone"], changed.get("deleted_rows", 0)) == ((1, 0) if deletes == "ignore" else (0, 1))
    for _ in range(2):
        assert entry(any_pipeline.run(), "t")["status"] == "UNCHANGED"
    if "BIT" not in kind:  # its CSV is not what the server shows
        assert problems_with_rows(any_pipeline, "t", key=2) == []
    assert problems_with_leftovers(any_pipeline, "t") == []


@pytest.mark.parametrize(
    ("kind", "key"), [("DOUBLE", "kind"), ("ENUM('', 'a')", "id, kind"), ("ENUM('b', 'a')", "kind, id")]
)
def test_a_table_whose_key_gives_no_order_says_that_it_is_not_proved(pipeline: Pipeline, kind: str, key: str) -> None:
    pipeline.database.execute(
        f"CREATE TABLE t (id INT, kind {kind}, createdDate DATETIME DEFAULT NOW(), PRIMARY KEY ({key}))",
        "INSERT INTO t (id, kind) VALUES (1, 1)",
    )
    pipeline.tables = [{"name": "t", "modified_column": None}]
    assert proof_of(pipeline.run()) is None
    assert "and is not proved" in " ".join(entry(pipeline.run(), "t")["warnings"])


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("PRIMARY KEY (kind)", "it cannot be read in the order of its key (kind bit(10))"),
        ("UNIQUE (note)", "has no key."),
    ],
)
def test_the_refusal_of_a_comparison_names_what_is_wrong_with_the_key(
    any_pipeline: Pipeline, key: str, reason: str
) -> None:
    any_pipeline.database.execute(f"CREATE TABLE t (kind BIT(10) NOT NULL, note VARCHAR(9), {key})")
    any_pipeline.tables = [{"name": "t", "mode": "compare"}]
    assert reason in entry(any_pipeline.run(), "t")["error"]["message"]
