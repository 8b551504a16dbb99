"""Detects what a file holds, and opens it as pictures, as a stream of JPEGs or as a container."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

from mjpeg_restore.errors import Hint, NotMjpeg, SourceError, reason_of
from mjpeg_restore.sources.choice import SoundChoice
from mjpeg_restore.sources.chunked import Dechunker, dechunker_for
from mjpeg_restore.sources.container import ContainerSource
from mjpeg_restore.sources.demuxers import ContainerOpenError
from mjpeg_restore.sources.live.pipe import PipeConnection, PipedContainerSource
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.live.source import LiveSource
from mjpeg_restore.sources.movindex import MAX_SAMPLES, claimed_samples
from mjpeg_restore.sources.probe import (
    ByteStream,
    Closable,
    Content,
    detect_content,
    foreign_format,
    is_web_page,
    read_head,
)
from mjpeg_restore.sources.reading import FileStream, SeekableFileStream, StoppableStream, is_disk_or_memory
from mjpeg_restore.sources.stills import SUFFIXES, StillsSource
from mjpeg_restore.sources.stream import DechunkedStream, StreamSource
from mjpeg_restore.sources.timing import DEFAULT_FPS


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """The options of `open_source`, checked; see there."""

    fps: Fraction | None
    start: Fraction | None
    duration: Fraction | None
    track: int | None
    sound: SoundChoice | None
    live: bool
    camera: LiveSettings

    def check_without_tracks(self, name: str) -> None:
        """Check the track numbers for a source that is not a container: it has video track 1 and no sound.

        Raises:
            SourceError: another track was asked for.
        """
        if self.track not in (None, 1):
            raise SourceError(f"{name} is not a container with tracks: there is no track number {self.track}")
        if self.sound not in (None, "all"):
            raise SourceError(f"{name} has no sound: there is no sound track {self.sound}")


@dataclass(frozen=True, slots=True)
class _Input:
    """A file whose content is being detected."""

    stream: ByteStream
    """The file, from its first byte on."""
    head: bytes
    """Its first bytes."""
    size: int | None
    """Its size in bytes; None if it cannot seek. Of an HTTP response an estimate, unless `head` holds all of it."""


def open_file(
    file: BinaryIO | FileStream,
    name: str,
    options: OpenOptions,
    path: Path | None = None,
    *,
    owned: Closable | None = None,
) -> StillsSource | StreamSource | ContainerSource | LiveSource:
    """Open the source that fits a file's content.

    Args:
        file: need not seek; a `FileStream` of one is read from where it is.
        name: the file's name in messages.
        options: what the caller of `open_source` asked for.
        path: where `file` was opened: the source then closes it. None: the caller closes it.
        owned: what the source closes instead.

    Raises:
        NotMjpeg: the file holds no Motion-JPEG.
        SourceError: the file cannot be read, or an option does not fit it.
    """
    if path:
        owned = cast(BinaryIO, file)
    found = _read_start(file, name)
    content = detect_content(found.head)
    if found.size is None:
        path = None  # opened again by its name, a pipe would lack the bytes that are already read
    if content is Content.CHUNKED and (dechunker := dechunker_for(found.head)):
        found, path = _read_response(found, dechunker, name), None
        content = detect_content(found.head)
        _reject_compressed(content, dechunker.coding, name)
    _reject_foreign(content, found.head, name)
    if content not in (Content.JPEG, Content.JPEG_LATER):
        return _open_container(found, content, name, options, path, owned)
    if path and owned and content is Content.JPEG and not options.live and path.suffix.lower() in SUFFIXES:
        owned.close()
        return open_stills([path], name, "JPEG picture", options)
    options.check_without_tracks(name)
    if options.live:
        stream = found.stream if isinstance(found.stream, StoppableStream) else FileStream(found.stream)
        return _open_live(stream, name, options, owned)
    fps = options.fps or DEFAULT_FPS
    source = StreamSource(found.stream, name, fps, options.start, options.duration, owned=owned)
    if found.size is not None:
        source.estimate_length(found.head, found.size)
    return source


def open_stills(paths: Sequence[Path], name: str, format: str, options: OpenOptions) -> StillsSource:
    """Open one picture a file; the arguments are those of `StillsSource`.

    Raises:
        SourceError: an option does not fit, or the cut leaves no picture.
    """
    options.check_without_tracks(name)
    return StillsSource(paths, name, format, options.fps or DEFAULT_FPS, options.start, options.duration)


def _open_live(stream: StoppableStream, name: str, options: OpenOptions, owned: Closable | None) -> LiveSource:
    return LiveSource(
        name,
        "JPEG stream",
        lambda: PipeConnection(stream, name, owned),
        options.camera,
        fps=options.fps,
        start=options.start,
        duration=options.duration,
        reconnects=False,
    )


def _open_container(
    found: _Input, content: Content, name: str, options: OpenOptions, path: Path | None, owned: Closable | None
) -> ContainerSource:
    _check_index_size(found, name)
    if options.fps is not None:
        raise SourceError(f"{name} carries its own time stamps", Hint("leave out {fps}", fps=None))

    def open_target(target: str | ByteStream, owned: Closable | None) -> ContainerSource:
        cut = options.start, options.duration
        kind = PipedContainerSource if options.live else ContainerSource
        return kind(target, name, *cut, track=options.track, sound=options.sound, owned=owned)

    try:
        if path and owned:  # FFmpeg reads a path faster than a Python file
            owned.close()
            return open_target(str(path), None)
        # On a thread, because FFmpeg would not let Ctrl-C through a read of a Python file.
        with ThreadPoolExecutor(1, thread_name_prefix="open") as pool:
            try:
                return pool.submit(open_target, found.stream, owned).result()
            except BaseException:
                if isinstance(found.stream, StoppableStream):
                    found.stream.stop()
                raise
    except ContainerOpenError:
        if content is Content.CONTAINER:
            raise
        raise NotMjpeg(f"{name} holds no JPEG picture and is no recording that FFmpeg knows") from None


def _check_index_size(found: _Input, name: str) -> None:
    """Refuse a MOV whose index would fill memory. Of a pipe only the head can be checked."""
    seekable = hasattr(found.stream, "seek")
    try:
        claimed = claimed_samples(cast(BinaryIO, found.stream) if seekable else io.BytesIO(found.head))
    except OSError as error:
        raise SourceError(f"cannot read {name}: {reason_of(error)}") from None
    if claimed > MAX_SAMPLES:
        raise SourceError(f"{name} claims {claimed:,} samples in its index: it is damaged, or made to fill memory")


def _read_start(file: BinaryIO | FileStream, name: str) -> _Input:
    """Read a file's first bytes, and find out its size."""
    try:
        if isinstance(file, FileStream):
            head = read_head(file)
            file.unread(head)
            return _Input(file, head, None)
        # A file that is not at its beginning is read as a pipe: a demuxer seeks to positions that count from there.
        if not (hasattr(file, "seekable") and file.seekable() and file.tell() == 0):
            head = read_head(FileStream(file))
            return _Input(FileStream(file, head), head, None)
        stream = file if is_disk_or_memory(file) else SeekableFileStream(file)
        head = read_head(stream)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
    except OSError as error:
        raise SourceError(f"cannot read {name}: {reason_of(error)}") from None
    return _Input(stream, head, size)


