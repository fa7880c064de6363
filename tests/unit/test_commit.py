"""The commit's order of effects, on a bucket in memory: what a death or a second invocation between any two leaves."""

from __future__ import annotations

from typing import Any

import pytest

from rds_to_s3.bucket_keys import key_run_key, seen_key, state_key, tail_key
from rds_to_s3.commit.opening import CommitUnfinished, Refused
from rds_to_s3.commit.state import Commit, Staged, Tail, Written
from rds_to_s3.commit.table_commit import TableCommit
from rds_to_s3.errors import LeaseLostError, StateMalformedError, StorageUnavailableError, WatermarkMalformedError
from tests.support.effects import EffectMemory
from tests.support.staged_time import StagedTime
from tests.unit.committing import KEY, MARK, Bucket, Died


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def test_nothing_is_visible_before_the_decision_and_all_of_it_after(bucket: Bucket) -> None:
    commit = bucket.invocation("a")
    file = bucket.staged()
    assert bucket.visible == []
    bucket.commit(commit, file)
    assert (bucket.visible, bucket.watermark) == ([KEY], "2025-04-02 12:00:00")
    assert (bucket.state["lease"], bucket.state["commit"]["applied"]) == (None, True)


def test_another_run_is_refused_while_the_lease_is_valid_and_the_message_has_its_holder(bucket: Bucket) -> None:
    bucket.invocation("a")
    refused = bucket.invocation("b", lasts=None).acquire(60.0)
    assert isinstance(refused, Refused)
    assert "run a is extracting" in refused.reason
    bucket.now += 61
    assert bucket.invocation("b", lasts=None).acquire(60.0) is None


def test_an_older_run_is_refused_once_a_newer_one_has_committed(bucket: Bucket) -> None:
    bucket.commit(bucket.invocation("newer", 2.0), bucket.staged())
    refused = bucket.invocation("older", 1.0, lasts=None).acquire(60.0)
    assert isinstance(refused, Refused)
    assert "newer" in refused.reason


def test_a_retry_takes_its_own_runs_lease_at_once_and_fences_the_one_before(bucket: Bucket) -> None:
    first = bucket.invocation("a")
    file = bucket.staged()
    decision = bucket.decision(first, file)
    second = bucket.invocation("a")
    assert second.attempts == 2
    with pytest.raises(LeaseLostError):
        first.decide(decision)
    assert not first.release()
    assert bucket.visible == []


def test_an_invocation_whose_lease_expired_decides_nothing_even_if_nobody_took_over(bucket: Bucket) -> None:
    commit = bucket.invocation("a")
    decision = bucket.decision(commit, bucket.staged())
    bucket.now += 61
    with pytest.raises(LeaseLostError):
        commit.decide(decision)
    assert (bucket.visible, bucket.watermark) == ([], None)


@pytest.mark.parametrize(("heir", "seconds"), [("b", 61), ("a", 0)], ids=["another run", "a retry of its own run"])
@pytest.mark.parametrize(
    "make", [tail_key, lambda a, b, c: key_run_key(a, b, c, 1), lambda a, b, c: seen_key(a, b, c, 1)]
)
def test_a_zombie_removes_no_digests_keys_or_values_of_its_successor(
    bucket: Bucket, heir: str, seconds: int, make: Any
) -> None:
    old, new = make("orders", "csv", "old"), make("orders", "csv", "new")
    bucket.store.put(old, b"")
    zombie = bucket.invocation("a")
    bucket.now += seconds
    bucket.invocation(heir, 2.0)
    bucket.store.put(new, b"")
    with pytest.raises(LeaseLostError):
        zombie.remove_strays(None)
    assert new in bucket.store.objects


