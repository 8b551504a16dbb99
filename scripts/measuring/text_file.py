"""Text files that take long to measure: replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path

from mjpeg_restore.errors import SinkError, reason_of


def write(path: Path, text: str) -> None:
    """Write a file, all or nothing.

    Raises:
        SinkError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text)
        os.replace(part, path)
    except OSError as error:
        raise SinkError(f"cannot write {path} ({reason_of(error)})") from error