def _read_response(dump: _Input, dechunker: Dechunker, name: str) -> _Input:
    """Read the first bytes of the bodies in a dump of HTTP responses, and estimate the size of the bodies."""
    stream = DechunkedStream(dump.stream, dechunker)
    try:
        head = read_head(stream)
    except OSError as error:
        raise SourceError(f"cannot read {name}: {reason_of(error)}") from None
    if not head:
        reason = f": {dechunker.error}" if dechunker.error else ""
        raise NotMjpeg(f"{name} is an HTTP response without a body{reason}")
    size = dump.size
    if size is not None:
        complete = dechunker.finished or stream.bytes_read >= size
        size = len(head) if complete else max(len(head) + 1, size * len(head) // stream.bytes_read)
    stream.unread(head)
    return _Input(stream, head, size)


def _reject_compressed(content: Content, coding: str, name: str) -> None:
    if coding and content in (Content.FOREIGN, Content.TEXT, Content.UNKNOWN):
        raise NotMjpeg(
            f"{name} is an HTTP response compressed with {coding}: ask the camera for an uncompressed one "
            "(curl does without --compressed), or unpack it first"
        )


def _reject_foreign(content: Content, head: bytes, name: str) -> None:
    if not head:
        raise SourceError(f"{name} is empty")
    advice = "give a Motion-JPEG recording (.mjpeg, .avi, .mov, .mkv, .mp4), a JPEG or a folder of JPEGs"
    if content is Content.FOREIGN:
        raise NotMjpeg(f"{name} is {foreign_format(head)}, which has no JPEG coefficients to restore: {advice}")
    if content is Content.TEXT:
        what = "a web page" if is_web_page(head) else "text"
        raise NotMjpeg(f"{name} is {what}, not video: {advice}")
