"""A network between the functions and the database that is as slow as a test wants it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

CHUNK = 16 * 1024


class SlowNetwork:
    """A TCP proxy with a bandwidth from the server to its clients.

    Parameters
    ----------
    host, port
        Of the server.
    bytes_per_second : int
    """

    def __init__(self, host: str, port: int, bytes_per_second: int) -> None:
        self._target = (host, port)
        self._pause = CHUNK / bytes_per_second
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0

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
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
                threading.Thread(target=self._carry, args=(client, server, 0.0), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, self._pause), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket, pause: float) -> None:
        with contextlib.suppress(OSError):
            due = time.monotonic()
            while data := source.recv(CHUNK):
                target.sendall(data)
                # An absolute time: many short sleeps would add up to more than asked for.
                due = max(due, time.monotonic() - 0.1) + pause * len(data) / CHUNK
                if (wait := due - time.monotonic()) > 0.005:
                    time.sleep(wait)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
