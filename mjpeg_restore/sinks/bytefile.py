"""A file, or a pipe, that pictures are written to as bytes, one after the other."""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO

from mjpeg_restore.errors import is_broken_pipe
from mjpeg_restore.sinks.base import OutputSettings, PartFile
from mjpeg_restore.sinks.target import cannot_write


class ByteFile:
    """A file that gets its name when it is whole, or a pipe.

    A file of a live source gets its name with the first picture and keeps it even if the run fails; it then ends with a
    whole picture.

    Attributes:
        name: in messages.
        closed: True once the reader of a pipe has gone: what is written is ignored.
    """

    def __init__(
        self, target: str | os.PathLike[str] | BinaryIO, settings: OutputSettings, what: str, *, closes: bool = False
    ) -> None:
        """Create the temporary file, or use a binary stream.

        Args:
            target: a path, or an object with `write(bytes)` and `flush()`.
            settings: `overwrite` and `live` of a file.
            what: the format, for messages.
            closes: close a stream at the end, which otherwise stays open.

        Raises:
            OutputExists: the file exists and `overwrite` is False.
            SinkError: the file cannot be created.
        """
        self.closed = False
        self._part: PartFile | None = None
        self._file: BinaryIO
        if isinstance(target, (str, os.PathLike)):
            self._part = PartFile(target, settings.overwrite, live=settings.live)
            self._file = self._part.path.open("wb")
        else:
            self._file = target
        opened = getattr(target, "name", None)  # that of standard output is a number
        stream = opened if isinstance(opened, str) else f"the {what} stream"
        self.name = str(self._part.target) if self._part else stream
        self._closes = closes
        self._live = settings.live
        self._any = self._finished = False
        self._whole = 0
        """Bytes of whole pictures in a live file."""

    def write(self, *parts: bytes | memoryview) -> None:
        """Write a picture; do nothing once `closed` is True.

        Raises:
            SinkError: it cannot be written.
        """
        self._any = True
        self._write(*parts)
        if self._part and self._live:
            self._whole = self._part.size()
            self._part.commit()

    def close(self) -> None:
        """Flush the stream, or rename the file to its target; a file without a picture is removed.

        Raises:
            SinkError: the last bytes cannot be written.
        """
        if self._finished:
            return
        self._finished = True
        if self._part is None:
            self._write()
            self._close_stream()
            return
        try:
            self._file.close()
        except OSError as error:
            self._part.discard()
            raise cannot_write(self._part.target, f"cannot finish {self.name}", error) from error
        if self._any:
            self._part.commit()
        else:
            self._part.discard()

    def discard(self) -> None:
        """Remove the temporary file, or end a live one with the last whole picture."""
        if self._finished:
            return
        self._finished = True
        if self._part is None:
            self._close_stream()
        else:
            with contextlib.suppress(OSError):
                self._file.close()
            if self._part.committed:
                self._part.truncate(self._whole)
            self._part.discard()

    def _close_stream(self) -> None:
        if self._closes:
            with contextlib.suppress(OSError):  # the reader may be gone, and what is buffered with it
                self._file.close()

    def _write(self, *parts: bytes | memoryview) -> None:
        if self.closed:
            return
        try:
            for part in parts:
                self._file.write(part)
            self._file.flush()
        except OSError as error:
            if is_broken_pipe(error):
                self.closed = True
                return
            path = self._part.target if self._part else None
            raise cannot_write(path, f"cannot write {self.name}", error) from error
