"""Which commits a warehouse still needs, by the manifests and by what it has."""

from __future__ import annotations

from typing import Any

import pytest

from rds_to_s3.reported.manifest import Manifest
from rds_to_s3_ops.errors import LoadError, UnreadableError
from rds_to_s3_ops.warehouses.batches import batches
from rds_to_s3_ops.warehouses.deliveries import TableHistory, histories
from tests.support.manifests import entry_json, manifest

COLUMNS = [{"name": "id", "type": "int", "nullable": False}]
DAY = "2025-04-{:02} 00:00:00.000000"


def file(name: str, **members: Any) -> dict[str, Any]:
    return {"key": f"orders/csv/{name}.csv", "rows": 1, "bytes": 5, "sha256": "0" * 64, **members}


def commit(number: int, *files: dict[str, Any], **members: Any) -> Manifest:
    """Return the manifest of a run that committed the window of a day."""
    window = {"after": DAY.format(number - 1) if number > 1 else None, "until": DAY.format(number)}
    own = list(files) or [file(f"of_{number}")]
    entry = entry_json(window=window, files=own, columns=COLUMNS, key=["id"], sequence=number, **members)
    return manifest(entry, run_id=f"run-{number}", started_at=f"2025-04-{number:02}T00:00:00Z")


def changed(made: Manifest, **members: Any) -> Manifest:
    made.tables[0] = made.tables[0].but(**members)
    return made


def history(*manifests: Manifest) -> TableHistory:
    return histories(manifests)["orders"]


def pending(of: TableHistory, *loaded: int) -> list[int]:
    return [each.sequence for each in of.pending(loaded)]


def test_commits_are_loaded_in_their_order_whatever_the_order_of_the_manifests() -> None:
    of = history(commit(3), commit(1), commit(2))
    assert [pending(of), pending(of, 1), pending(of, 1, 2, 3)] == [[1, 2, 3], [2, 3], []]


def test_a_commit_that_appears_late_is_applied_with_those_after_it_again() -> None:
    assert pending(history(commit(1), commit(2), commit(3), commit(4)), 1, 3, 4) == [2, 3, 4]


def test_without_a_key_only_the_missing_commit_is_appended() -> None:
    of = history(*(changed(commit(number), key=[]) for number in (1, 2, 3)))
    assert pending(of, 1, 3) == [2]


def test_everything_before_the_last_commit_with_all_rows_is_left_out() -> None:
    whole = commit(3)
    whole.tables[0].window.after = None
    of = history(commit(1), commit(2), whole, commit(4))
    assert [pending(of), pending(of, 1), pending(of, 3), pending(of, 4)] == [[3, 4], [3, 4], [4], [3, 4]]
    full = history(commit(1), *(commit(number, mode="full") for number in (2, 3)))
    assert pending(full, 1, 2) == [3]


def test_a_quiet_run_of_an_empty_table_that_was_read_whole_empties_it() -> None:
    empty = changed(commit(3), files=[], status="UNCHANGED")
    quiet = history(commit(1), commit(2), empty)
    assert pending(quiet, 1, 2) == []
    empty.tables[0].window.after = None
    assert pending(history(commit(1), commit(2), empty), 1, 2) == [3]


def test_a_manifest_that_reports_several_commits_is_taken_apart() -> None:
    joined = commit(4, file("of_2", sequence=2, columns=["id"]), file("of_4"))
    of = history(commit(1), joined, commit(3))
    assert [[f.key for f in each.files] for each in of.pending(())] == [
        [f"orders/csv/of_{number}.csv"] for number in (1, 2, 3, 4)
    ]
    assert not any(each.is_whole for each in of.pending((1,)))


