"""The real code of one invocation, in a thread of its own that waits wherever the code makes a request.

The same answers make the same code ask the same next. So code runs only where nobody has been with these answers
before; everywhere else its next move is known.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from rds_to_s3.s3.objects import ObjectStore, StoredObject
from tests.explorer.source import SourceConnection

CONNECT = "connect"  # to the database: a move that the scheduler answers at once


class StoppedError(BaseException):
    """The code of the invocation runs no further."""


@dataclass(frozen=True)
class Invocation:
    """Something that is called, and forgets all but what it is given.

    Attributes
    ----------
    work : callable
        What it does; returns what the state machine learns.
    known : tuple
        What it is given: the same name and the same knowledge mean the same work.
    faulty : bool
        Whether its requests may fail.
    """

    name: str
    work: Callable[[Worker], Any]
    known: tuple[object, ...] = ()
    faulty: bool = True


class Request(NamedTuple):
    """A call of an `ObjectStore`'s method, or `CONNECT`."""

    operation: str
    arguments: dict[str, Any]

    @property
    def place(self) -> str:
        """The key or the prefix that it is about."""
        return str(self.arguments.get("key", self.arguments.get("prefix", "")))


class Ended(NamedTuple):
    """The end of an invocation: a result, or the error that nobody foresaw."""

    result: Any
    error: str | None = None


class Answer(NamedTuple):
    """What a request came to, an exception perhaps, and what the clock of the invocation said then."""

    value: Any
    clock: float

    def said(self) -> object:
        """Return what stands for the value: as much of it as the code can make a difference of."""
        if isinstance(self.value, Exception):
            return type(self.value).__name__, self.value.args
        return self.value.etag if isinstance(self.value, StoredObject) else self.value


Move = Request | Ended


class Worker:
    """The thread.

    Attributes
    ----------
    clock : float
        What the code takes for the time.
    elapsed : float
        Seconds that the database has taken.
    """

    running: Worker | None = None

    def __init__(self, invocation: Invocation, clock: float) -> None:
        self.invocation = invocation
        self.clock = clock
        self.elapsed = 0.0
        self.page_seconds = 0.0
        self.store = WorkerStore(self)
        self._heard = 0
        self._made = 0
        self._move: Move | None = None
        self._answer: Answer | None = None
        self._stopped = False
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._play, daemon=True)

    def move_after(self, heard: list[Answer]) -> Move:
        """Let the code run until it has been given all these answers, and return what it does next."""
        Worker.running = self
        if self._move is None:
            self._thread.start()
            self._back.acquire()
        for answer in heard[self._heard :]:
            self._answer = answer
            self._go.release()
            self._back.acquire()
        self._heard = len(heard)
        assert self._move is not None
        return self._move

    def stop(self) -> None:
        """Let the thread end."""
        if not isinstance(self._move, Ended):
            Worker.running = self
            self._stopped = True
            self._go.release()
            self._back.acquire()

    # --- what the code sees ---

    def unique(self) -> str:
        """Return a name that nothing else in the schedule has."""
        self._made += 1
        return f"{self.invocation.name}.{self._made}"

    def connect(self) -> SourceConnection:
        """Open a snapshot."""
        return SourceConnection(self.request(CONNECT, {}))

    def request(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Wait for an answer."""
        if self._stopped:
            raise StoppedError
        if "body" in arguments:
            arguments["body"] = bytes(arguments["body"])  # the caller may use its buffer again
        self._move = Request(operation, arguments)
        self._back.release()
        self._go.acquire()
        if self._stopped or self._answer is None:
            raise StoppedError
        value, self.clock = self._answer
        if isinstance(value, Exception):
            raise type(value)(*value.args)
        return list(value) if isinstance(value, list) else value

    def _play(self) -> None:
        try:
            self._move = Ended(self.invocation.work(self))
        except StoppedError:
            pass
        except BaseException as error:  # whatever it is: the scheduler has to hear of it
            self._move = Ended(None, f"{self.invocation.name} failed: {type(error).__name__}: {error}")
        self._back.release()


class WorkerStore(ObjectStore):
    """The bucket as one invocation sees it."""

    def __init__(self, worker: Worker) -> None:
        self.bucket = "explored"
        self._worker = worker


def _request(name: str, method: Any) -> Any:
    parameters = list(method.__code__.co_varnames[1 : method.__code__.co_argcount])

    @functools.wraps(method)
    def request(self: WorkerStore, *arguments: Any, **named: Any) -> Any:
        return self._worker.request(name, dict(zip(parameters, arguments, strict=False)) | named)

    return request


for _name, _method in list(vars(ObjectStore).items()):
    # `replace` is made of a request, and is none.
    if not _name.startswith("_") and _name != "replace" and callable(_method):
        setattr(WorkerStore, _name, _request(_name, _method))
