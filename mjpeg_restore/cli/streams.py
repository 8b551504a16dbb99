"""Standard output and error, which may be closed, full, or without a reader."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from mjpeg_restore.errors import SinkError, reason_of


def open_missing() -> None:
    """Open the standard streams that are closed, before anything else opens a file.

    Otherwise the first file that is opened gets the descriptor of a closed one, and libraries print into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="backslashreplace")  # as standard error has it: names of files may be any bytes


def write(text: str, stream: TextIO | None) -> None:
    """Print to a standard stream and flush it.

    Raises:
        SinkError: the stream is closed or cannot be written. A reader that has gone away is no error.
    """
    if stream is None:
        raise SinkError("the standard stream to print to is closed")
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        _discard(stream)
        if not isinstance(error, BrokenPipeError):
            raise SinkError(f"cannot print the result ({reason_of(error)})") from None


def warn(line: str) -> None:
    """Print one line to standard error; nothing where that is closed or cannot be written."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print("mjpeg-restore:", " ".join(line.splitlines()), file=sys.stderr, flush=True)


def flush() -> None:
    """Flush both output streams, and discard what cannot be written: Python would report it at exit."""
    streams: tuple[TextIO | None, ...] = (sys.stdout, sys.stderr)
    for stream in streams:
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO) -> None:
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
