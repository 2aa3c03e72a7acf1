"""How the C library's allocator treats what networks leave behind, and a limit of addresses that is met in time.

Without glibc the allocator is left as it is.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Optional

from contest.cores import cores
from contest.errors import UserError

_NUMBERS, _PER_CORE = 1 << 30, 64 << 20  # bytes of addresses for Python with its libraries, and for a core's buffers

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # names of mallopt(3)
_LARGEST = 32 << 20  # bytes of one piece; older versions of glibc take no more
_KEPT = 128 << 20  # free bytes at the end of the heap


@lru_cache(maxsize=1)
def keep_pages() -> None:
    """Let freed memory be used again: given back, every layer's output is faulted in anew, page by page.

    Five per cent of ViT-L/14's time on one core of a virtual machine. To be called before there are threads: they
    share one heap from then on.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGEST)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_ARENA_MAX, 1)  # the end of a thread's own heap is never given back


def give_back() -> None:
    """Return what is free to the system."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def claim_buffers() -> None:
    """Under `ulimit -v`, let the BLAS of NumPy and SciPy take its buffers while there is room: later it waits for ever.

    UserError: the limit is too low for that.
    """
    limit, needed = _most_addresses(), _NUMBERS + cores() * _PER_CORE
    if limit is None:
        return
    if limit < needed:
        raise UserError(
            f"a limit leaves this process {limit >> 20} MiB of addresses, and it needs more than {needed >> 20}; "
            "raise it (ulimit -v)"
        )
    import numpy as np
    from scipy.linalg.blas import dgemm

    square = np.ones((512, 512))  # large enough for every thread
    dgemm(1.0, square @ square, square)


def _most_addresses() -> Optional[int]:
    """The limit of this process in bytes; None where there is none, and on Windows."""
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


@lru_cache(maxsize=1)
def _glibc() -> Optional[ctypes.CDLL]:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
