"""Keeps the C library from giving memory back that is needed again a moment later."""

from __future__ import annotations

import ctypes
import functools

# <malloc.h>: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 4 << 20
_MOST_KEPT = 64 << 20


@functools.cache
def keep_freed_memory() -> None:
    """Let buffers of up to a few megabytes come from memory that the process already has.

    Blocks, and what is made of them, are buffers of about a megabyte, allocated and freed hundreds of times a second.
    By default glibc fetches each from the kernel, page fault by page fault, and hands it back: a third of the time that
    reading and writing a CSV take. A C library without `mallopt` is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
