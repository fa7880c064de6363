"""The rows of a query, in blocks, without a Python object per value.

PyMySQL opens the connection, sends the query and reads the column definitions; from there on this module reads the rows
from its stream, up to the result set's last packet. The text protocol:
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html

Two features of the protocol cannot occur, since PyMySQL does not negotiate them: CLIENT_DEPRECATE_EOF, which would end
a result set in an OK packet, and CLIENT_COMPRESS, which it does not support. If a later PyMySQL negotiates one, the
query is refused. TLS is below the stream.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pymysql

from rds_to_s3.errors import ReadInterruptedError
from rds_to_s3.mysql.connection import translated_errors
from rds_to_s3.mysql.wire.allocator import keep_freed_memory
from rds_to_s3.mysql.wire.packets import LargeRow, LastPacket, PacketReader, RowPackets
from rds_to_s3.rows import Block, SpooledRow
from rds_to_s3.rows.block import MalformedRowError

BLOCK_BYTES = 1 << 20
SPOOL_BYTES = 4 << 20

_CLIENT_COMPRESS = 1 << 5
_CLIENT_DEPRECATE_EOF = 1 << 24
_MORE_RESULTS_EXIST = 0x0008
_BINARY_CHARSET = 63
_READ_AHEAD = 1 << 20  # more than PyMySQL's buffer holds


@dataclass(frozen=True)
class ResultColumn:
    """A column definition of the protocol.

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html

    Attributes
    ----------
    name : str
        The column's alias in the query.
    type_code : int
        One of `pymysql.constants.FIELD_TYPE`.
    flags : int
        Bits of `pymysql.constants.FLAG`.
    charset : int
        Number of the collation the values are sent in; 63 is binary.
    length : int
        The longest value in bytes, as far as the server knows.
    """

    name: str
    type_code: int
    flags: int
    charset: int
    decimals: int
    length: int

    @property
    def is_binary(self) -> bool:
        """Whether the values have no character set (numbers and temporal values have none either)."""
        return self.charset == _BINARY_CHARSET


class ResultSet:
    """The rows that one query yields: iterate over it once, inside a ``with``.

    If the iteration ends early (an error, a ``break``, `abandon`), the connection is closed: the server has no other
    way to stop sending. After the last row the connection is ready for the next query.

    Attributes
    ----------
    rows_read : int
        Rows yielded so far.
    warnings : int
        The server's count of warnings, known at the end.
    """

    def __init__(
        self, connection: Any, columns: Sequence[ResultColumn], packets: PacketReader, table: str | None = None
    ) -> None:
        self.columns = columns
        self._table = table
        self.rows_read = 0
        self.warnings = 0
        self._connection = connection
        self._packets = packets
        self._finished = False

    def __iter__(self) -> Iterator[Block | SpooledRow]:
        """Yield the rows in the server's order; a row of several megabytes is yielded separately.

        Raises
        ------
        ReadInterruptedError
            The server sent an error, the connection broke, or a packet violates the protocol.
        """
        try:
            with translated_errors(self._table, connection=self._connection):
                for part in self._packets:
                    if isinstance(part, LastPacket):
                        self._finish(part)
                        return
                    rows = self._rows(part)
                    self.rows_read += rows.rows
                    yield rows
        finally:
            if not self._finished:
                self.abandon()

    def abandon(self) -> None:
        """Stop reading, and close the connection instead of reading the rest."""
        self._finished = True
        if self._connection.open:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._finished:
            self.abandon()

    def _rows(self, part: RowPackets | LargeRow) -> Block | SpooledRow:
        try:
            if isinstance(part, LargeRow):
                return SpooledRow(part.file, len(self.columns))
            return Block.decode(part.data, part.packets, part.end, len(self.columns))
        except MalformedRowError as error:
            raise ReadInterruptedError(f"the server's packets do not follow the protocol: {error}") from error

    def _finish(self, packet: LastPacket) -> None:
        if packet.is_error:
            # The server has ended the query, and is ready for the next.
            self._finished = True
            pymysql.err.raise_mysql_exception(packet.payload)
        # https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_eof_packet.html
        self.warnings, status = struct.unpack_from("<HH", packet.payload, 1)
        if status & _MORE_RESULTS_EXIST:
            raise ReadInterruptedError("the query has more than one result set")
        self._connection.server_status = status
        self._finished = True


class _Stream:
    """The bytes that PyMySQL has read ahead, and then the socket.

    After its buffer is empty, `io.BufferedReader.readinto1` reads the socket, and waits forever at the end of a result
    set. So the buffer is read first.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self._held: memoryview | None = None

    def readinto1(self, buffer: memoryview, /) -> int:
        if self._held is None:
            self._held = memoryview(self._reader.read1(_READ_AHEAD))
            if not self._held:
                return 0
        if self._held:
            count = min(len(self._held), len(buffer))
            buffer[:count] = self._held[:count]
            self._held = self._held[count:]
            return count
        return int(self._reader.raw.readinto(buffer))


def query(
    connection: pymysql.connections.Connection[Any],
    sql: str,
    *,
    table: str | None = None,
    block_bytes: int = BLOCK_BYTES,
    spool_bytes: int = SPOOL_BYTES,
) -> ResultSet:
    """Run a query, and read its rows as the server sends them.

    Parameters
    ----------
    connection : pymysql.connections.Connection
        Not to be used otherwise until the result set is read.
    table : str, optional
        The table that it reads, for the message of an error.
    block_bytes : int
        The approximate size of a block of rows.
    spool_bytes : int
        A row of this size or more is yielded as a `SpooledRow`, with its bytes in a temporary file.

    Raises
    ------
    RdsToS3Error
        The server refused the query; the class follows from the server's error.
    ValueError
        The statement yields no rows.

    Examples
    --------
    >>> with query(connection, "SELECT id, name FROM orders") as rows:  # doctest: +SKIP
    ...     for block in rows:
    ...         print(block.rows, block.value(0, 1))
    """
    # PyMySQL has no public API for the stream of a query; these are the only uses of its internals.
    inside: Any = connection
    if inside.client_flag & (_CLIENT_COMPRESS | _CLIENT_DEPRECATE_EOF):
        raise ValueError("the connection compresses, or ends result sets in OK packets: this reader supports neither")
    keep_freed_memory()
    with translated_errors(table, connection=connection, sql=sql):
        _send(inside, sql)
    result = inside._result
    if not result.unbuffered_active:
        raise ValueError("the statement yields no rows")
    # PyMySQL must no longer drain a result set that is left open.
    result.unbuffered_active = False
    result.connection = None
    columns = [
        ResultColumn(field.name, field.type_code, field.flags, field.charsetnr, field.scale, field.length)
        for field in result.fields
    ]
    packets = PacketReader(
        _Stream(inside._rfile), inside._next_seq_id, block_bytes=block_bytes, spool_bytes=spool_bytes
    )
    return ResultSet(connection, columns, packets, table)


def _send(connection: Any, sql: str) -> None:
    try:
        connection.query(sql, unbuffered=True)
    except RuntimeError as error:
        # PyMySQL's answer to a server that asks for a local file.
        connection.close()
        raise ReadInterruptedError("the server asked for a local file instead of sending rows") from error
