from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rds_to_s3.errors import ReadInterruptedError
from rds_to_s3.mysql.wire.result_set import query
from rds_to_s3.rows import Block, SpooledRow
from tests.unit import wire

ROWS: list[wire.Row] = [[b"1", None, b"a,b"], [b"2", b"", b"x" * 251], [b"3", b"\x00\xff", b"y" * 70_000]]
COLUMNS = ["id", "note", "text"]


def values(part: Block | SpooledRow) -> list[list[bytes | None]]:
    return [[part.value(row, column) for column in range(part.columns)] for row in range(part.rows)]


def read(answer: bytes, sizes: Sequence[int] = (), **limits: Any) -> list[list[bytes | None]]:
    with query(wire.connection(answer, sizes=sizes), "SELECT 1", **limits) as result:
        return [row for part in result for row in values(part)]


def one_block(rows: Sequence[wire.Row]) -> Block:
    answer = wire.result_set(rows, [f"c{column}" for column in range(len(rows[0]))])
    with query(wire.connection(answer), "SELECT 1") as result:
        (block,) = result
    assert isinstance(block, Block)
    return block


lengths = st.one_of(st.integers(0, 20), st.sampled_from([250, 251, 252, 255, 256, 65_535, 65_536]))
value = st.one_of(st.none(), st.binary(max_size=12), lengths.map(os.urandom))
tables = st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(value, min_size=width, max_size=width), max_size=30))


@given(tables, st.lists(st.integers(1, 5_000), max_size=50), st.sampled_from([1, 100, 5_000, 1 << 20]))
def test_rows_are_those_that_pymysql_decodes(rows: list[wire.Row], sizes: list[int], block_bytes: int) -> None:
    names = [f"c{column}" for column in range(len(rows[0]) if rows else 1)]
    answer = wire.result_set(rows, names)
    cursor = wire.connection(answer).cursor(pymysql.cursors.SSCursor)
    cursor.execute("SELECT 1")
    assert read(answer, sizes, block_bytes=block_bytes) == [list(row) for row in cursor.fetchall()]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_headers_that_arrive_in_pieces_fill_no_block_however_small(size: int) -> None:
    rows: list[wire.Row] = [[b"abc"], [b"defg"], [b"hi"]]
    answer = wire.result_set(rows, ["c0"])
    for first in range(1, 5):
        assert read(answer, [first, *[size] * len(answer)], block_bytes=1) == rows


# What looks like a packet's header (a length and two zero bytes) within a packet.
headers = st.sampled_from([b"", b"\0", b"\0\0", b"\5\0\0", b"\0\0\1", b"x\1\0\0\7"])
mixed = st.one_of(headers, st.binary(max_size=6), lengths.filter(lambda length: length < 1000).map(os.urandom))
patterns = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(mixed, min_size=width, max_size=width), min_size=1)
)


