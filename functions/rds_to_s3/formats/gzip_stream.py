"""gzip, a piece at a time: https://www.rfc-editor.org/rfc/rfc1952."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Any

from rds_to_s3.formats.encoder import Sink

compressobj: Any = zlib.compressobj
with suppress(ImportError):
    from isal import isal_zlib

    compressobj = isal_zlib.compressobj

_GZIP_WINDOW = 31  # zlib's way of asking for a gzip header; its time stamp is 0, so equal rows make equal files


class GzipStream:
    """A sink that compresses its input into another sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        # ISA-L compresses several times faster than zlib; without it, zlib's fastest level is the best choice.
        self._compressor = compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Compress `data`."""
        compressed = self._compressor.compress(data)
        if compressed:
            self._sink(compressed)

    def close(self) -> None:
        """Write the rest."""
        self._sink(self._compressor.flush())
