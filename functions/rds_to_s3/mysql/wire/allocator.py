"""Keeps the C library from returning memory that is needed again a moment later."""

from __future__ import annotations

import ctypes
import functools

# <malloc.h>: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 4 << 20
_MOST_KEPT = 64 << 20


@functools.cache
def keep_freed_memory() -> None:
    """Make glibc reuse the process's memory for buffers of up to a few megabytes.

    Blocks, and the text made from them, are buffers of about a megabyte, allocated and freed hundreds of times a
    second. By default glibc gets each from the kernel, page fault by page fault, and returns it. That takes a third of
    the time of reading and writing a CSV. A C library without `mallopt` is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
