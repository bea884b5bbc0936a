"""Let the C library return the memory of large bodies to the system."""

import ctypes
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""Parameters of glibc's `mallopt`."""
LARGE_BYTES: Final = 1024 * 1024
ARENAS: Final = 2


def configure() -> None:
    """Map each large block of its own, and share heaps between threads; without glibc, do nothing.

    By default glibc raises the size from which blocks are mapped to that of the largest one freed, up to 32 MiB. Later
    ones then come from a heap, which keeps their memory once a small block lies above them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (
            (M_MMAP_THRESHOLD, LARGE_BYTES),
            (M_TRIM_THRESHOLD, LARGE_BYTES),
            (M_ARENA_MAX, ARENAS),
        ):
            mallopt(parameter, value)
