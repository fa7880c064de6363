"""Sets of keys, in memory and in runs, against Python's own sets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.extract.stages.key_runs import KeySpill, KeyValues, edges_of, newest, ranges, within
from rds_to_s3.formats.parquet import column_texts
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.rows.annotated import with_value
from rds_to_s3.rows.keys import ValueOwners, contained, keys_of, sorted_keys
from tests.unit import wire

values = st.one_of(st.none(), st.binary(max_size=3), st.binary(min_size=13, max_size=18), st.just(b"long " * 60))
columns = st.lists(st.tuples(values, values), min_size=1, max_size=40)


def run_of(rows: Sequence[Sequence[bytes | None]], **limits: Any) -> KeyValues:
    """Turn rows into keys the way a read does."""
    names = [f"c{number}" for number in range(len(rows[0]))]
    parts = []
    with query(wire.connection(wire.result_set(rows, names)), "SELECT 1", **limits) as result:
        for block in result:
            positions = range(len(names))
            parts.append(KeyValues(keys_of(block, positions), [column_texts(block, each) for each in positions]))
    return KeyValues.joined(parts)


def read_back(run: KeyValues) -> set[tuple[bytes | None, ...]]:
    return {
        tuple(block.value(row, c) for c in range(block.columns)) for block in run.blocks() for row in range(block.rows)
    }


@given(columns, st.sampled_from([1, 2]))
def test_two_rows_have_the_same_key_if_and_only_if_their_values_are_the_same(
    rows: list[tuple[bytes | None, bytes | None]], width: int
) -> None:
    cut = [row[:width] for row in rows]
    keys = [tuple(key) for key in run_of(cut, block_bytes=100).keys.tolist()]
    assert len(set(keys)) == len(set(cut))
    assert len(set(zip(keys, cut, strict=True))) == len(set(cut))


versions = st.tuples(st.integers(0, 30), st.integers(0, 15))


@given(st.lists(st.lists(versions, min_size=1, max_size=40), max_size=12))
def test_a_value_is_taken_if_another_row_had_it_before(parts: list[list[tuple[int, int]]]) -> None:
    first: dict[int, int] = {}
    owners, restored = ValueOwners(), ValueOwners()
    for part in parts:
        values = run_of([(b"%d" % value,) for value, _ in part]).keys
        answer = owners.add(values, np.array([row for _, row in part], np.uint64))
        assert answer.tolist() == [first.setdefault(value, row) != row for value, row in part]
        restored.restore(owners.take_new())
    assert len(owners) == len(restored) == len(first)
    if first:
        values = run_of([(b"%d" % value,) for value in first]).keys
        assert not restored.add(values, np.array(list(first.values()), np.uint64)).any()
        assert restored.add(values, np.array(list(first.values()), np.uint64) + np.uint64(1)).all()


def test_keys_that_share_their_first_half_are_still_told_apart() -> None:
    among = sorted_keys(np.array([[7, second] for second in (1, 3, 5, 9)] + [[8, 1]], np.uint64))[0]
    asked = np.array([[7, 1], [7, 2], [7, 5], [7, 9], [7, 10], [8, 1], [8, 2], [9, 1]], np.uint64)
    assert contained(asked, among).tolist() == [True, False, True, True, False, True, False, False]


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 80), min_size=1, max_size=40), st.booleans()), max_size=6),
    st.integers(1, 30),
)
def test_runs_add_up_to_the_keys_that_are_there_range_by_range(
    history: list[tuple[set[int], bool]], rows_at_once: int
) -> None:
    there: set[int] = set()
    runs = []
    for numbers, gone in history:
        run = run_of([(b"%d" % number,) for number in sorted(numbers)]).in_order()
        run = KeyValues.unpack(run.pack())
        runs.append((KeyValues(run.keys, []) if gone else run, gone))
        there = there - numbers if gone else there | numbers
    found: list[tuple[bytes | None, ...]] = []
    for _, low, high in ranges(edges_of(80, rows_at_once)):
        part = newest([(within(run, low, high), gone) for run, gone in runs])
        found += sorted(read_back(part), key=str)
    assert sorted(found, key=str) == sorted(((b"%d" % number,) for number in there), key=str)


@pytest.mark.parametrize("spooled", [False, True])
def test_a_spill_gives_back_each_range_sorted(spooled: bool) -> None:
    run = run_of([(b"%d" % number,) for number in range(500)])
    edges = edges_of(500, 60)
    spill = KeySpill(edges, [io.BytesIO() for _ in edges[1:]] if spooled else None)
    for start in range(0, 500, 70):
        spill.add(run.keys[start : start + 70])
    parts = [spill.range(place) for place, _, _ in ranges(edges)]
    assert spill.rows == 500
    assert len(parts) == 9
    assert np.array_equal(np.concatenate(parts), sorted_keys(run.keys)[0])


@given(columns, st.data())
def test_a_value_is_put_behind_the_columns_that_are_kept(
    rows: list[tuple[bytes | None, bytes | None]], data: st.DataObject
) -> None:
    numbers = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    reasons = [b"why %d" % number for number in numbers]
    with query(wire.connection(wire.result_set(rows, ["a", "b"])), "SELECT 1") as result:
        (block,) = result
    made = with_value(block, numbers, 1, reasons)
    assert [[made.value(row, column) for column in range(2)] for row in range(made.rows)] == [
        [rows[number][0], reason] for number, reason in zip(numbers, reasons, strict=True)
    ]


def test_a_row_in_a_file_takes_a_value_too() -> None:
    row = [None, b"x" * 300, b"y" * 70_000, b"hidden"]
    with query(wire.connection(wire.result_set([row], list("abcd"))), "SELECT 1", spool_bytes=1000) as result:
        (large,) = result
    made = with_value(large, [0], 3, [b"why"])
    assert [made.value(0, column) for column in range(4)] == [*row[:3], b"why"]
