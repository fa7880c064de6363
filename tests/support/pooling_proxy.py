"""A MySQL proxy that understands statements: it refuses one, swallows one, or gives the client another session.

It stands for a pooler such as RDS Proxy: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
Packets: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
"""

from __future__ import annotations

import select
import socket
import threading
from contextlib import closing, suppress

QUERY, RESET = 0x03, 0x1F
_DONE = b"\x00\x00\x00\x02\x00\x00\x00"
_REFUSED = b"\xff\x28\x04#42000refused by the proxy"


class PoolingProxy:
    """Listens on `port`, and passes statements on to `target`. The client must not use TLS.

    Attributes
    ----------
    refused, swallowed : str
        A statement with this text is answered with an error, or with success, and reaches no server.
    other_session_before : str
        Before a statement with this text the session is reset, as if the next one of the pool had come.
    dropped_after : str
        After a statement with this text both connections end.
    resets : int
        How many sessions have been replaced.
    """

    refused = swallowed = other_session_before = dropped_after = ""
    resets = 0

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # One thread for both directions: when a statement comes, the answer to the one before has been passed on.
        with (
            suppress(OSError, EOFError),
            closing(client),
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            while True:
                for end in select.select([client, server], [], [])[0]:
                    if end is server:
                        client.sendall(_some(server))
                    else:
                        self._command(client, server)

    def _command(self, client: socket.socket, server: socket.socket) -> None:
        header, payload = _packet(client)
        if header[3] != 0 or payload[:1] != bytes([QUERY]):
            server.sendall(header + payload)
            return
        statement = payload[1:].decode("utf-8", "replace")
        if self.refused and self.refused in statement:
            client.sendall(_framed(_REFUSED, 1))
        elif self.swallowed and self.swallowed in statement:
            client.sendall(_framed(_DONE, 1))
        else:
            if self.other_session_before and self.other_session_before in statement:
                server.sendall(_framed(bytes([RESET]), 0))
                _packet(server)
                self.resets += 1
            server.sendall(header + payload)
            if self.dropped_after and self.dropped_after in statement:
                client.sendall(_some(server))
                raise EOFError


def _framed(payload: bytes, sequence: int) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


def _packet(end: socket.socket) -> tuple[bytes, bytes]:
    header = _exactly(end, 4)
    return header, _exactly(end, int.from_bytes(header[:3], "little"))


def _exactly(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += _some(end, size - len(data))
    return data


def _some(end: socket.socket, most: int = 65_536) -> bytes:
    data = end.recv(most)
    if not data:
        raise EOFError
    return data