def test_what_is_removed_is_listed_before_the_lease_is_confirmed(bucket: Bucket) -> None:
    old, new = tail_key("orders", "csv", "old"), tail_key("orders", "csv", "new")
    bucket.store.put(old, b"")
    zombie = bucket.invocation("a")
    get = bucket.store.get

    def overtaken_after(key: str) -> Any:
        stored = get(key)
        bucket.store.get = get  # type: ignore[method-assign]
        bucket.invocation("a")
        bucket.store.put(new, b"")
        return stored

    bucket.store.get = overtaken_after  # type: ignore[method-assign]
    zombie.remove_strays(None)
    assert (old in bucket.store.objects, new in bucket.store.objects) == (False, True)


def test_no_file_gets_the_key_of_one_that_an_undone_commit_had(bucket: Bucket) -> None:
    """A predecessor that wakes while it takes its files back would meet the successor's, of the same bytes and ETag."""
    zombie = bucket.invocation("a")
    lost = bucket.staged("orders/csv/two.csv", token="two")
    decision = bucket.decision(zombie, bucket.staged(), lost)
    zombie.decide(decision)
    bucket.store.abort_upload(lost.key, lost.upload_id)
    assert zombie.apply(decision, release=True) is None
    assert bucket.invocation("a").next_part(KEY.removesuffix(".csv")) == 2


def decided_and_lost(bucket: Bucket) -> tuple[TableCommit, Commit]:
    """Decide a commit of two files after another one, and lose the upload of the second."""
    bucket.commit(bucket.invocation("before", 0.5), bucket.staged("orders/csv/before.csv", token="before"))
    commit = bucket.invocation("a")
    lost = bucket.staged("orders/csv/two.csv", token="two")
    decision = bucket.decision(commit, bucket.staged(), lost, mark="2025-04-02 16:00:00")
    commit.decide(decision)
    bucket.store.abort_upload(lost.key, lost.upload_id)
    return commit, decision


def test_an_undo_that_was_interrupted_is_finished_by_the_next_holder(bucket: Bucket) -> None:
    commit, decision = decided_and_lost(bucket)
    bucket.store.delete = lambda *_, **__: (_ for _ in ()).throw(Died)  # type: ignore[method-assign]
    with pytest.raises(Died):
        commit.apply(decision, release=True)
    del bucket.store.delete
    assert bucket.state["commit"]["undone"]
    bucket.now += 61
    assert bucket.invocation("b", 2.0).recover() is None
    assert (bucket.visible, bucket.state["commit"]["run_id"]) == (["orders/csv/before.csv"], "before")


class SlowToComplete(EffectMemory):
    """A bucket in which each completion takes a while."""

    def __init__(self, time: StagedTime) -> None:
        super().__init__()
        self._time = time

    def complete_upload(self, *given: Any) -> None:
        super().complete_upload(*given)
        self._time.passes(0.002)


