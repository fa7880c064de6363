"""The first stage of a table with masked columns: no later stage, and nothing that is written, has their values."""

from __future__ import annotations

from rds_to_s3.extract.scope.selection import Selection
from rds_to_s3.extract.stages.stage import PositionOf, Stage
from rds_to_s3.formats import Rows


class Masking(Stage):
    """The stage of one invocation."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def take(self, rows: Rows, _position_of: PositionOf, /) -> Rows:
        """Mask rows."""
        return self._selection.as_written(rows)


def masking(selection: Selection) -> list[Stage]:
    """Return the stage, or nothing where no column is hashed."""
    return [Masking(selection)] if selection.is_hashed else []
