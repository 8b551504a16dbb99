"""Standard output and error, which may be closed, full, or without a reader."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
import unicodedata
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Literal, TextIO

from mjpeg_restore.errors import SinkError, is_broken_pipe, reason_of

LogFormat = Literal["text", "json"]
Level = Literal["info", "warning", "error"]

_log_format: LogFormat = "text"
"""Of standard error, which is the process's as well."""


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
        print(_without_controls(text), file=stream, flush=True)
    except OSError as error:
        _discard(stream)
        if not is_broken_pipe(error):
            raise SinkError(f"cannot print the result ({reason_of(error)})") from None


def warn(line: str, level: Level = "info", **more: str) -> None:
    """Print one line to standard error; nothing where that is closed or cannot be written.

    Args:
        line: the message.
        level: of the line, in JSON.
        more: other keys, in JSON.
    """
    _print_error(
        _json(time.time(), level, line, **more) if _log_format == "json" else f"mjpeg-restore: {one_line(line)}"
    )


def set_log_format(format: LogFormat) -> None:
    """Choose the format of every line on standard error: text, or JSON objects."""
    global _log_format
    _log_format = format


class LogHandler(logging.Handler):
    """Prints the package's log to standard error, with the time of day: a camera is watched for days."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        message = record.getMessage()
        if _log_format == "json":
            more = {name: value for name in ("event", "source", "output") if (value := getattr(record, name, None))}
            _print_error(_json(record.created, record.levelname.lower(), message, **more))
        else:
            when = datetime.fromtimestamp(record.created).isoformat(" ", "seconds")
            _print_error(f"mjpeg-restore: {when} {one_line(message)}")


@contextlib.contextmanager
def logged(level: int) -> Generator[None]:
    """Print the package's log, from a level on, and nowhere else.

    OpenVINO's import calls `logging.basicConfig` where the user has no home folder, as services have none: each line
    would be printed twice.
    """
    log, handler = logging.getLogger("mjpeg_restore"), LogHandler()
    before, propagated = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
    try:
        yield
    finally:
        log.propagate = propagated
        log.setLevel(before)
        log.removeHandler(handler)


def _json(seconds: float, level: str, message: str, **more: object) -> str:
    when = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": when, "level": level, **more, "message": one_line(message)})


def one_line(line: str) -> str:
    """Text on one line: names of files may have line feeds."""
    return _without_controls(" ".join(line.splitlines()))


def _without_controls(text: str) -> str:
    """Text for a terminal, which would obey the escape sequences of a file's name; its lines stay."""
    return "".join(
        f"\\x{ord(one):02x}" if unicodedata.category(one) == "Cc" and one not in "\n\t" else one for one in text
    )


def _print_error(line: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


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