@pytest.mark.parametrize("successor", ["a", "b"])
@pytest.mark.parametrize("killed", [False, True])
def test_a_commit_of_many_files_continues_where_the_invocation_before_was_stopped(
    successor: str, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(SlowToComplete(StagedTime(monkeypatch)))
    commit = bucket.invocation("a")
    files = [bucket.staged(f"orders/csv/{n:04}.csv", token=str(n)) for n in range(200)]
    decision = bucket.decision(commit, *files)
    commit.decide(decision)
    if killed:
        bucket.die_at = "after complete 60"
        with pytest.raises(Died):
            commit.apply(decision, release=True)
        bucket.now += 61
    else:
        with pytest.raises(CommitUnfinished):
            commit.apply(decision, release=True, seconds=0.1)
        assert bucket.state["lease"]["expires_at"] == bucket.now + 300
        bucket.now += 301 if successor == "b" else 1
    assert 16 <= len(bucket.visible) < 200
    assert bucket.watermark is None
    invocations = 0
    while True:
        invocations += 1
        heir = bucket.invocation(successor, 2.0)
        before = len(bucket.visible)
        try:
            assert heir.recover(0.1) is not None
        except CommitUnfinished:
            assert len(bucket.visible) > before or bucket.state["commit"]["visible"]
            assert bucket.watermark is None
            continue
        break
    assert invocations < 12
    assert len(bucket.visible) == 200
    assert bucket.watermark == "2025-04-02 12:00:00"
    assert heir.attempts == (2 if killed and successor == "a" else 1)


def test_a_commit_that_gets_no_further_says_so(bucket: Bucket) -> None:
    commit = bucket.invocation("a")
    decision = bucket.decision(commit, bucket.staged())
    commit.decide(decision)
    for _ in range(6):
        with pytest.raises(CommitUnfinished):
            bucket.invocation("a").recover(0.0)
    with pytest.raises(StorageUnavailableError, match="6 invocations in a row"):
        bucket.invocation("a").recover(0.0)


@pytest.mark.parametrize("rewound", [False, True])
def test_a_zombie_that_wakes_between_decision_and_watermark_moves_nothing(bucket: Bucket, rewound: bool) -> None:
    zombie = bucket.invocation("a")
    decision = bucket.decision(zombie, bucket.staged())
    zombie.decide(decision)
    bucket.now += 61
    other = bucket.invocation("b", 2.0)
    assert other.recover() is not None
    bucket.commit(other, bucket.staged(KEY.replace(".csv", "_part0002.csv"), token="two"), mark="2025-04-02 16:00:00")
    if rewound:
        bucket.store.put(MARK, b"2020-01-01")
    before = dict(bucket.store.objects)
    with pytest.raises(LeaseLostError):
        zombie.apply(decision, release=True)
    assert bucket.store.objects == before


def test_a_zombie_deletes_no_file_of_a_commit_that_another_finished(bucket: Bucket) -> None:
    zombie = bucket.invocation("a")
    decision = bucket.decision(zombie, bucket.staged(), bucket.staged("orders/csv/two.csv", token="two"))
    zombie.decide(decision)
    bucket.now += 61
    bucket.invocation("b", 2.0).recover()
    bucket.store.delete("orders/csv/two.csv")  # a consumer moved it away
    with pytest.raises(LeaseLostError):
        zombie.apply(decision, release=True)
    assert bucket.visible == [KEY]


@pytest.mark.parametrize(("heir", "seconds"), [("b", 61), ("a", 0)], ids=["another run", "a retry of its own run"])
def test_a_zombie_aborts_no_upload_of_its_successor(bucket: Bucket, heir: str, seconds: int) -> None:
    bucket.staged("orders/csv/old.csv")
    zombie = bucket.invocation("a")
    bucket.now += seconds
    bucket.invocation(heir, 2.0)
    mine = bucket.staged(token="mine")
    with pytest.raises(LeaseLostError):
        zombie.remove_strays(None)
    assert mine.upload_id in [upload for _, upload in bucket.store.uploads("orders/")]


APPLY = ["after decision", "before complete 1", "after complete 1", "before watermark", "after watermark"]
APPLY += ["before applied", "after applied"]


@pytest.mark.parametrize("step", APPLY)
@pytest.mark.parametrize("next_run", ["a", "b"])
def test_a_decision_is_applied_by_the_next_holder(bucket: Bucket, step: str, next_run: str) -> None:
    commit = bucket.invocation("a")
    bucket.die_at = step
    with pytest.raises(Died):
        bucket.commit(commit, bucket.staged())
    bucket.now += 61
    successor = bucket.invocation(next_run, 2.0)
    successor.recover()
    assert (bucket.visible, bucket.watermark) == ([KEY], "2025-04-02 12:00:00")
    assert bucket.state["commit"]["applied"]
    assert bucket.store.uploads("") == []


def test_a_decision_whose_uploads_are_gone_is_undone_and_leaves_the_commit_before(bucket: Bucket) -> None:
    commit, decision = decided_and_lost(bucket)
    assert commit.apply(decision, release=True) is None
    assert bucket.visible == ["orders/csv/before.csv"]
    assert bucket.state["commit"]["run_id"] == "before"
    assert bucket.watermark == "2025-04-02 12:00:00"


def test_a_watermark_edited_meanwhile_stays_as_edited_and_is_warned_about(bucket: Bucket) -> None:
    commit = bucket.invocation("a")
    decision = bucket.decision(commit, bucket.staged())
    bucket.store.put(MARK, b"2020-01-01 00:00:00")
    commit.decide(decision)
    applied = commit.apply(decision, release=True)
    assert applied is not None
    assert "was edited" in applied.record.warnings[0]
    assert bucket.watermark == "2020-01-01 00:00:00"


def test_a_malformed_watermark_names_its_key(bucket: Bucket) -> None:
    bucket.store.put(MARK, b"yesterday")
    with pytest.raises(WatermarkMalformedError, match=MARK):
        bucket.invocation("a").read_watermark()


def test_a_write_whose_answer_got_lost_is_recognised_as_ones_own(bucket: Bucket) -> None:
    commit = bucket.invocation("a")
    put = bucket.store.put

    def twice(*given: Any, **options: Any) -> str:
        put(*given, **options)
        return put(*given, **options)

    bucket.store.put = twice  # type: ignore[method-assign]
    commit.save_staged(Staged(run_id="a", watermark=None, fingerprint="f"))
    assert bucket.state["staged"]["fingerprint"] == "f"


def test_progress_of_another_run_is_dropped_with_the_lease(bucket: Bucket) -> None:
    first = bucket.invocation("a")
    file = bucket.staged()
    first.save_staged(Staged(run_id="a", watermark=None, fingerprint="f", written=Written(files=[file])))
    bucket.now += 61
    second = bucket.invocation("b", 2.0)
    second.remove_strays(None)
    assert bucket.state["staged"] is None
    assert bucket.store.uploads("") == []


def test_going_on_where_an_invocation_handed_over_is_no_new_attempt(bucket: Bucket) -> None:
    first = bucket.invocation("a")
    staged = Staged(run_id="a", watermark=None, fingerprint="f", handed_back=True)
    first.save_staged(staged, lasts_seconds=300.0)
    assert bucket.invocation("a").attempts == 1
    assert bucket.invocation("a").attempts == 2


def test_digests_live_as_long_as_a_commit_names_them(bucket: Bucket) -> None:
    one, two, dead = (tail_key("orders", "csv", name) for name in ("one", "two", "dead"))
    for key in (one, two, dead):
        bucket.store.put(key, b"")
    bucket.commit(bucket.invocation("a"), tail=Tail(keys=[one], count=1, latest=""))
    bucket.commit(bucket.invocation("b", 2.0), tail=Tail(keys=[two], count=1, latest=""))
    assert bucket.store.keys("_state/tails/") == [dead, two]
    bucket.invocation("c", 3.0).remove_strays(None)
    assert bucket.store.keys("_state/tails/") == [two]


def test_part_numbers_go_on_after_what_is_visible(bucket: Bucket) -> None:
    commit = bucket.invocation("a")
    stem = "orders/csv/orders_data_20250402_120000"
    assert commit.next_part(stem) == 1
    for suffix in (".csv", "_part0002.csv", "_part0011.csv.gz"):
        bucket.store.put(stem + suffix, b"")
    assert commit.next_part(stem) == 12


@pytest.mark.parametrize("body", ["not JSON", '{"table": "orders", "format": "csv", "of_a_newer_release": 1}'])
def test_a_state_that_cannot_be_read_is_named_and_left_as_it_is(body: str) -> None:
    bucket = Bucket()
    key = state_key("orders", "csv")
    bucket.store.put(key, body.encode())
    with pytest.raises(StateMalformedError, match=key):
        bucket.invocation("run-1")
    stored = bucket.store.get(key)
    assert stored is not None
    assert stored.body == body.encode()
