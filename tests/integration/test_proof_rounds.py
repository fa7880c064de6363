"""The proof over several rounds and modes: what one comparison has found, no later one finds again."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.pipeline import Json, Pipeline, entry
from tests.integration.test_proof import insert, proof_of, small_blocks, t
from tests.support.ledger import problems_with_leftovers, problems_with_rows

pytestmark = pytest.mark.bucket_in_memory

__all__ = ["small_blocks", "t"]


def ledger_of(pipeline: Pipeline) -> Json:
    ledger: Json = json.loads(pipeline.body("_state/tables/t/csv.json"))["commit"]["ledger"]
    return ledger


def problems_with_ledger(pipeline: Pipeline) -> list[str]:
    """Hold the ledger's objects against those that the commit names."""
    ledger = ledger_of(pipeline)
    named = {part["key"] for part in (*ledger["blocks"], *ledger["runs"]) if part["key"]}
    return sorted(named ^ set(pipeline.keys("_state/ledger/")))


@pytest.mark.usefixtures("small_blocks")
def test_what_was_healed_or_gone_in_the_round_of_its_window_is_not_so_again_in_the_next(t: Pipeline) -> None:
    t.tables = [{"name": "t", "prove_bytes": 1}]
    t.run()
    t.run()
    t.database.execute("UPDATE t SET note = 'stamped', modifiedDate = NOW() WHERE id IN (19, 20)")
    time.sleep(3.2)  # until the next window begins behind the stamp
    assert proof_of(t.run())["healed"] == 0
    t.database.execute("UPDATE t SET note = 'unstamped' WHERE id = 20", "DELETE FROM t WHERE id = 19")
    proofs = [proof_of(t.run()) for _ in range(14)]
    assert (sum(proof["healed"] for proof in proofs), sum(proof["gone"] for proof in proofs)) == (1, 1)
    assert problems_with_rows(t, "t") == []
    assert problems_with_ledger(t) == []


@pytest.mark.usefixtures("small_blocks")
def test_the_ledger_of_a_quiet_table_does_not_grow_and_is_not_written_again(t: Pipeline) -> None:
    t.run()
    t.run()
    before = ledger_of(t)["blocks"]
    assert [block["rows"] for block in before] == [5, 5, 5, 5]
    for _ in range(3):
        t.run()
    assert ledger_of(t)["blocks"] == before
    t.database.execute("DELETE FROM t WHERE id BETWEEN 4 AND 12")
    insert(t, [100, 101, -1])
    for _ in range(3):
        t.run()
    assert [block["rows"] for block in ledger_of(t)["blocks"]] == [4, 3, 5, 2]
    assert problems_with_rows(t, "t") == []
    assert problems_with_ledger(t) == []


@pytest.mark.usefixtures("small_blocks")
def test_a_table_is_compared_whole_also_where_its_windows_had_a_round_half_done(t: Pipeline) -> None:
    t.tables = [{"name": "t", "prove_bytes": 1}]
    for _ in range(3):
        t.run()
    t.database.execute("UPDATE t SET note = 'changed' WHERE id = 1")
    t.tables = [{"name": "t", "mode": "compare"}]
    table = entry(t.run(), "t")
    assert (table["rows"], table["proof"]["rows"]) == (1, 20)


def test_a_compared_table_delivers_rows_of_the_future_and_its_next_window_does_not(t: Pipeline) -> None:
    t.tables = [{"name": "t", "mode": "compare"}]
    t.database.execute("UPDATE t SET modifiedDate = '2099-01-01' WHERE id IN (3, 4)")
    t.run()
    t.database.execute("UPDATE t SET note = 'new' WHERE id = 3", "INSERT INTO t VALUES (77, 'new', '2098-01-01', NULL)")
    assert entry(t.run(), "t")["rows"] == 2
    assert entry(t.run(), "t")["status"] == "UNCHANGED"
    t.tables = ["t"]
    for _ in range(2):
        assert entry(t.run(), "t")["status"] == "UNCHANGED"
    assert problems_with_rows(t, "t") == []
    assert problems_with_leftovers(t, "t") == []


@pytest.mark.parametrize("key", ["DATE", "DATETIME"])
@pytest.mark.usefixtures("small_blocks")
def test_a_block_may_end_with_a_date_that_no_calendar_has(any_pipeline: Pipeline, key: str) -> None:
    days = ["0000-00-00", "2024-00-00", "2024-01-00", *(f"2024-02-{day}" for day in range(20, 32)), "2024-03-00"]
    any_pipeline.database.execute(
        f"CREATE TABLE t (id {key} PRIMARY KEY, note VARCHAR(40), createdDate DATETIME, KEY (createdDate))",
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        "INSERT INTO t VALUES " + ", ".join(f"('{day}', 'x', NOW())" for day in days),
    )
    any_pipeline.tables = ["t"]
    any_pipeline.run()
    assert entry(any_pipeline.run(), "t")["status"] == "UNCHANGED"
    any_pipeline.database.execute("UPDATE t SET note = 'changed'")
    table = entry(any_pipeline.run(), "t")
    assert (table["error"], table["rows"]) == (None, len(days))
