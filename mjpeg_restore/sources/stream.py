"""Concatenated JPEGs in one stream of bytes: a raw `.mjpeg` file, a dump of a multipart stream, a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import ceil

from mjpeg_restore.errors import NotMjpeg, reason_of
from mjpeg_restore.frames import Packet
from mjpeg_restore.jpeg import HeaderWalk, Splitter
from mjpeg_restore.jpeg.splitter import MAX_PICTURE_BYTES
from mjpeg_restore.sources.base import BaseSource, SourceInfo
from mjpeg_restore.sources.chunked import Dechunker
from mjpeg_restore.sources.probe import HEAD_BYTES, ByteStream, Closable
from mjpeg_restore.sources.reading import CHUNK, StoppableStream
from mjpeg_restore.sources.timing import TimeWindow, start_after_end


class DechunkedStream(StoppableStream):
    """The bodies in a dump of HTTP responses, as one stream of bytes."""

    def __init__(self, dump: ByteStream, dechunker: Dechunker) -> None:
        self.bytes_read = 0
        """Bytes of the dump that have been read."""
        self._dump = dump
        self._dechunker = dechunker
        self._body = b""

    @property
    def error(self) -> str | None:
        """What is malformed where the bodies end; None if they end properly."""
        return self._dechunker.error

    def read(self, size: int = CHUNK, /) -> bytes:
        """Return up to `size` bytes; none at the end, and after `stop`."""
        while not self._body and not self._dechunker.finished and (chunk := self._dump.read(size)):
            self.bytes_read += len(chunk)
            self._body = self._dechunker.feed(chunk)
        piece, self._body = self._body[:size], self._body[size:]
        return piece

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be read again."""
        self._body = data + self._body

    def stop(self) -> None:
        """End the stream here, even while a read waits; from any thread."""
        if isinstance(self._dump, StoppableStream):
            self._dump.stop()


class StreamSource(BaseSource):
    """A stream of JPEGs, split into packets; bytes between the pictures are skipped.

    The stream has no time stamps (quirk T1): picture n is shown n / fps seconds after the first.
    """

    def __init__(
        self,
        stream: ByteStream,
        name: str,
        fps: Fraction,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        *,
        owned: Closable | None = None,
    ) -> None:
        """Prepare to read; nothing is read yet.

        Args:
            stream: the bytes, from where the first picture is searched.
            name: the source's name in messages.
            fps: frames per second.
            start: seconds to skip.
            duration: seconds to keep.
            owned: what `close` closes, if anything.
        """
        self._stream = stream
        self._owned = owned
        self._window = TimeWindow.from_seconds(1 / fps, start, duration)
        self.info = SourceInfo(name, "JPEG stream", "assumed", 1 / fps, fps=fps)

    def estimate_length(self, head: bytes, size: int) -> None:
        """Estimate the number of pictures from the first bytes of `size`; exact if `head` is the whole stream."""
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
        for number, (offset, data, lost) in enumerate(self._split_pictures(), 1):
            pts = number - 1
            if self._window.is_past(pts):
                return
            if self._window.contains(pts):
                tables = b"" if index else walk.tables
                yield Packet(
                    data,
                    index,
                    pts - self._window.shift,
                    self.info.time_base,
                    offset,
                    tables=tables,
                    discontinuity=lost and index > 0,
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
            raise start_after_end(self.info.name, number * self.info.time_base)

    def _split_pictures(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield (byte offset, picture, whether pictures were dropped before it)."""
        splitter = Splitter()
        dropped = 0
        while not self.stopped and (chunk := self._read_chunk()):
            for offset, data in splitter.feed(chunk):
                # A dropped picture is longer than a chunk, so that it precedes every picture that this chunk completes.
                yield offset, data, splitter.dropped > dropped
                dropped = splitter.dropped
        if self.stopped:
            return  # the splitter's rest is not a whole picture
        if isinstance(self._stream, DechunkedStream) and self._stream.error:
            self.truncated = f"{self.info.name} breaks off: {self._stream.error}"
        for offset, data in splitter.flush():
            self.truncated = self.truncated or f"{self.info.name} ends in the middle of a picture"
            yield offset, data, splitter.dropped > dropped
            dropped = splitter.dropped
        if splitter.dropped:
            lost = f"{splitter.dropped} picture(s) of more than {MAX_PICTURE_BYTES >> 20} MiB left out"
            self.truncated = f"{self.truncated}; {lost}" if self.truncated else f"{self.info.name}: {lost}"

    def _read_chunk(self) -> bytes:
        try:
            return self._stream.read(CHUNK)
        except OSError as error:
            self.truncated = f"{self.info.name} could not be read to its end: {reason_of(error)}"
            return b""

    def stop(self) -> None:
        """End the iteration, even while it waits for a pipe; from any thread."""
        self.stopped = True
        if isinstance(self._stream, StoppableStream):
            self._stream.stop()

    def close(self) -> None:
        """Close the file if the source owns it."""
        if self._owned is not None:
            self._owned.close()
