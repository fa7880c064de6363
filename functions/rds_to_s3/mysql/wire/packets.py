"""Reads the row packets of a result set off the connection, a block at a time.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
"""

from __future__ import annotations

import struct
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np

from rds_to_s3.clean_up import clean_up_after
from rds_to_s3.errors import ReadInterruptedError
from rds_to_s3.rows.block import HEADER, Bytes, Offsets

MAX_PACKET = 0xFFFFFF  # a packet of this length continues in the next one
_EOF, _ERROR = 0xFE, 0xFF
_PIECE_BYTES = 256 * 1024
# In fewer bytes, looking for headers takes longer than the loop.
_LEAST_SEARCHED = 8 * 1024
# With less room than this, another read does not pay.
_SLACK = 16 * 1024
# Rows wait at most this long for others to fill their block: the consumer checks the clock for each block.
_LATE_SECONDS = 0.5
_header = struct.Struct("<I").unpack_from


class Stream(Protocol):
    """The part of `io.BufferedReader` that is used: it also returns the bytes that PyMySQL has read ahead."""

    def readinto1(self, buffer: memoryview, /) -> int: ...


@dataclass(frozen=True, eq=False)
class RowPackets:
    """Complete packets, one after the other in `data`, each a row."""

    data: Bytes
    packets: Offsets  # the offset of each header
    end: int


@dataclass(frozen=True)
class LargeRow:
    """The payload of a row that is too large for a block, in an unlinked temporary file."""

    file: IO[bytes]


@dataclass(frozen=True)
class LastPacket:
    """The payload of the packet that ends a result set: EOF, or an error."""

    payload: bytes

    @property
    def is_error(self) -> bool:
        return self.payload[0] == _ERROR


