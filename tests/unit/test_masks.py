"""Masked rows: the hash of the standard library, of every value, whatever the row is kept in."""

from __future__ import annotations

import hashlib
import hmac
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rds_to_s3.aws.mask_key import MaskKey
from rds_to_s3.errors import CredentialsNotFoundError, SettingsError
from rds_to_s3.rows import Block, SpooledRow
from rds_to_s3.rows.block import HEADER, length_prefix
from rds_to_s3.rows.masked import Masks

Value = bytes | None


def packet(row: list[Value]) -> bytes:
    return b"".join(length_prefix(None if value is None else len(value)) + (value or b"") for value in row)


def block_of(rows: list[list[Value]]) -> Block:
    packets = [bytes(HEADER) + packet(row) for row in rows]
    starts = np.cumsum([0, *map(len, packets)])
    data = np.frombuffer(b"".join(packets), np.uint8)
    return Block.decode(data, starts[:-1].astype(np.int64), len(data), len(rows[0]))


def spooled(row: list[Value]) -> SpooledRow:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the row closes it
    file.write(packet(row))
    return SpooledRow(file, len(row))


def expected(row: list[Value], columns: dict[int, bool], key: bytes) -> list[Value]:
    def masked(value: Value, place: int) -> Value:
        if value is None or place not in columns:
            return value
        text = value.hex().upper().encode() if columns[place] else value
        return hmac.new(key, text, hashlib.sha256).hexdigest().encode()

    return [masked(value, place) for place, value in enumerate(row)]


VALUES = st.one_of(
    st.none(), st.binary(max_size=8), st.sampled_from([b"", b"a@example.org", b"x" * 300, b"y" * 70_000])
)


@given(
    st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=6),
    st.dictionaries(st.integers(0, 2), st.booleans(), min_size=1),
    st.sampled_from([b"k", b"k" * 64, b"k" * 65, bytes(range(200))]),
)
def test_a_value_becomes_its_hmac_and_null_and_all_others_stay(
    rows: list[list[Value]], columns: dict[int, bool], key: bytes
) -> None:
    masks = Masks(columns, key)
    masked = masks.apply(block_of(rows))
    assert masked.rows == len(rows)
    for number, row in enumerate(rows):
        assert [masked.value(number, place) for place in range(3)] == expected(row, columns, key)
    one = masks.apply(spooled(rows[0]))
    assert [one.value(0, place) for place in range(3)] == expected(rows[0], columns, key)
    # What is kept of a row must not depend on how it came.
    assert one.digest(0) == masked.digest(0)


def test_no_row_stays_no_row() -> None:
    assert Masks({0: False}, b"k").apply(Block.empty(2)).rows == 0


def test_keys_have_ids_that_differ() -> None:
    ids = {Masks({}, key).key_id for key in (b"a", b"b", b"a" * 65)}
    assert len(ids) == 3
    assert Masks({}, b"a").key_id == Masks({0: True}, b"a").key_id


class Secrets:
    def __init__(self, **answer: str | bytes) -> None:
        self.answer = answer
        self.calls = 0

    def get_secret_value(self, **_: str) -> dict[str, str | bytes]:
        self.calls += 1
        return dict(self.answer)


@pytest.mark.parametrize("answer", [{"SecretString": "kéy"}, {"SecretBinary": "kéy".encode()}])
def test_the_key_is_the_whole_secret_and_is_fetched_once(answer: dict[str, str | bytes]) -> None:
    secrets = Secrets(**answer)
    key = MaskKey("masks", lambda _: secrets)
    assert (key.get(), key.get(), secrets.calls) == ("kéy".encode(), "kéy".encode(), 1)


def test_without_a_secret_or_with_an_empty_one_the_message_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match="MaskKeySecret"):
        MaskKey("").get()
    with pytest.raises(CredentialsNotFoundError, match="is empty"):
        MaskKey("masks", lambda _: Secrets(SecretString="")).get()
