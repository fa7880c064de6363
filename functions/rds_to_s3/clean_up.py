"""Cleaning up after an error, so that the error which mattered is the one that is raised."""

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
        except Exception as failure:  # whatever it is, `error` came first
            error.add_note(f"Cleaning up failed, too: {type(failure).__name__}: {failure}")


@contextlib.contextmanager
def cleaned_up(*actions: Callable[[], object]) -> Iterator[None]:
    """Run the actions after the block, as ``finally`` does. After an error that one is raised, whatever they raise."""
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
