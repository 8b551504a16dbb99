"""JPEGs one after the other in one run of bytes: raw `.mjpeg`, a dump of a multipart stream, a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import BinaryIO

from mjpeg_restore.errors import NotMjpeg
from mjpeg_restore.frames import Packet
from mjpeg_restore.jpeg import HeaderWalk, Splitter
from mjpeg_restore.jpeg.splitter import MAX_PICTURE_BYTES
from mjpeg_restore.sources.base import BaseSource, SourceInfo
from mjpeg_restore.sources.chunked import Dechunker
from mjpeg_restore.sources.probe import HEAD_BYTES, Readable
from mjpeg_restore.sources.reading import CHUNK, Stoppable
from mjpeg_restore.sources.timing import Window, nothing_left


class Dechunked(Stoppable):
    """The bodies of HTTP responses, out of a dump of these."""

    def __init__(self, stream: Readable, dechunker: Dechunker) -> None:
        self.taken = 0
        """Bytes of the dump that were read so far."""
        self._stream = stream
        self._dechunker = dechunker
        self._body = b""

    @property
    def trouble(self) -> str | None:
        """Why the bodies end where they do, if that is not as it should be."""
        return self._dechunker.trouble

    def read(self, size: int = CHUNK, /) -> bytes:
        """Up to `size` bytes; none at the end, and once the stream is stopped."""
        while not self._body and not self._dechunker.over and (chunk := self._stream.read(size)):
            self.taken += len(chunk)
            self._body = self._dechunker.feed(chunk)
        piece, self._body = self._body[:size], self._body[size:]
        return piece

    def put_back(self, head: bytes) -> None:
        """Have these bytes read again."""
        self._body = head + self._body

    def stop(self) -> None:
        """Let the stream end here, even while a read waits; from any thread."""
        if isinstance(self._stream, Stoppable):
            self._stream.stop()


class StreamSource(BaseSource):
    """A run of bytes that holds JPEGs, split into packets; bytes between the pictures are passed over.

    Such a stream has no time stamps (quirk T1): picture n is shown n / fps seconds after the first.
    """

    def __init__(
        self,
        stream: Readable,
        name: str,
        fps: Fraction,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        *,
        owned: BinaryIO | None = None,
    ) -> None:
        """Read from `stream`.

        Args:
            stream: where bytes come from.
            name: how messages call it.
            fps: frames per second.
            start: seconds to pass over.
            duration: seconds to keep.
            owned: a file to close with the source.
        """
        self.truncated: str | None = None
        self._stream = stream
        self._owned = owned
        self._window = Window.cut(1 / fps, start, duration)
        self.info = SourceInfo(name, "stream", "JPEG stream", "assumed", 1 / fps, fps=fps)

    def expect(self, head: bytes, size: int) -> None:
        """Estimate the number of pictures from the first bytes of `size`; exact where these are all."""
        splitter = Splitter()
        pictures = splitter.feed(head[:HEAD_BYTES])
        if len(head) >= size:
            total = len(pictures) + len(splitter.flush())
        elif pictures:
            offset, last = pictures[-1]
            total = ceil(size * len(pictures) / (offset + len(last)))
        else:
            return
        frames = self._window.count(total)
        self.info = replace(self.info, frames=frames, duration=frames * self.info.time_base)

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures; see `Source`."""
        number = index = 0
        walk = HeaderWalk()
        for number, (offset, data, lost) in enumerate(self._pictures(), 1):
            pts = number - 1
            if self._window.over(pts):
                return
            if self._window.holds(pts):
                tables, shown = b"" if index else walk.tables, pts - self._window.shift
                yield Packet(
                    data, index, shown, self.info.time_base, offset, tables=tables, discontinuity=lost and index > 0
                )
                index += 1
            else:
                if lost:
                    walk.forget()
                walk.pass_over(data)
        if self.stopped:
            return
        if number == 0:
            raise NotMjpeg(self.truncated or f"{self.info.name} holds no whole JPEG picture")
        if index == 0:
            raise nothing_left(self.info.name, number * self.info.time_base)

    def _pictures(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield (offset, picture, whether something is lost before it)."""
        splitter = Splitter()
        dropped = 0
        while not self.stopped and (chunk := self._next_chunk()):
            for offset, data in splitter.feed(chunk):
                # What is dropped is longer than a chunk: it lies before all that the chunk ends.
                yield offset, data, splitter.dropped > dropped
                dropped = splitter.dropped
        if self.stopped:
            return  # what is held of the next picture is not all of it
        if isinstance(self._stream, Dechunked) and self._stream.trouble:
            self.truncated = f"{self.info.name} breaks off: {self._stream.trouble}"
        for offset, data in splitter.flush():
            self.truncated = self.truncated or f"{self.info.name} ends in the middle of a picture"
            yield offset, data, splitter.dropped > dropped
            dropped = splitter.dropped
        if splitter.dropped:
            lost = f"{splitter.dropped} picture(s) of more than {MAX_PICTURE_BYTES >> 20} MiB left out"
            self.truncated = f"{self.truncated}; {lost}" if self.truncated else f"{self.info.name}: {lost}"

    def _next_chunk(self) -> bytes:
        try:
            return self._stream.read(CHUNK)
        except OSError as error:
            self.truncated = f"{self.info.name} could not be read to its end: {error.strerror or error}"
            return b""

    def stop(self) -> None:
        """End the iteration, even while it waits for a pipe; from any thread."""
        self.stopped = True
        if isinstance(self._stream, Stoppable):
            self._stream.stop()

    def close(self) -> None:
        """Close the file, if this source opened it; a stream that was handed over stays open."""
        if self._owned is not None:
            self._owned.close()
