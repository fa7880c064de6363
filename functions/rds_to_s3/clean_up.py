"""Clean up after an error, and still raise that error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator


def clean_up_after(error: BaseException, *actions: Callable[[], object]) -> None:
    """Run every action. One that fails becomes a note of `error`, which the caller raises.

    Examples
    --------
    >>> error = ValueError("the read failed")
    >>> clean_up_after(error, lambda: 1 / 0)
    >>> error.__notes__
    ['Cleaning up failed, too: ZeroDivisionError: division by zero']
    """
    for action in actions:
        try:
            action()
        except Exception as failure:  # `error` came first, so it is the one to raise
            error.add_note(f"Cleaning up failed, too: {type(failure).__name__}: {failure}")


@contextlib.contextmanager
def cleaned_up(*actions: Callable[[], object]) -> Iterator[None]:
    """Run the actions after the block, like ``finally``. An error of the block is raised even if an action fails."""
    try:
        yield
    except BaseException as error:
        clean_up_after(error, *actions)
        raise
    for action in actions:
        action()


def full_text(error: BaseException) -> str:
    """Return an error's message, its notes and those of its cause, for a log."""
    chain = [error] if error.__cause__ is None else [error, error.__cause__]
    return "\n".join([str(error), *(note for each in chain for note in getattr(each, "__notes__", []))])