def test_failed_and_skipped_tables_have_nothing_to_load_and_the_failure_is_reported() -> None:
    error = {"type": "TableNotFoundError", "message": "create it"}
    failed = manifest(entry_json(status="FAILED", error=error), started_at="2025-04-09T00:00:00Z")
    skipped = manifest(entry_json(status="SKIPPED"), started_at="2025-04-08T00:00:00Z")
    of = history(failed, commit(1), skipped)
    assert (pending(of), of.failed) == ([1], "TableNotFoundError: create it")
    assert history(skipped, commit(1)).failed is None


def test_a_manifest_without_numbers_is_taken_by_its_time() -> None:
    old = commit(1)
    old.tables[0] = old.tables[0].but(sequence=0, finished_at="1970-01-01T00:00:00.001Z")
    assert pending(history(commit(2), old)) == [1, 2]


def test_a_changed_key_is_refused_until_everything_is_extracted_again() -> None:
    other = [*COLUMNS, {"name": "part", "type": "int", "nullable": False}]
    new = changed(commit(2), key=["id", "part"])
    new = Manifest.model_validate({**new.model_dump(), "tables": [{**new.tables[0].model_dump(), "columns": other}]})
    with pytest.raises(
        LoadError, match=r"its key is \(id, part\) since run run-2, and was \(id\).*rewind orders --all"
    ):
        pending(history(commit(1), new), 1)
    new.tables[0].window.after = None
    assert pending(history(commit(1), new), 1) == [2]


def test_rows_without_a_key_that_are_extracted_again_are_refused() -> None:
    again = changed(commit(3), key=[])
    again.tables[0].window.after = DAY.format(1)
    of = [changed(commit(number), key=[]) for number in (1, 2)]
    with pytest.raises(LoadError, match="has no key, and run run-3 extracted rows again"):
        pending(history(*of, again), 1, 2)
    assert pending(history(*of, again), 1, 2, 3) == []


def test_a_bucket_whose_first_manifests_are_gone_is_refused_by_an_empty_warehouse_only() -> None:
    of = history(commit(2), commit(3))
    with pytest.raises(LoadError, match="what was extracted before is unknown"):
        pending(of)
    assert pending(of, 1) == [2, 3]


def test_a_window_that_no_manifest_has_is_reported() -> None:
    of = history(commit(1), commit(3))
    assert [warning.split(":")[0] for warning in of.gaps((1,))] == ["no manifest has the window from 2025-04-01 00"]
    assert of.gaps((1, 3)) == []
    quiet = changed(commit(2), files=[], status="UNCHANGED")
    assert history(commit(1), quiet, commit(3)).gaps(()) == []


def test_two_commits_of_one_number_are_refused() -> None:
    with pytest.raises(UnreadableError, match="report different commits of table 'orders' with the number 2"):
        history(commit(2), commit(2, file("another")))


def test_commits_share_a_transaction_until_their_types_differ_or_they_are_large() -> None:
    wider = changed(commit(3), columns=[])
    wider = Manifest.model_validate(
        {
            **wider.model_dump(),
            "tables": [{**wider.tables[0].model_dump(), "columns": [COLUMNS[0] | {"type": "bigint"}]}],
        }
    )
    of = history(commit(1), commit(2), wider, commit(4))
    assert [batch.sequences for batch in batches(of.pending(()))] == [[1, 2], [3], [4]]
    small = batches(history(commit(1), commit(2), commit(3)).pending(()), most_bytes=10)
    assert [batch.sequences for batch in small] == [[1, 2], [3]]
    few = batches(history(commit(1), commit(2), commit(3)).pending(()), most_files=1)
    assert [batch.sequences for batch in few] == [[1], [2], [3]]


def test_the_script_since_a_run_has_its_commits_and_all_later_ones() -> None:
    of = history(commit(1), commit(2), commit(3))
    for each in of.commits:
        assert each.sequence
    late = commit(5, file("of_2", sequence=2, columns=["id"]), file("of_5"))
    reported = history(commit(1), commit(3), late)
    assert [each.sequence for each in reported.since("run-5", "2025-04-05T00:00:00Z")] == [2, 3, 5]
