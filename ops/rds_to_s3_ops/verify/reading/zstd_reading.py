"""Reads Zstandard, a piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from rds_to_s3.errors import SettingsError
from rds_to_s3.formats.zstd_stream import zstd_library
from rds_to_s3_ops.errors import InvalidInputError


class NotZstdError(ValueError):
    """The bytes are not a frame of Zstandard."""


INFLATING_ERRORS = (zlib.error, NotZstdError)


def new_inflater() -> Callable[[bytes], bytes]:
    """Return a function that decompresses a file's pieces, one after the other; several frames are one text.

    Raises
    ------
    InvalidInputError
        The library is not installed.
    """
    try:
        zstd = zstd_library()
    except SettingsError as error:
        raise InvalidInputError(str(error)) from None
    state = zstd.ZstdDecompressor()

    def inflate(piece: bytes) -> bytes:
        nonlocal state
        try:
            text: bytes = state.decompress(piece)
            while state.eof and state.unused_data:
                rest, state = state.unused_data, zstd.ZstdDecompressor()
                text += state.decompress(rest)
        except (zstd.ZstdError, EOFError) as error:
            raise NotZstdError(str(error)) from error
        return text

    return inflate
