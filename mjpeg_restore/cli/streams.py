"""Standard output and error, which may be closed, full, or without anybody at the other end."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from mjpeg_restore.errors import SinkError


def prepare() -> None:
    """Make all three standard streams fit to be used, before anything else opens a file.

    A file that is opened while one is closed would get its number, and whatever libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="backslashreplace")  # as standard error has it: names of files may be any bytes


def say(text: str, stream: TextIO | None) -> None:
    """Print to a standard stream, and see to it that it arrives.

    Raises:
        SinkError: it does not, although somebody is there.
    """
    if stream is None:
        raise SinkError("the standard stream to print to is closed")
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        _drop(stream)
        if not isinstance(error, BrokenPipeError):
            raise SinkError(f"cannot print the result ({error.strerror})") from None


def complain(line: str) -> None:
    """A line on standard error, if it can be had."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print("mjpeg-restore:", " ".join(line.splitlines()), file=sys.stderr, flush=True)


def settle() -> None:
    """Send what is left, and let go of what nobody takes: Python would complain of it at exit."""
    streams: tuple[TextIO | None, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            _drop(stream)


def _drop(stream: TextIO) -> None:
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
