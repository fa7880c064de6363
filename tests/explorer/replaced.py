"""Takes clocks, chance, threads and the database away from the product's modules while the explorer plays them."""

from __future__ import annotations

import contextlib
import datetime as real_datetime
import importlib
import sys
import time as real_time
import types
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from rds_to_s3.commit.read_as import Division, Position
from rds_to_s3.extract import extract_table as extraction_run
from rds_to_s3.extract import reached
from rds_to_s3.extract.ranges import division
from rds_to_s3.manifest import write_manifest as reporting
from rds_to_s3.manifest.report import render_report
from rds_to_s3.mysql.catalogue import snapshot
from rds_to_s3.mysql.wire import result_set
from tests.explorer.source import SourceConnection, describe_table
from tests.explorer.worker import Worker

_NEEDED = (
    "rds_to_s3.extract.stages.key_runs",
    "rds_to_s3.extract.stages.row_checks",
    "rds_to_s3.formats.parquet",
)  # imported late


def _running() -> Worker:
    worker = Worker.running
    assert worker is not None
    return worker


class _Time:
    """The module `time`."""

    def time(self) -> float:
        return _running().clock

    def monotonic(self) -> float:
        return _running().elapsed

    perf_counter = monotonic

    def sleep(self, seconds: float) -> None:
        """Nothing waits: the scheduler says when time passes."""


class _Datetime(real_datetime.datetime):
    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(_running().clock, tz)


class _Uuid:
    def __init__(self, name: str) -> None:
        self.hex = name

    def __str__(self) -> str:
        return self.hex


def _uuid4() -> _Uuid:
    return _Uuid(_running().unique())


class _Executor:
    """`ThreadPoolExecutor`, whose work is done at once by whoever submits it."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:  # as an executor does; a death is no exception of the work
            future.set_exception(error)
        return future

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any], **_: object) -> Iterator[Any]:
        return iter([function(*arguments) for arguments in zip(*iterables, strict=False)])

    def shutdown(self, **_: object) -> None:
        """There is no thread to wait for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _query(connection: SourceConnection, sql: str, **_: object) -> Any:
    if " LIMIT " in sql:
        _running().elapsed += _running().page_seconds
    return connection.query(sql)


def _open_snapshot(connection: SourceConnection, *_: object, **__: object) -> Any:
    return describe_table(average_row_bytes=64)


def _divide(
    _connection: object, _table: object, spec: Any, prepared: Any, **given: Any
) -> tuple[Division | None, list[str]]:
    """Divide whatever is read in two: by the key, or a window between its halves. Not in a run that only looks."""
    if spec.readers != 2 or len(prepared.segments) > 2 or str(given["token"]).startswith(("first", "last")):
        return None, []
    cut = Position(segment=1) if len(prepared.segments) == 2 else Position(values=[b"10".hex()])
    return Division(token=given["token"], cuts=[cut], first_part=given["next_part"](), parts=100), []


def _connect_reached(run: Any, _table: str, _reads: object, ways: Any, _seconds: object) -> Any:
    """There is one server, and it has everything."""
    return ways[0](1), run


def _replace_defaults(method: Any, clock: _Time) -> Callable[[], None]:
    """Replace what a method takes for the clock unless it is given one; return what undoes that."""
    if not isinstance(method, types.FunctionType):
        return lambda: None
    before = method.__defaults__, method.__kwdefaults__
    stand_ins: dict[object, Any] = {real_time.time: clock.time, real_time.sleep: clock.sleep}

    def replaced(value: Any) -> Any:
        return stand_ins[value] if isinstance(value, types.BuiltinFunctionType) and value in stand_ins else value

    method.__defaults__ = tuple(map(replaced, before[0])) if before[0] else before[0]
    method.__kwdefaults__ = {key: replaced(value) for key, value in (before[1] or {}).items()}

    def put_back() -> None:
        method.__defaults__, method.__kwdefaults__ = before

    return put_back


@contextlib.contextmanager
def playing() -> Iterator[None]:
    """Replace, and put back."""
    for name in _NEEDED:
        importlib.import_module(name)
    clock = _Time()
    stand_ins: dict[int, Any] = {
        id(real_time): clock,
        id(real_datetime.datetime): _Datetime,
        id(uuid.uuid4): _uuid4,
        id(ThreadPoolExecutor): _Executor,
        id(result_set.query): _query,
        id(snapshot.open_snapshot): _open_snapshot,
        id(reached.connect_reached): _connect_reached,
        id(division.divide): _divide,
        id(reached.note_seen): lambda *_: None,
        id(render_report): lambda *_, **__: "",
    }
    undo: list[Callable[[], None]] = []
    modules = [m for name, m in sys.modules.items() if name.startswith("rds_to_s3.") and m is not None]
    for module in modules:
        for name, value in list(vars(module).items()):
            if id(value) in stand_ins:
                setattr(module, name, stand_ins[id(value)])
                undo.append(lambda module=module, name=name, value=value: setattr(module, name, value))  # type: ignore[misc]
            elif isinstance(value, type) and value.__module__ == module.__name__:
                undo.append(_replace_defaults(vars(value).get("__init__"), clock))
    assert {extraction_run, reporting} <= set(modules)
    try:
        yield
    finally:
        for put_back in undo:
            put_back()
