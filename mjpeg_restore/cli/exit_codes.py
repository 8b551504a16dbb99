"""What the command's exit code says of an error."""

from __future__ import annotations

from mjpeg_restore.errors import (
    JpegError,
    MjpegRestoreError,
    ModelError,
    RuntimeUnavailable,
    SinkError,
    SourceError,
)

EXIT_CODES: tuple[tuple[type[MjpegRestoreError], int], ...] = (
    (SourceError, 3),
    (JpegError, 3),
    (ModelError, 4),
    (RuntimeUnavailable, 4),
    (SinkError, 5),
)


def exit_code(kind: type[MjpegRestoreError]) -> int:
    """The exit code of a kind of error; 1 for one that has none of its own."""
    return next((code for base, code in EXIT_CODES if issubclass(kind, base)), 1)
