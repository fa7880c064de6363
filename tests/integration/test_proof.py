"""Every run proves a slice of each table equal to what has been delivered, and delivers what differs."""

from __future__ import annotations

from typing import Any

import pytest

from rds_to_s3.extract.proof import blocks, pieces, prove
from tests.integration.pipeline import Json, Pipeline, entry
from tests.support.ledger import delivered_rows, newest, problems_with_leftovers, problems_with_rows, table_rows

pytestmark = pytest.mark.bucket_in_memory

TABLE = (
    "CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(40), createdDate DATETIME DEFAULT NOW(), modifiedDate DATETIME, "
    "KEY (createdDate), KEY (modifiedDate))"
)


@pytest.fixture
def t(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute(TABLE)
    insert(any_pipeline, range(1, 21))
    any_pipeline.tables = ["t"]
    return any_pipeline


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_ROWS", 5)
    monkeypatch.setattr(blocks, "MOST_ROWS", 5)


def insert(pipeline: Pipeline, ids: Any) -> None:
    values = ", ".join(f"({number}, 'row {number}', NOW() - INTERVAL 1 DAY)" for number in ids)
    pipeline.database.execute(f"INSERT INTO t (id, note, createdDate) VALUES {values}")


def proof_of(manifest: Json, table: str = "t") -> Json:
    found = entry(manifest, table)
    assert found["error"] is None, found["error"]
    proof: Json = found["proof"]
    return proof


def test_a_quiet_table_is_proved_whole_in_every_run_and_stays_unchanged(t: Pipeline) -> None:
    first = t.run()
    until = entry(first, "t")["window"]["until"]
    assert proof_of(first) == {"rows": 0, "healed": 0, "gone": 0, "whole_until": until}
    for _ in range(3):
        manifest = t.run()
        table = entry(manifest, "t")
        assert (table["status"], table["warnings"]) == ("UNCHANGED", [])
        assert proof_of(manifest) == {
            "rows": 20, "healed": 0, "gone": 0, "whole_until": table["window"]["until"],
        }  # fmt: skip
    assert problems_with_leftovers(t, "t") == []
    assert len(t.keys("_state/ledger/")) == 1


def test_what_no_stamp_shows_is_healed_once(t: Pipeline) -> None:
    t.run()
    t.database.execute(
        "UPDATE t SET note = 'restored' WHERE id IN (3, 4)",
        "INSERT INTO t (id, note, createdDate) VALUES (100, 'late', '2001-01-01')",
        "INSERT INTO t (id, note, createdDate) VALUES (101, 'unstamped', NULL)",
        "DELETE FROM t WHERE id = 7",
    )
    manifest = t.run()
    table = entry(manifest, "t")
    assert (table["status"], table["rows"]) == ("SUCCEEDED", 4)
    assert {key: value for key, value in proof_of(manifest).items() if key != "whole_until"} == {
        "rows": 21, "healed": 4, "gone": 1,
    }  # fmt: skip
    for _ in range(2):
        assert entry(t.run(), "t")["status"] == "UNCHANGED"
    assert problems_with_rows(t, "t") == []


@pytest.mark.usefixtures("small_blocks")
def test_a_table_of_many_blocks_is_proved_a_slice_at_a_time(t: Pipeline) -> None:
    t.tables = [{"name": "t", "prove_bytes": 1}]
    loaded = proof_of(t.run())["whole_until"]
    t.database.execute("UPDATE t SET note = 'changed' WHERE id IN (1, 6, 11, 20)", "DELETE FROM t WHERE id IN (2, 12)")
    proofs: list[Json] = []
    began = None
    while sum(proof["rows"] for proof in proofs) < 18:
        assert {proof["whole_until"] for proof in proofs} <= {loaded}
        manifest = t.run()
        began = began or entry(manifest, "t")["window"]["until"]
        proofs.append(proof_of(manifest))
    assert proofs[-1]["whole_until"] == began
    assert (sum(proof["healed"] for proof in proofs), sum(proof["gone"] for proof in proofs)) == (4, 2)
    assert sum(proof["rows"] for proof in proofs) == 18
    assert problems_with_rows(t, "t") == []


@pytest.mark.usefixtures("small_blocks")
def test_changes_by_windows_between_slices_are_no_differences(t: Pipeline) -> None:
    t.tables = [{"name": "t", "prove_bytes": 1}]
    for number in range(25):
        t.database.execute(
            f"UPDATE t SET note = 'version {number}', modifiedDate = NOW() WHERE id = {1 + number * 7 % 20}",
            f"DELETE FROM t WHERE id = {200 + number - 2}",
        )
        insert(t, [200 + number])
        t.database.execute(f"UPDATE t SET modifiedDate = NOW() WHERE id = {200 + number}")
        assert proof_of(t.run())["healed"] == 0
    t.run()
    assert problems_with_rows(t, "t") == []
    assert problems_with_leftovers(t, "t") == []


def test_an_added_columns_default_arrives_and_a_widened_column_is_no_difference(t: Pipeline) -> None:
    t.run()
    t.database.execute("ALTER TABLE t MODIFY id BIGINT, MODIFY note VARCHAR(60)")
    # The key's type has changed: the ledger begins again.
    assert proof_of(t.run())["healed"] == 0
    t.database.execute("ALTER TABLE t MODIFY note VARCHAR(80)")
    assert proof_of(t.run())["healed"] == 0
    t.database.execute("ALTER TABLE t ADD COLUMN size INT NOT NULL DEFAULT 7")
    assert proof_of(t.run())["healed"] == 20
    assert {row["size"] for row in list(t.delivered("t"))[-20:]} == {"7"}
    t.database.execute("ALTER TABLE t DROP COLUMN size")
    assert proof_of(t.run())["healed"] == 0
    assert proof_of(t.run())["healed"] == 0


def test_a_table_extracted_before_it_was_proved_is_learnt_first_and_says_so(t: Pipeline) -> None:
    t.tables = [{"name": "t", "prove_bytes": 0}]
    assert entry(t.run(), "t")["proof"] is None
    t.tables = ["t"]
    manifest = t.run()
    assert "the proof of this table begins" in " ".join(entry(manifest, "t")["warnings"])
    assert entry(manifest, "t")["status"] == "UNCHANGED"
    t.database.execute("UPDATE t SET note = 'restored' WHERE id = 5")
    # What it was taken to be has not been proved.
    assert (proof := proof_of(t.run()))["healed"] == 1
    assert proof["whole_until"] is None
    t.store.delete("t/csv/last_extract.txt")
    t.run()
    assert proof_of(t.run())["whole_until"] is not None
    assert newest(delivered_rows(t, t.data_keys("t"))) == table_rows(t, "t")


def test_a_quarantined_row_is_no_difference(t: Pipeline) -> None:
    t.tables = [{"name": "t", "checks": {"note": {"max_length": 5}}, "on_violation": "quarantine"}]
    first = entry(t.run(), "t")
    assert first["quarantined_rows"] > 0
    for _ in range(2):
        again = entry(t.run(), "t")
        assert (again["status"], again["quarantined_rows"], again["proof"]["healed"]) == ("UNCHANGED", 0, 0)
    t.database.execute("UPDATE t SET note = 'too long now' WHERE id = 1")
    changed = entry(t.run(), "t")
    assert (changed["quarantined_rows"], changed["proof"]["healed"]) == (1, 0)
    assert entry(t.run(), "t")["status"] == "UNCHANGED"


def test_where_deletes_are_tracked_they_are_reported_once(t: Pipeline) -> None:
    t.tables = [{"name": "t", "deletes": "track"}]
    t.run()
    t.database.execute("DELETE FROM t WHERE id IN (3, 9)", "UPDATE t SET note = 'restored' WHERE id = 4")
    table = entry(t.run(), "t")
    assert (table["deleted_rows"], table["proof"]["healed"], table["proof"]["gone"]) == (2, 1, 0)
    assert entry(t.run(), "t")["status"] == "UNCHANGED"
    assert problems_with_leftovers(t, "t") == []


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("runs_between", [0, 1, 2, 5])
def test_a_row_that_was_reported_deleted_and_came_back_as_it_was_is_delivered_again(
    t: Pipeline, runs_between: int
) -> None:
    t.tables = [{"name": "t", "deletes": "track", "prove_bytes": 1}]
    t.run()
    t.run()
    ids = (2, 7, 12, 20)
    row = "SELECT id, note, createdDate, modifiedDate FROM t"
    t.database.execute(f"CREATE TABLE kept AS {row}", f"DELETE FROM t WHERE id IN {ids}")
    assert entry(t.run(), "t")["deleted_rows"] == len(ids)
    for _ in range(runs_between):
        t.run()
    t.database.execute(f"INSERT INTO t SELECT * FROM kept WHERE id IN {ids}")
    proofs = [proof_of(t.run()) for _ in range(14)]
    assert sum(proof["healed"] for proof in proofs) == len(ids)
    assert sum(proof["gone"] for proof in proofs) == 0


def test_deletes_of_keys_that_are_read_as_bytes_leave_no_proof_and_no_comparison(any_pipeline: Pipeline) -> None:
    any_pipeline.database.execute(
        "CREATE TABLE t (k VARCHAR(9) CHARACTER SET cp932 PRIMARY KEY, createdDate DATETIME)",
        "INSERT INTO t VALUES ('a', NOW()), ('b', NOW())",
    )
    any_pipeline.tables = [{"name": "t", "deletes": "track"}]
    for _ in range(2):
        table = entry(any_pipeline.run(), "t")
        assert (table["error"], table["proof"]) == (None, None)
        assert "the proof of this table is off: its deletes are tracked" in " ".join(table["warnings"])
    any_pipeline.tables = ["t"]
    assert proof_of(any_pipeline.run()) is not None
    any_pipeline.tables = [{"name": "t", "deletes": "track", "mode": "compare"}]
    error = entry(any_pipeline.run(), "t")["error"]
    assert error["type"] == "NoKeyError"
    assert '"deletes": "ignore"' in error["message"]


def test_nothing_is_proved_of_a_table_without_a_key_or_in_full(t: Pipeline) -> None:
    t.database.execute("CREATE TABLE k (note VARCHAR(10), createdDate DATETIME)", "INSERT INTO k VALUES ('a', NOW())")
    t.tables = ["k", {"name": "t", "mode": "full"}]
    for _ in range(2):
        manifest = t.run()
        assert [entry(manifest, name)["proof"] for name in ("k", "t")] == [None, None]
    assert t.keys("_state/ledger/") == []


# --- mode: compare ---


@pytest.fixture
def unstamped(any_pipeline: Pipeline) -> Pipeline:
    any_pipeline.database.execute("CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(40))")
    values = ", ".join(f"({number}, 'row {number}')" for number in range(1, 21))
    any_pipeline.database.execute(f"INSERT INTO t VALUES {values}")
    any_pipeline.tables = [{"name": "t", "mode": "compare"}]
    return any_pipeline


def test_a_table_without_stamps_is_compared_and_delivers_what_differs(unstamped: Pipeline) -> None:
    first = entry(unstamped.run(), "t")
    assert (first["mode"], first["rows"], first["status"]) == ("compare", 20, "SUCCEEDED")
    assert entry(unstamped.run(), "t")["status"] == "UNCHANGED"
    unstamped.database.execute(
        "UPDATE t SET note = 'changed' WHERE id IN (1, 20)", "INSERT INTO t VALUES (0, 'before'), (21, 'behind')",
        "DELETE FROM t WHERE id = 9",
    )  # fmt: skip
    table = entry(unstamped.run(), "t")
    assert (table["rows"], table["warnings"]) == (4, [])
    assert {name: table["proof"][name] for name in ("rows", "healed", "gone")} == {"rows": 21, "healed": 4, "gone": 1}
    assert table["proof"]["whole_until"] == table["window"]["until"]
    assert entry(unstamped.run(), "t")["status"] == "UNCHANGED"
    assert problems_with_rows(unstamped, "t") == []
    assert problems_with_leftovers(unstamped, "t") == []
    unstamped.store.delete("t/csv/last_extract.txt")
    assert entry(unstamped.run(), "t")["rows"] == 21


def test_deleted_keys_of_a_compared_table_are_reported(unstamped: Pipeline) -> None:
    unstamped.tables = [{"name": "t", "mode": "compare", "deletes": "track"}]
    unstamped.run()
    unstamped.database.execute("DELETE FROM t WHERE id IN (3, 4)", "UPDATE t SET note = 'changed' WHERE id = 5")
    table = entry(unstamped.run(), "t")
    assert (table["rows"], table["deleted_rows"]) == (1, 2)
    assert entry(unstamped.run(), "t")["status"] == "UNCHANGED"


@pytest.mark.usefixtures("small_blocks")
def test_a_comparison_that_outlasts_its_invocations_is_continued(
    unstamped: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    unstamped.run()
    unstamped.database.execute("UPDATE t SET note = 'changed' WHERE id % 4 = 0", "DELETE FROM t WHERE id IN (2, 13)")
    compare, run = prove.Prover._compare, prove.Prover.run
    compared: list[int] = []
    statuses: list[str] = []

    def one_piece(self: Any, ledger: Any, proof: Any, budget: float, has_time: Any) -> Any:
        compared.append(ledger.next)
        return compare(self, ledger, proof, budget, lambda: False)

    def one_block(self: Any, ledger: Any, until: str, proof: Any, *, budget: float, has_time: Any) -> Any:
        compared.clear()
        return run(self, ledger, until, proof, budget=budget, has_time=lambda: not compared)

    monkeypatch.setattr(prove.Prover, "_compare", one_piece)
    monkeypatch.setattr(prove.Prover, "run", one_block)

    def extract(run_id: str, table: str) -> str:
        statuses.append(unstamped.extract(run_id, table))
        return statuses[-1]

    table = entry(unstamped.run(extract=extract), "t")
    monkeypatch.undo()
    assert statuses.count("CONTINUE") >= 3
    assert (table["rows"], table["proof"]["rows"], table["proof"]["gone"]) == (5, 18, 2)
    assert entry(unstamped.run(), "t")["status"] == "UNCHANGED"
    assert problems_with_rows(unstamped, "t") == []
    assert problems_with_leftovers(unstamped, "t") == []


def test_a_table_that_is_compared_needs_a_key_and_one_that_was_read_by_windows_goes_on_from_there(t: Pipeline) -> None:
    t.database.execute("CREATE TABLE k (note VARCHAR(10))")
    t.tables = ["t"]
    t.run()
    t.tables = [{"name": "t", "mode": "compare"}, {"name": "k", "mode": "compare"}]
    t.database.execute("UPDATE t SET note = 'changed' WHERE id = 4")
    manifest = t.run()
    assert entry(manifest, "k")["error"]["type"] == "NoKeyError"
    assert entry(manifest, "t")["rows"] == 1
    t.tables = ["t"]
    insert(t, [50])
    t.database.execute("UPDATE t SET modifiedDate = NOW() WHERE id = 50")
    assert entry(t.run(), "t")["rows"] >= 1
    t.run()
    assert problems_with_rows(t, "t") == []