@settings(max_examples=40)
@given(patterns, st.lists(st.integers(10_000, 60_000), max_size=3), st.sampled_from([20_000, 1 << 20]))
def test_no_row_of_many_is_lost_among_values_that_look_like_headers(
    pattern: list[wire.Row], sizes: list[int], block_bytes: int
) -> None:
    size = sum(4 + sum(1 + len(value or b"") for value in row) for row in pattern)
    rows = [list(row) for row in pattern * (1 + 40_000 // size)]
    names = [f"c{column}" for column in range(len(rows[0]))]
    assert read(wire.result_set(rows, names), sizes, block_bytes=block_bytes) == rows


def test_columns_are_described_as_the_server_does() -> None:
    with query(wire.connection(wire.result_set(ROWS, COLUMNS)), "SELECT 1") as result:
        assert [column.name for column in result.columns] == COLUMNS
        assert result.columns[0].type_code == wire.VAR_STRING
        assert result.columns[0].is_binary
        for _ in result:
            pass
        assert result.rows_read == 3


@pytest.mark.parametrize("size", [0xFFFFFF - 5, 0xFFFFFF - 4, 0xFFFFFF, (1 << 24) + 1, 40_000_000])
def test_a_row_of_16_mb_and_more_comes_out_of_several_packets(size: int) -> None:
    rows: list[wire.Row] = [[b"before", None], [b"\x01" * size, b"id"], [b"after", b""]]
    assert read(wire.result_set(rows, ["a", "b"])) == rows


def test_a_row_larger_than_a_block_is_spooled() -> None:
    rows: list[wire.Row] = [[b"1", b"small"], [b"2", os.urandom(6 << 20)], [b"3", None]]
    with query(wire.connection(wire.result_set(rows, ["id", "blob"])), "SELECT 1") as result:
        parts = list(result)
    assert [type(part) for part in parts] == [Block, SpooledRow, Block]
    assert [row for part in parts for row in values(part)] == rows


def test_a_large_row_takes_no_memory() -> None:
    start = wire.row_payload([b"1"]) + b"\xfe" + (20 * wire.MAX_PACKET).to_bytes(8, "little")
    full = b"x" * wire.MAX_PACKET

    def answer() -> Iterator[bytes]:
        yield wire.result_set([], ["id", "blob"])[: -len(wire.packets([wire.eof()]))]
        for sequence in range(5, 25):
            yield b"\xff\xff\xff" + bytes([sequence])
            yield start + full[len(start) :] if sequence == 5 else full
        yield wire.packets([b"x" * len(start), wire.eof()], 25)

    tracemalloc.start()
    with query(wire.connection(answer()), "SELECT 1") as result:
        for part in result:
            part.digest(0)
            assert part.value(0, 0) == b"1"
            assert part.payload_bytes > 300 << 20
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * wire.MAX_PACKET + (8 << 20), "of which two packets are this test's own"


def test_a_large_row_has_the_same_digest_as_one_in_a_block() -> None:
    answer = wire.result_set([[b"7", None, b"z" * 300_000]], COLUMNS)
    parts = []
    for spool_bytes in (1_000, 1 << 20):
        with query(wire.connection(answer), "SELECT 1", block_bytes=1_000, spool_bytes=spool_bytes) as result:
            parts += list(result)
    assert [type(part) for part in parts] == [SpooledRow, Block]
    assert parts[0].digest(0) == parts[1].digest(0)
    assert parts[0].fixed(0, 4) == parts[1].fixed(0, 4)


def test_the_connection_is_ready_for_the_next_query_after_the_last_row() -> None:
    connection = wire.connection(wire.result_set(ROWS, COLUMNS), wire.result_set([[b"3"]]))
    with query(connection, "SELECT 1") as result:
        assert sum(block.rows for block in result) == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT FOUND_ROWS()")
        assert cursor.fetchall() == ((b"3",),)


def test_an_error_among_the_rows_is_reported_and_leaves_the_connection_usable() -> None:
    interrupted = wire.result_set(ROWS, COLUMNS, last=wire.error(1317, "Query execution was interrupted"))
    connection = wire.connection(interrupted, wire.result_set([[b"1"]]))
    with (
        pytest.raises(ReadInterruptedError, match=r"error 1317.*somebody killed") as caught,
        query(connection, "SELECT 1") as result,
    ):
        assert sum(block.rows for block in result) == 3
    assert isinstance(caught.value.__cause__, pymysql.err.MySQLError)
    assert connection.open


@pytest.mark.parametrize("missing", [1, 5, 9, 10, 100, 70_100])
def test_a_connection_lost_among_the_rows_is_an_interrupted_read(missing: int) -> None:
    connection = wire.connection(wire.result_set(ROWS, COLUMNS)[:-missing])
    with pytest.raises(ReadInterruptedError), query(connection, "SELECT 1") as result:
        list(result)
    assert not connection.open


def test_a_packet_out_of_order_is_noticed() -> None:
    whole = wire.result_set([[b"first"], [b"second"], [b"third"]])
    second = wire.packets([wire.row_payload([b"second"])], 5)
    assert second in whole
    with pytest.raises(ReadInterruptedError, match="out of order"):
        read(whole.replace(second, b""))


@pytest.mark.parametrize("payload", [b"", b"\x05abc", b"\x01a\x01b", b"\xff\x01", b"\xfc\xff", b"\xfe" + b"\xff" * 20])
def test_a_malformed_row_is_noticed(payload: bytes) -> None:
    head = wire.packets([b"\x01", wire.column_definition("c"), wire.eof()])
    with pytest.raises(ReadInterruptedError):
        read(head + wire.packets([wire.row_payload([b"a"]), payload, wire.row_payload([b"b"]), wire.eof()], 4))


def test_an_abandoned_result_set_closes_the_connection() -> None:
    connection = wire.connection(wire.result_set(ROWS, COLUMNS))
    with query(connection, "SELECT 1", block_bytes=100) as result:
        for _ in result:
            break
    assert not connection.open


def test_a_statement_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        query(wire.connection(wire.packets([wire.ok()])), "SET @a = 1")


def test_a_server_that_asks_for_a_local_file_is_refused() -> None:
    connection = wire.connection(wire.packets([b"\xfb/etc/passwd"]))
    with pytest.raises(ReadInterruptedError, match="local file"):
        query(connection, "SELECT 1")
    assert not connection.open


def test_warnings_are_counted() -> None:
    answer = wire.result_set(ROWS, COLUMNS, last=wire.eof(warnings=7))
    with query(wire.connection(answer), "SELECT 1") as result:
        list(result)
    assert result.warnings == 7


@given(st.lists(st.tuples(value, st.booleans()), min_size=1, max_size=40))
def test_keep_leaves_the_rows_of_the_mask(rows: list[tuple[bytes | None, bool]]) -> None:
    block = one_block([[b"%d" % number, content] for number, (content, _) in enumerate(rows)])
    kept = block.keep([keep for _, keep in rows])
    assert values(kept) == [row for row, (_, keep) in zip(values(block), rows, strict=True) if keep]
    assert kept.payload_bytes == sum(4 + len(kept.payload(row)) for row in range(kept.rows))


def test_slices_and_sizes_follow_the_packets() -> None:
    block = one_block([[b"a" * 10], [b"b" * 20], [b"c" * 30]])
    assert block.payload_bytes == 15 + 25 + 35
    assert [block.rows_within(size) for size in (0, 14, 15, 39, 40, 74, 75, 1000)] == [0, 0, 1, 1, 2, 2, 3, 3]
    last = block.slice(1, 3)
    assert values(last) == [[b"b" * 20], [b"c" * 30]]
    assert last.payload_bytes == 60
    assert last.rows_within(25) == 1


def test_fixed_width_columns_compare_at_once() -> None:
    block = one_block([[b"2025-01-01 10:00:00"], [None], [b"2025-01-01 10:00:00.5"], [b""]])
    column = block.fixed(0, 26)
    assert column.tolist() == [b"2025-01-01 10:00:00", b"", b"2025-01-01 10:00:00.5", b""]
    assert np.array_equal(column > b"2025-01-01 10:00:00", [False, False, True, False])
    with pytest.raises(ValueError, match="21 bytes"):
        block.fixed(0, 20)
