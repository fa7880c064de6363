"""The stages of a row between the server and the bucket, one after the other, each with its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rds_to_s3.commit.read_as import Position
from rds_to_s3.commit.state import Staged
from rds_to_s3.formats import Rows

PositionOf = Callable[[Rows, int], Position]


@dataclass(frozen=True)
class Checkpoint:
    """A position at which the read can be resumed.

    Attributes
    ----------
    staged : Staged
        Each stage records its progress in its own part of it.
    rows : int or None
        The number of rows in finished files, the only ones that survive; None for all rows so far.
    finished : bool
        Whether it is the end of the window.
    """

    staged: Staged
    rows: int | None = None
    finished: bool = False


class Stage:
    """A stage, open for one invocation's read of a window.

    It starts from the records of earlier invocations. A table that does not need a stage does not have it.

    Attributes
    ----------
    is_exact : bool
        Whether its progress covers all rows that it was given, instead of the first n of them.
    """

    is_exact = False

    @property
    def held_back(self) -> int:
        """The number of rows that it left out."""
        return 0

    @property
    def failed(self) -> bool:
        """Whether this window must not become visible."""
        return False

    def take(self, rows: Rows, _position_of: PositionOf, /) -> Rows:
        """Take rows, and return those for the next stages."""
        return rows

    def close(self, _position: Position, /) -> None:
        """Finish the open files: the read is interrupted, or ends, at a position."""

    def checkpoint(self, _at: Checkpoint, /) -> None:
        """Record the progress."""

    def abort(self) -> None:
        """Discard the open files."""
