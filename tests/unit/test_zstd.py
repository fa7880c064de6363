"""CSV in Zstandard: one frame with a checksum, read again by `verify`, named in the SQL of each warehouse."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest
from backports import zstd

from rds_to_s3.errors import SettingsError, TableListError
from rds_to_s3.formats import OutputColumn, open_encoder
from rds_to_s3.formats.zstd_stream import ZstdStream, zstd_library
from rds_to_s3.plan.table_list import parse_table_list
from rds_to_s3_ops.errors import InvalidInputError
from rds_to_s3_ops.verify.reading.zstd_reading import NotZstdError, new_inflater


def compressed(*pieces: bytes) -> bytes:
    written: list[bytes] = []
    stream = ZstdStream(lambda data: written.append(bytes(data)))
    for piece in pieces:
        stream.write(piece)
    stream.close()
    return b"".join(written)


def test_pieces_become_one_frame_that_any_reader_reads() -> None:
    pieces = [b"a,b\n", b"1,2\n" * 100_000, b""]
    assert zstd.decompress(compressed(*pieces)) == b"".join(pieces)
    assert zstd.get_frame_info(compressed(b"x")).dictionary_id == 0


def test_equal_rows_make_equal_files() -> None:
    assert compressed(b"x" * 1_000) == compressed(b"x" * 1_000)


def test_a_file_of_csv_has_the_extension_and_an_empty_one_is_a_frame_too() -> None:
    written: list[bytes] = []
    encoder = open_encoder(
        "csv", "zstd", [OutputColumn("a", "int", "numeric")], lambda data: written.append(bytes(data))
    )
    encoder.close()
    assert (encoder.extension, zstd.decompress(b"".join(written))) == ("csv.zst", b"a\n")


def test_a_file_is_read_piece_by_piece_and_a_broken_one_is_told_from_it() -> None:
    body = compressed(b"1\n" * 1_000) + compressed(b"2\n")
    inflate = new_inflater()
    assert b"".join(inflate(body[at : at + 7]) for at in range(0, len(body), 7)) == b"1\n" * 1_000 + b"2\n"
    with pytest.raises(NotZstdError):
        new_inflater()(b"id\n1\n2\n3\n")
    damaged = bytearray(compressed(b"1\n2\n3\n"))
    damaged[-1] ^= 1  # of the checksum
    with pytest.raises(NotZstdError):
        new_inflater()(bytes(damaged))


def test_without_the_library_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import_module = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name in {"compression", "backports"}:
            raise ImportError(name)
        return import_module(name, *rest)

    monkeypatch.delitem(sys.modules, "backports", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match="UseLayers=true"):
        zstd_library()
    with pytest.raises(InvalidInputError, match=r"backports\.zstd"):
        new_inflater()


def test_parquet_has_no_zstd() -> None:
    with pytest.raises(TableListError, match='"zstd" is for CSV'):
        parse_table_list('{"tables": [{"name": "t", "format": "parquet", "compression": "zstd"}]}')
