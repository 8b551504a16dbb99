"""What exists at an output's path, and whether it may be replaced; pipes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
import sys
import time
from collections.abc import Generator, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

from mjpeg_restore.errors import SinkError, reason_of

_log = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

_DENIED = "choose a folder that can be written"
_ADVICE = {
    **dict.fromkeys(_FULL, "is there room on the disk?"),
    errno.EFBIG: "no file there may be larger: raise the limit (ulimit -f), or write elsewhere",
    errno.ENOENT: "was the folder moved or deleted?",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: _DENIED,
    errno.ENOTDIR: _DENIED,
}
"""What helps where a file cannot be written, by the cause."""

_LONGEST = 255
"""Bytes of a file's name, at most, in nearly all file systems."""

MILLISECOND = timedelta(milliseconds=1)
_TIME = "%Y%m%dT%H%M%S.%f"

_LOOK = 0.02
"""Seconds from one look for a named pipe's reader to the next."""


def kind_of(target: Path) -> Literal["nothing", "file", "folder", "stream"]:
    """What exists at a path; a stream is a named pipe, or a device that takes bytes one after the other.

    Raises:
        SinkError: the path cannot be looked up, or is not a valid name.
    """
    try:
        mode = target.stat().st_mode  # is_dir() and exists() treat errors differently in each version of Python
    except (FileNotFoundError, NotADirectoryError):
        return "nothing"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = reason_of(error)
        raise SinkError(f"cannot write to {target} ({reason}): choose another name") from error
    if stat.S_ISDIR(mode):
        return "folder"
    return "stream" if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) else "file"


def timed(path: Path, moment: datetime) -> tuple[Path, datetime]:
    """A name that nothing has yet, with the time in it, for a file that is to replace none:
    `out-20261126T194115.250Z.mp4`; and that time.

    Args:
        path: folder, beginning of the name, and extension.
        moment: UTC; if the name is taken, it becomes the next millisecond whose name is not.
    """
    while True:
        found = path.with_name(f"{path.stem}-{moment.strftime(_TIME)[:-3]}Z{path.suffix}")
        if kind_of(found) == kind_of(part_name(found)) == "nothing":
            return found, moment
        moment += MILLISECOND


def open_pipe(target: str) -> BinaryIO:
    """Open standard output, "-", or a named pipe or a device; a named pipe waits for its reader.

    Raises:
        SinkError: standard output is closed, or the pipe cannot be opened.
    """
    if target == "-":
        return _standard_output()
    told = False
    try:
        # Looked at again and again: Ctrl-C just before an `open` that waits would not end it.
        while True:
            with held_open(target) as is_read:
                if is_read:
                    return Path(target).open("wb")
            if not told:
                _log.info("%s: waits for its reader", target, extra={"event": "output_waiting", "output": target})
            told = True
            time.sleep(_LOOK)
    except OSError as error:
        raise SinkError(f"cannot write to {target} ({reason_of(error)})") from error


@contextlib.contextmanager
def held_open(target: str | os.PathLike[str]) -> Generator[bool]:
    """Hold a named pipe open if somebody reads it, so that it can be opened once more without a wait.

    Yields:
        False: it is a named pipe, and nobody reads it.

    Raises:
        OSError: there is no such file.
    """
    if not stat.S_ISFIFO(os.stat(target).st_mode):
        yield True
        return
    try:
        held = os.open(target, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        yield False
        return
    try:
        yield True
    finally:
        os.close(held)


def _standard_output() -> BinaryIO:
    """Standard output under a number of its own.

    So a thread that waits for a reader, for good, holds no lock of `sys.stdout`, which Python flushes at its end.
    """
    if sys.stdout is None:  # closed before the program began
        raise SinkError("standard output is closed: name a file")
    sys.stdout.flush()
    return os.fdopen(os.dup(sys.stdout.fileno()), "wb")


def linked(target: Path) -> Path:
    """The file that a name stands for: what a symbolic link leads to, even if that does not exist yet; else the name.

    As programs that open an output for writing do it: the link stays. Those of /proc are no names, but open files.
    """
    if not os.path.islink(target):
        return target
    found = os.path.realpath(target)
    opened = os.path.exists(target) and not os.path.exists(found)
    return target if opened or os.path.realpath(target.parent).startswith("/proc/") else Path(found)


def part_name(target: Path) -> Path:
    """The temporary name of an incomplete file: `.NAME.part.EXTENSION` in the same folder.

    Where that is too long for a file system, it begins as NAME does and goes on with a checksum of the whole name, so
    that two files never share it.
    """
    name = f".{target.stem}.part{target.suffix}"
    if len(os.fsencode(name)) > _LONGEST:
        checksum = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
        name = f".{target.stem[:32]}-{checksum}.part{target.suffix[:16]}"  # a character has four bytes at most
    return target.with_name(name)


def refuse_inputs(target: Path, inputs: Iterable[Path]) -> None:
    """Check that an output file is not one of the inputs.

    Raises:
        SinkError: it is one of `inputs`.
    """
    if kind_of(target) == "nothing":
        return
    existing = target.stat()
    for path in inputs:
        with contextlib.suppress(OSError):  # an input that no longer exists cannot be overwritten
            if os.path.samestat(path.stat(), existing):
                raise SinkError(f"{target}: is the input itself; give another name")


def names_in(folder: Path, inputs: Iterable[Path]) -> list[str]:
    """The file names of the `inputs` in a folder, symbolic links resolved."""
    if kind_of(folder) != "folder":
        return []
    wanted = folder.stat()
    names: list[str] = []
    is_wanted: dict[Path, bool] = {}
    for path in inputs:
        with contextlib.suppress(OSError):
            real = path.resolve() if path.is_symlink() else path
            if real.parent not in is_wanted:
                is_wanted[real.parent] = os.path.samestat(real.parent.stat(), wanted)
            if is_wanted[real.parent]:
                names.append(real.name)
    return names


def cannot_write(path: Path | None, what: str, error: Exception, doubt: str = "") -> SinkError:
    """The error for a file that cannot be written, with advice that fits the reason.

    That of a full disk names only the folder. The files of a camera's output that is begun again and again have other
    names each time, and the log is to have one line.

    Args:
        path: the file; None where it is a stream.
        what: the output and what failed, for the message.
        error: the cause.
        doubt: advice where the error is not the system's.
    """
    number, reason = getattr(error, "errno", None), reason_of(error)
    if path and number in _FULL:
        return SinkError(f"{path.absolute().parent}: no room on the disk ({reason}): make some, or write elsewhere")
    advice = _ADVICE.get(number or 0, "" if isinstance(error, OSError) else doubt)
    return SinkError(f"{what} ({reason})" + (f": {advice}" if advice else ""))
