"""The errors of the local system. Each message says what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable


class LocalSystemError(Exception):
    """Something that the local system needs is missing or did not start; the message says what to do."""


def exit_with_message(main: Callable[[], int]) -> int:
    """Run a command's ``main``; a `LocalSystemError` becomes one message and exit code 1, without a traceback."""
    try:
        return main()
    except LocalSystemError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: run the same command again to continue", file=sys.stderr)
        return 130