class PacketReader:
    """Splits the packets after the column definitions into blocks of rows.

    Parameters
    ----------
    sequence : int
        The sequence id of the next packet.
    block_bytes : int
        Bytes to read before a block is yielded.
    spool_bytes : int
        A row of this size or more goes to a temporary file.
    """

    def __init__(self, stream: Stream, sequence: int, *, block_bytes: int, spool_bytes: int) -> None:
        self._stream = stream
        self._sequence = sequence
        # A row that continues in a second packet is always spooled, never found complete in a buffer. The part of a
        # header that has arrived never fills one.
        self._block_bytes = min(max(block_bytes, HEADER), MAX_PACKET - _SLACK)
        self._spool_bytes = min(spool_bytes, MAX_PACKET)
        self._packets_are_short = True
        self._headers_stand_out = True
        self._packets: list[Offsets] = []
        self._allocate(self._block_bytes, b"")

    def __iter__(self) -> Iterator[RowPackets | LargeRow | LastPacket]:
        """Yield blocks and large rows in the order of the rows, and then the packet that ends them.

        Raises
        ------
        ReadInterruptedError
            The connection ended, or a packet is missing or out of order.
        """
        while True:
            self._walk()
            ended = self._has_ended()
            large = self._next_size()
            full = len(self._data) - self._filled < _SLACK or (large and self._walked + large > len(self._data))
            spool = large >= self._spool_bytes
            late = bool(self._packets) and time.monotonic() - self._since > _LATE_SECONDS
            if self._packets and (ended or full or spool or late):
                packets = np.concatenate(self._packets)
                self._packets = []
                self._check_sequence(self._data[packets + 3])
                if not ended:
                    yield RowPackets(self._data, packets, self._walked)
                elif len(packets) > 1:
                    yield RowPackets(self._data, packets[:-1], self._last)
            if ended:
                yield LastPacket(self._data[self._last + HEADER : self._walked].tobytes())
                return
            if spool:
                yield self._spool()
            elif full or late:
                self._allocate(max(self._block_bytes, large), self._rest())
            else:
                self._fill()

    def _allocate(self, size: int, content: bytes | memoryview) -> None:
        # A new buffer for each block: the yielded one belongs to the consumer, which may be another thread.
        # A bytearray, since Python reads its bytes fastest; `_data` is the same memory to numpy.
        self._bytes = bytearray(size + _SLACK)
        self._view = memoryview(self._bytes)
        self._data = np.frombuffer(self._bytes, np.uint8)
        self._view[: len(content)] = content
        self._filled = len(content)
        self._walked = 0
        self._last = 0
        self._since = time.monotonic()

    def _fill(self) -> None:
        self._filled += self._read(self._view[self._filled :])

    def _walk(self) -> None:
        """Find the complete packets."""
        if self._packets_are_short:
            if self._headers_stand_out and self._filled - self._walked >= _LEAST_SEARCHED:
                self._search_short()
            self._walk_short()
        packets: list[int] = []
        position, filled = self._walked, self._filled
        while position + HEADER <= filled:
            following = position + HEADER + (_header(self._bytes, position)[0] & MAX_PACKET)
            if following > filled:
                break
            packets.append(position)
            position = following
        self._add(packets, position)

    def _search_short(self) -> None:
        """Find packets shorter than 256 bytes by their headers: a length, two zero bytes, a sequence id.

        Each that is kept begins where the one before it ends, so it is a packet, whatever values look like.
        """
        begin = self._walked
        zero = self._data[begin + 1 : self._filled - 1 - 0xFF] == 0
        found = np.flatnonzero(zero[:-1] & zero[1:]) + begin
        found = found[self._data[found] != 0]  # with a sequence id of 0, the next byte looks like a header, too
        if not len(found) or found[0] != begin:
            return
        ends = found + self._data[found] + HEADER
        breaks = np.flatnonzero(ends[:-1] != found[1:])
        if len(breaks):
            # Within a packet two empty values in a row look like a header. Other rows will have them, too.
            self._headers_stand_out = bool(found[breaks[0] + 1] > ends[breaks[0]])
            found = found[: breaks[0] + 1]
        self._add(found, int(ends[len(found) - 1]))

    def _walk_short(self) -> None:
        """Find packets as if all were shorter than 256 bytes, in a third of the time; go back to a longer one."""
        packets: list[int] = []
        position, data, append = self._walked, self._bytes, packets.append
        last = self._filled - HEADER - 0xFF
        while position <= last:
            append(position)
            position += data[position] + HEADER
        if not packets:
            return
        found = np.array(packets, np.int64)
        long = np.flatnonzero(self._data[found + 1] | self._data[found + 2])
        if len(long):
            position = packets[long[0]]
            del packets[long[0] :]
        self._add(packets, position)

    def _add(self, packets: list[int] | Offsets, walked: int) -> None:
        if len(packets):
            self._packets.append(np.asarray(packets, np.int64))
            self._last = int(packets[-1])
            self._packets_are_short = walked - self._last <= HEADER + 0xFF
        self._walked = walked

    def _next_size(self) -> int:
        """Return the size of the incomplete packet, header included, 0 where it is not known."""
        if self._walked + HEADER > self._filled:
            return 0
        (header,) = _header(self._view, self._walked)
        return HEADER + (int(header) & MAX_PACKET)

    def _has_ended(self) -> bool:
        """Whether the last packet read is the last one of the result set."""
        if not self._packets or self._walked < self._filled:
            return False
        start = self._last + HEADER
        length = self._walked - start
        # A row may also start with 0xFE, the prefix of a value of 16 MB and more; an EOF packet is shorter than that.
        return length > 0 and (self._data[start] == _ERROR or (self._data[start] == _EOF and length < 9))

    def _check_sequence(self, found: Bytes) -> None:
        expected = (self._sequence + np.arange(len(found))).astype(np.uint8)
        if not np.array_equal(found, expected):
            raise ReadInterruptedError("a packet of the result set is missing or out of order")
        self._sequence = (self._sequence + len(found)) & 0xFF

    def _rest(self) -> memoryview:
        return self._view[self._walked : self._filled]

    def _spool(self) -> LargeRow:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the row
        try:
            rest = self._rest()
            while True:
                rest = self._exactly(HEADER, rest)
                (header,) = _header(rest, 0)
                self._check_sequence(np.array([header >> 24], np.uint8))
                rest = self._copy(header & MAX_PACKET, rest[HEADER:], file)
                if header & MAX_PACKET < MAX_PACKET:
                    break
        except BaseException as error:
            clean_up_after(error, file.close)  # closing flushes the buffer, which a full disk refuses
            raise
        self._allocate(self._block_bytes, rest)
        return LargeRow(file)

    def _exactly(self, size: int, rest: memoryview) -> memoryview:
        """Return `size` bytes: `rest`, and further bytes from the stream."""
        if len(rest) >= size:
            return rest
        buffer = memoryview(bytearray(size))
        buffer[: len(rest)] = rest
        filled = len(rest)
        while filled < size:
            filled += self._read(buffer[filled:])
        return buffer

    def _copy(self, size: int, rest: memoryview, file: IO[bytes]) -> memoryview:
        """Write the next `size` bytes to `file`; return the remainder of `rest`."""
        file.write(rest[:size])
        missing = size - len(rest)
        buffer = memoryview(bytearray(min(_PIECE_BYTES, max(missing, 0))))
        while missing > 0:
            count = self._read(buffer[:missing])
            file.write(buffer[:count])
            missing -= count
        return rest[size:]

    def _read(self, buffer: memoryview) -> int:
        count = self._stream.readinto1(buffer)
        if not count:
            raise ReadInterruptedError("the server closed the connection before the result set's end")
        return count
