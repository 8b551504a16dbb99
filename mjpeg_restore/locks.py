"""Locks between processes, which end with the process that holds them, however that ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL = 0.1
"""Seconds between two attempts."""

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
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_ours = sys.platform == "win32" or _try_lock(descriptor)
        except OSError:
            os.close(descriptor)
            return None
        if is_ours and sys.platform != "win32" and _is_there(descriptor, path):
            return descriptor
        os.close(descriptor)
        if sys.platform == "win32":
            return None
        if not is_ours:
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path))


def _locked(path: Path, waiting: Callable[[], None]) -> int | None:
    """The descriptor of the file, locked; None if there can be no lock."""
    while True:
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
