"""Locks between processes, which end with the process that holds them, however that ends."""

from __future__ import annotations

import os
import struct
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL = 0.1
"""Seconds between two attempts."""

_ATTEMPTS = 10
"""To hold a file that somebody removes again and again, or whose file system numbers it anew each time."""
_FAR = 2**62
"""The byte that stands for a file that is held."""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # a link would make a file elsewhere


@contextmanager
def file_lock(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold a lock, whose file is there for that long. Threads of one process exclude each other as well.

    Where the folder cannot be written or its file system has no locks, as some network file systems have none, nothing
    is locked: the lock saves work that would be done twice, and is no more.

    Args:
        path: of the lock's file.
        waiting: called several times a second while another one holds it. Its exception ends the wait.
    """
    descriptor = _locked(path, waiting)
    if descriptor is None:
        yield
        return
    try:
        yield
    finally:
        if sys.platform != "win32":
            _remove(path)  # first, so that nobody is given a file that is about to go
        os.close(descriptor)
        if sys.platform == "win32":
            _remove(path)  # a file that is open cannot be removed


def hold(path: Path) -> int | None:
    """Create a file if it is not there, and hold it: nobody else can, until its descriptor is closed.

    Returns:
        The descriptor; None where the file system has no locks, or the system moves and removes no open files.

    Raises:
        BlockingIOError: somebody holds it, in this process or in another one.
        OSError: the file cannot be created.
    """
    for _ in range(_ATTEMPTS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if sys.platform == "win32":
            os.close(descriptor)
            return None
        try:
            _try_hold(descriptor)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise
            return None
        if _is_there(descriptor, path):
            return descriptor
        os.close(descriptor)
    return None


def _try_hold(descriptor: int) -> None:
    """Lock a file that others, and other descriptors of this process, go on writing to.

    In Linux it is a byte far behind the file's end: a lock of all of it, as `flock` takes it, keeps everybody from
    reading and writing where a Windows server has the file (flock(2), "CIFS details").

    Raises:
        BlockingIOError: somebody else has the lock.
        OSError: the file system has no such locks.
    """
    import fcntl

    if hasattr(fcntl, "F_OFD_SETLK"):
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _FAR, 1, 0))
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _locked(path: Path, waiting: Callable[[], None]) -> int | None:
    """The descriptor of the file, locked; None if there can be no lock."""
    for _ in range(_ATTEMPTS):
        descriptor = None
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o600)
            while not _try_lock(descriptor):
                waiting()
                time.sleep(POLL)
            if _is_there(descriptor, path):
                return descriptor
            os.close(descriptor)  # the one who had the lock has removed the file
        except OSError:
            if descriptor is not None:
                os.close(descriptor)
            return None
        except BaseException:
            if descriptor is not None:
                os.close(descriptor)
            raise
    return None


def _try_lock(descriptor: int) -> bool:
    """Whether the lock is ours now.

    Raises:
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
