"""A network between the functions and the database that is as slow as a test or a measurement wants it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

# Few large pieces: 62 a second cost twice the CPU of 16, which take half a second for a gigabyte.
_PIECES_PER_SECOND = 16
_SMALLEST_PIECE = 16 * 1024


class SlowNetwork:
    """A TCP proxy with a bandwidth of each connection from the server to its client.

    Parameters
    ----------
    host, port
        Of the server.
    bytes_per_second : int

    Attributes
    ----------
    connections : int
        So far.
    carried : int
        Bytes from the server to its clients, so far.
    """

    def __init__(self, host: str, port: int, bytes_per_second: int) -> None:
        self._target = (host, port)
        self._rate = bytes_per_second
        self._piece = max(bytes_per_second // _PIECES_PER_SECOND, _SMALLEST_PIECE)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.carried = 0

    def __enter__(self) -> SlowNetwork:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection(self._target)
                # A small window: what the kernel would swallow at once is not slow.
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._piece)
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()
                threading.Thread(target=self._carry_slowly, args=(server, client), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(self._piece):
                target.sendall(data)
        _end(source, target)

    def _carry_slowly(self, source: socket.socket, target: socket.socket) -> None:
        buffer = memoryview(bytearray(self._piece))
        with contextlib.suppress(OSError):
            due = time.monotonic()
            while size := source.recv_into(buffer):
                target.sendall(buffer[:size])
                with self._lock:
                    self.carried += size
                # An absolute time: many short sleeps would add up to more than asked for.
                due = max(due, time.monotonic() - 0.1) + size / self._rate
                if (wait := due - time.monotonic()) > 0.005:
                    time.sleep(wait)
        _end(source, target)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
