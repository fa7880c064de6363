"""An error that matters is the one that is raised, whatever fails while the rest is cleaned up."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rds_to_s3.clean_up import clean_up_after, cleaned_up, full_text
from rds_to_s3.commit.read_as import Position
from rds_to_s3.errors import ReadInterruptedError, StorageRefusedError
from rds_to_s3.extract.extract_table import run_extraction
from rds_to_s3.extract.page_reader import WindowRead
from rds_to_s3.mysql.server import clock
from rds_to_s3.mysql.wire.packets import PacketReader
from tests.support.memory_store import MemoryStore


def refuse() -> None:
    raise StorageRefusedError("the role may not delete")


def test_every_action_runs_and_each_failure_is_a_note() -> None:
    done: list[str] = []
    error = ReadInterruptedError("the read ended early")
    clean_up_after(error, refuse, lambda: done.append("second"), refuse)
    assert done == ["second"]
    assert (
        full_text(error).splitlines()
        == ["the read ended early"] + ["Cleaning up failed, too: StorageRefusedError: the role may not delete"] * 2
    )


def test_the_notes_of_a_cause_are_in_the_log_too() -> None:
    cause = OSError(28, "No space left on device")
    clean_up_after(cause, refuse)
    error = ReadInterruptedError("the disk is full")
    error.__cause__ = cause
    assert full_text(error).endswith("\nCleaning up failed, too: StorageRefusedError: the role may not delete")


def test_the_error_of_the_block_is_raised_and_not_that_of_the_clean_up() -> None:
    with pytest.raises(ReadInterruptedError, match="the read ended early"), cleaned_up(refuse):
        raise ReadInterruptedError("the read ended early")
    with pytest.raises(StorageRefusedError), cleaned_up(refuse):
        pass


def failing_read(on_abort: Callable[[], None]) -> WindowRead:
    part: Any = SimpleNamespace(abort=on_abort)
    return WindowRead(
        connection=part, table="t", columns=[], segments=[], stages=[part, part], pace=part, position=Position(),
        stop_at=0.0, on_page=refuse,
    )  # fmt: skip


def test_an_upload_that_cannot_be_aborted_leaves_the_error_of_the_read_and_aborts_the_others() -> None:
    tried: list[int] = []

    def abort() -> None:
        tried.append(1)
        refuse()

    error = ReadInterruptedError("the read ended early")
    failing_read(abort).abort_after(error)
    assert len(tried) == 2
    assert full_text(error).count("the role may not delete") == 2


class BrokenConnection:
    """Answers nothing once its transaction is open."""

    def run(self, sql: str) -> None:
        if sql == "COMMIT":
            raise ReadInterruptedError("no COMMIT on a broken connection")

    def rows(self, sql: str) -> None:
        raise ReadInterruptedError("the server closed the connection")


def test_a_transaction_that_cannot_be_ended_leaves_the_error_that_broke_it() -> None:
    broken: Any = BrokenConnection()
    with pytest.raises(ReadInterruptedError, match="the server closed the connection") as caught:
        clock._open_transactions(broken)
    assert "no COMMIT" in full_text(caught.value)


def test_a_spooled_row_whose_file_cannot_be_closed_leaves_the_error_of_the_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class FullDisk(io.BytesIO):
        def close(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", FullDisk)
    body = b"\xff\xff\xff\x00" + b"x" * 2_000_000  # the rest of the packet never comes
    stream: Any = SimpleNamespace(readinto1=io.BytesIO(body).readinto1)
    with pytest.raises(ReadInterruptedError, match="closed the connection") as caught:
        list(PacketReader(stream, 0, block_bytes=1 << 20, spool_bytes=1 << 20))
    assert "No space left" in full_text(caught.value)


def test_a_record_that_cannot_be_written_leaves_the_error_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Extraction:
        superseded = False

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def extract(self) -> None:
            raise ReadInterruptedError("the read ended early")

        def failed_record(self, error: BaseException) -> dict[str, Any]:
            raise RuntimeError("no record")

    plan = SimpleNamespace(table=lambda name: name)
    monkeypatch.setattr("rds_to_s3.extract.extract_table._plan", lambda *_: plan)
    monkeypatch.setattr("rds_to_s3.extract.extract_table.TableExtraction", Extraction)
    told: list[str] = []
    with pytest.raises(ReadInterruptedError):
        run_extraction(
            "run", "t", MemoryStore(), lambda _: None,  # type: ignore[arg-type, return-value]
            time_left=lambda: 9.0, on_failure=lambda error: told.append(str(error)),
        )  # fmt: skip
    assert told == ["the read ended early", "no record"]
