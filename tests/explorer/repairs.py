"""Faults of the product that the explorer found, put right here until they are put right there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from rds_to_s3.commit import TableCommit


@contextlib.contextmanager
def repaired() -> Iterator[None]:
    real = TableCommit.save_staged

    def save_staged(self: TableCommit, staged: Any, **named: Any) -> None:
        real(self, staged.model_copy(deep=True), **named)

    TableCommit.save_staged = save_staged  # type: ignore[method-assign]
    try:
        yield
    finally:
        TableCommit.save_staged = real  # type: ignore[method-assign]
