"""Exchange two folders at one stroke, so that whoever reads finds the old one or the new one and never neither."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux, see renameat2(2)
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EPERM)


def swap(one: Path, other: Path) -> None:
    """Give each of two places of one disk what is at the other. Where the system cannot, there is a moment between.

    OSError: nothing was changed.
    """
    if _exchange(one, other):
        return
    aside = other.with_name(other.name + ".aside")
    os.rename(one, aside)
    try:
        os.rename(other, one)
    except OSError:
        os.rename(aside, one)
        raise
    os.rename(aside, other)


def _exchange(one: Path, other: Path) -> bool:
    """renameat2 of Linux; False where this system or this kind of disk has none."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one))
