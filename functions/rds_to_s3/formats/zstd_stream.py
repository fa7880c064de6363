"""Zstandard, a piece at a time: https://www.rfc-editor.org/rfc/rfc8878. One frame with a checksum."""

from __future__ import annotations

from typing import Any

from rds_to_s3.errors import SettingsError
from rds_to_s3.formats.encoder import Sink

LEVEL = 1


def zstd_library() -> Any:
    """Return Python's own library, which it has from 3.14 on, or its backport.

    Raises
    ------
    SettingsError
        There is neither.
    """
    try:
        from compression import zstd  # type: ignore[import-not-found] # noqa: PLC0415
    except ImportError:
        try:
            from backports import zstd  # noqa: PLC0415
        except ImportError:
            raise SettingsError(
                'compression "zstd" needs the library backports.zstd, and it is missing here: deploy with '
                "UseLayers=true (the layer ZstdLayer has it), or install rds-to-s3[verify]"
            ) from None
    return zstd


class ZstdStream:
    """A sink that compresses its input into another sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        zstd = zstd_library()
        options = {zstd.CompressionParameter.compression_level: LEVEL, zstd.CompressionParameter.checksum_flag: 1}
        self._compressor = zstd.ZstdCompressor(options=options)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Compress `data`."""
        compressed = self._compressor.compress(data)
        if compressed:
            self._sink(compressed)

    def close(self) -> None:
        """Write the rest."""
        self._sink(self._compressor.flush())
