"""A camera behind a pipe: standard input, a named pipe or another binary file.

JPEGs are stamped on arrival, a container's pictures keep its time stamps.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

from mjpeg_restore.errors import ConnectionFailed, reason_of
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources.container import ContainerSource
from mjpeg_restore.sources.live.connection import Capture
from mjpeg_restore.sources.live.multipart import MultipartReader
from mjpeg_restore.sources.probe import Closable
from mjpeg_restore.sources.reading import CHUNK, StoppableStream


class PipeConnection:
    """The pictures in a stream of bytes: concatenated JPEGs or a multipart response, with or without its headers.

    The stream cannot be opened again: the end of the pipe is the end of the source.
    """

    def __init__(self, stream: StoppableStream, name: str, owned: Closable | None = None) -> None:
        """Prepare to read; nothing is read yet.

        Args:
            stream: the bytes.
            name: of the source in messages.
            owned: what is closed after the pictures.
        """
        self._stream = stream
        self._name = name
        self._owned = owned

    def pictures(self) -> Generator[Capture]:
        """Yield pictures as they arrive; see `Connection`."""
        try:
            yield from self._pictures()
        except OSError as error:
            raise ConnectionFailed(f"{self._name}: {reason_of(error)}") from None
        finally:
            if self._owned is not None:
                self._owned.close()

    def _pictures(self) -> Iterator[Capture]:
        reader = MultipartReader()
        while chunk := self._stream.read(CHUNK):
            arrived = time.monotonic()
            for picture in reader.feed(chunk):
                yield Capture(picture.data, arrived, picture.stamp, picture.lost)
        arrived = time.monotonic()
        for picture in reader.flush():
            yield Capture(picture.data, arrived, picture.stamp, picture.lost)

    def interrupt(self) -> None:
        """End a waiting `pictures`; see `Connection`. The stream ends here."""
        self._stream.stop()


class PipedContainerSource(ContainerSource):
    """A container that a camera's recorder writes into a pipe: the pictures keep its time stamps, and are live."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Open the container; see `ContainerSource`."""
        super().__init__(*arguments, **options)
        self.info = replace(self.info, live=True, frames=None, duration=None)

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures, with their arrival; see `Source`."""
        for packet in super().__iter__():
            yield replace(packet, arrived=time.monotonic())

    def _check_length(self) -> None:
        """A recorder into a pipe cannot know the duration: FFmpeg's AVI states 8 months."""
