"""A terminal of a given width: what a program writes to it, as somebody in front of it sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from threading import Thread

import pyte

LONG_ENOUGH = 800  # lines, so that nothing scrolls away


class Terminal:
    """A pseudo-terminal, and an emulator that draws what is written to it."""

    def __init__(self, columns: int, lines: int = LONG_ENOUGH) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:  # Linux: the other side is closed
                return
            if not data:
                return
            self._stream.feed(data)

    def close(self) -> None:
        """Wait until everything is drawn."""
        os.close(self.slave)
        self._reader.join(30)
        os.close(self._master)

    @cached_property
    def lines(self) -> list[str]:
        """What it shows, without blank lines at the end; once nothing more is written."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown


@contextmanager
def in_terminal(columns: int, lines: int = LONG_ENOUGH) -> Iterator[Terminal]:
    """Let this process' standard output be a terminal."""
    terminal = Terminal(columns, lines)
    before, descriptor = sys.stdout, os.dup(1)
    os.dup2(terminal.slave, 1)
    sys.stdout = os.fdopen(os.dup(terminal.slave), "w", encoding="utf-8")
    try:
        yield terminal
    finally:
        sys.stdout.close()
        sys.stdout = before
        os.dup2(descriptor, 1)
        os.close(descriptor)
        terminal.close()
