"""What a row passes between the server and the bucket: one stage after the other, each with a progress of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rds_to_s3.commit.state import Position, Staged
from rds_to_s3.formats import Rows

PositionOf = Callable[[Rows, int], Position]


@dataclass(frozen=True)
class Checkpoint:
    """A place that the read can be resumed at.

    Attributes
    ----------
    staged : Staged
        Each stage records its progress in its own part of it.
    rows : int or None
        How many rows are in finished files, which alone survive; None for all that were given on.
    finished : bool
        Whether it is the window's end.
    """

    staged: Staged
    rows: int | None = None
    finished: bool = False


class Stage:
    """A stage, open for one invocation's read of a window.

    It is made with what earlier invocations have recorded. A table that does not need a stage has none.

    Attributes
    ----------
    is_exact : bool
        Whether its progress holds for all rows that it was given, and not for the first so many of them.
    """

    is_exact = False

    @property
    def held_back(self) -> int:
        """The number of rows that it did not give on."""
        return 0

    @property
    def failed(self) -> bool:
        """Whether nothing of this window may become visible."""
        return False

    def take(self, rows: Rows, _position_of: PositionOf, /) -> Rows:
        """Take rows, and give on those for the stages that follow."""
        return rows

    def close(self, _position: Position, /) -> None:
        """Finish what is open: the read is interrupted, or ends, at a position."""

    def checkpoint(self, _at: Checkpoint, /) -> None:
        """Record the progress."""

    def abort(self) -> None:
        """Throw away what is open."""
