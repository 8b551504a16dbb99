"""Where packets come from: `open_source` finds out what its argument is."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Union, cast
from urllib.parse import unquote, urlsplit

from mjpeg_restore.errors import NotMjpeg, SourceError, SourceNotFound
from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.sources.base import AudioTrack, Source, SourceInfo, TrackInfo
from mjpeg_restore.sources.choice import SoundChoice
from mjpeg_restore.sources.chunked import Dechunker, dechunker
from mjpeg_restore.sources.container import ContainerSource
from mjpeg_restore.sources.movindex import MOST_SAMPLES, claimed_samples
from mjpeg_restore.sources.probe import Content, Readable, content_of, foreign_name, read_head
from mjpeg_restore.sources.reading import Replayed, Seekable, Stoppable, never_blocks
from mjpeg_restore.sources.stills import SUFFIXES, StillsSource, in_folder, matching
from mjpeg_restore.sources.stream import Dechunked, StreamSource
from mjpeg_restore.sources.timing import DEFAULT_FPS, Rate, check_cut, parse_rate
from mjpeg_restore.sources.tracks import Unopened

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["AudioTrack", "SoundChoice", "Source", "SourceInfo", "Spec", "TrackInfo", "open_source", "parse_rate"]

Spec = Union[str, os.PathLike[str], BinaryIO, "Buffer"]
"""A path, a pattern, "-", a binary file, or anything that holds bytes: bytes, a memoryview, an array of uint8."""

_WEB_PAGE = re.compile(rb"<!doctype html|<html", re.IGNORECASE)
"""What a camera sends that wants a password first."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def open_source(
    spec: Spec,
    *,
    fps: Rate | None = None,
    start: Fraction | None = None,
    duration: Fraction | None = None,
    track: int | None = None,
    audio_track: SoundChoice | None = None,
) -> Source:
    """Open whatever holds Motion-JPEG.

    What `spec` is, in this order:

    1. Bytes or another buffer of them, or a binary file object: judged by content as in 6. A file need not
       seek, and stays open; the source can be stopped while a read of it waits.
    2. "-": standard input, likewise.
    3. A URL: refused with the command that pipes it in, except `file://`.
    4. An existing folder: its JPEG files in natural order.
    5. No existing file, but with one of `*?[`: a pattern that names JPEG files; `**` goes into subfolders.
    6. A file, judged by its first bytes: JPEGs one after the other, with anything between them (only here
       does the name count: `.jpg` and its like are one picture, whatever follows it, such as a phone's second
       view); else a container that FFmpeg demuxes; else an error that says what it is. A dump of a chunked HTTP
       response is judged by its body.

    Args:
        spec: what to open.
        fps: frames per second of what has no time stamps of its own, 25 if None. Containers have their own.
        start: seconds to pass over; the first time stamp that is kept becomes 0. None copies all exactly.
        duration: seconds to keep, from `start` on.
        track: which of a container's Motion-JPEG tracks, from 1. None: the first, unless it is a preview of another.
        audio_track: which of its tracks of sound, from 1, or "all". None: the first.

    Raises:
        SourceNotFound: no such file, or no match of a pattern.
        NotMjpeg: it can be read, but holds no Motion-JPEG.
        SourceError: it cannot be read, or an argument makes no sense for it.
        TypeError: `spec` is nothing of the kind.
    """
    check_cut(start, duration)
    for number in (track, audio_track):
        if isinstance(number, int) and number < 1:
            raise SourceError(f"there is no track number {number}: tracks are counted from 1")
    wanted = _Wanted(None if fps is None else parse_rate(fps), start, duration, track, audio_track)
    if not isinstance(spec, str | os.PathLike):
        return _from_object(spec, wanted)
    name = os.fspath(spec)
    if name == "-":
        return _from_standard_input(wanted)
    if url := _URL.match(name):
        if url[1].lower() != "file":
            raise SourceError(
                f"network sources such as {name} are not supported by this version: have FFmpeg write it to standard "
                f"output, ffmpeg -i {name} -c copy -f mjpeg -, and read that"
            )
        name = unquote(urlsplit(name).path)
    return _from_path(name, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller asked for, whatever the source turns out to be."""

    fps: Fraction | None
    start: Fraction | None
    duration: Fraction | None
    track: int | None
    sound: SoundChoice | None

    def check_trackless(self, name: str) -> None:
        """Refuse a track that what has no tracks cannot have; itself it is number 1.

        Raises:
            SourceError: there is a choice that cannot be met.
        """
        if self.track not in (None, 1):
            raise SourceError(f"{name} is no container of tracks: there is no number {self.track}")
        if self.sound not in (None, "all"):
            raise SourceError(f"{name} has no sound: there is no sound track {self.sound}")


_Opened = StillsSource | StreamSource | ContainerSource


def _from_object(spec: BinaryIO | Buffer, wanted: _Wanted) -> Source:
    if isinstance(spec, io.TextIOBase):
        raise SourceError(f"{spec!r} is open as text: open it as binary, with mode 'rb'")
    if hasattr(spec, "read"):
        return _from_file(cast(BinaryIO, spec), str(getattr(spec, "name", "the stream")), wanted)
    try:
        data = as_bytes(cast("Buffer", spec))
    except TypeError:
        raise TypeError(f"{type(spec).__name__} is no source: give a path, bytes or a binary file") from None
    return _from_file(io.BytesIO(data), "the buffer", wanted)


def _from_standard_input(wanted: _Wanted) -> Source:
    if sys.stdin is None:  # closed before the program began
        raise SourceError("standard input is closed: pipe a stream into it, or give the name of a file")
    if sys.stdin.isatty():
        raise SourceError("standard input is the keyboard: pipe a stream into it, or give the name of a file")
    # Below the buffer: a read that waits there could not be ended, and would hold its lock when the program exits.
    buffer = sys.stdin.buffer
    raw = getattr(buffer, "raw", buffer)
    source = _from_file(raw if isinstance(raw, io.FileIO) else buffer, "standard input", wanted)
    source.paths = (Path("/dev/stdin"),)  # which is the file itself, where it is one and the system has such names
    return source


def _from_path(name: str, wanted: _Wanted) -> Source:
    if not name:  # Path makes the folder at hand of it
        raise SourceNotFound("the input has an empty name: is a variable unset?")
    path = Path(name)
    try:
        if path.is_dir():
            return _stills(in_folder(path, name), name, "folder", wanted)
        if not path.exists():
            if glob.has_magic(name):
                return _stills(matching(name), name, "pattern", wanted)
            raise SourceNotFound(f"{name}: no such file or folder")
        if path.is_char_device() and name.startswith("/dev/video"):
            raise SourceError(
                f"cameras such as {name} are not supported by this version: have FFmpeg write it to standard output, "
                f"ffmpeg -f v4l2 -input_format mjpeg -i {name} -c copy -f mjpeg -, and read that"
            )
        file = path.open("rb", buffering=0)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from None
    try:
        source = _from_file(cast(BinaryIO, file), name, wanted, path)
    except BaseException:
        file.close()
        raise
    source.paths = (path,)
    return source


def _from_file(file: BinaryIO, name: str, wanted: _Wanted, path: Path | None = None) -> _Opened:
    """Choose by content. With `path` the file is ours to close, else it is the caller's."""
    stream, head, size = _look(file, name)
    content = content_of(head)
    owned = file if path else None
    if size is None:
        path = None  # of a pipe nothing is left to be read again
    if content is Content.CHUNKED and (parts := dechunker(head)):
        stream, head, size = _put_together(stream, parts, size, name)
        content, path = content_of(head), None
        _refuse_coding(content, parts.coding, name)
    _refuse(content, head, name)
    if content in (Content.JPEG, Content.JPEG_LATER):
        if path and content is Content.JPEG and path.suffix.lower() in SUFFIXES:
            file.close()
            return _stills([path], name, "JPEG picture", wanted)
        wanted.check_trackless(name)
        fps = wanted.fps or DEFAULT_FPS
        source = StreamSource(stream, name, fps, wanted.start, wanted.duration, owned=owned)
        if size is not None:
            source.expect(head, size)
        return source
    _refuse_bomb(stream, head, name)
    if wanted.fps is not None:
        raise SourceError(f"{name} carries its own time stamps: leave out the frame rate (fps)")
    try:
        if path:  # by its path FFmpeg reads it without a detour through Python
            file.close()
            return _container(str(path), name, wanted)
        return _demuxed(stream, name, wanted, owned)
    except Unopened:
        if content is Content.CONTAINER:
            raise
        raise NotMjpeg(f"{name} holds no JPEG picture and is no recording that FFmpeg knows") from None


def _refuse_bomb(stream: Readable, head: bytes, name: str) -> None:
    """Refuse a MOV whose index would fill memory; a pipe's, as far as its first bytes show it."""
    try:
        claimed = claimed_samples(cast(BinaryIO, stream) if hasattr(stream, "seek") else io.BytesIO(head))
    except OSError as error:
        raise SourceError(f"cannot read {name}: {error.strerror or error}") from None
    if claimed > MOST_SAMPLES:
        raise SourceError(f"{name} claims {claimed:,} samples in its index: it is damaged, or made to fill memory")


def _container(target: str | Readable, name: str, wanted: _Wanted, owned: BinaryIO | None = None) -> ContainerSource:
    return ContainerSource(
        target, name, wanted.start, wanted.duration, track=wanted.track, sound=wanted.sound, owned=owned
    )


def _demuxed(stream: Readable, name: str, wanted: _Wanted, owned: BinaryIO | None) -> ContainerSource:
    """A container that is read through Python; opened on a thread, for FFmpeg lets no Ctrl-C through its reads."""
    with ThreadPoolExecutor(1, thread_name_prefix="open") as pool:
        try:
            return pool.submit(_container, stream, name, wanted, owned).result()
        except BaseException:
            if isinstance(stream, Stoppable):
                stream.stop()
            raise


def _look(file: BinaryIO, name: str) -> tuple[Readable, bytes, int | None]:
    """The stream from its first byte on, that first part of it, and its size in bytes if it can seek."""
    try:
        # From the middle of a file on, a demuxer's absolute positions would be wrong: no seeking there.
        if not (hasattr(file, "seekable") and file.seekable() and file.tell() == 0):
            head = read_head(Replayed(b"", file))
            return Replayed(head, file), head, None
        stream = file if never_blocks(file) else Seekable(file)
        head = read_head(stream)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
    except OSError as error:
        raise SourceError(f"cannot read {name}: {error.strerror or error}") from None
    return stream, head, size


def _put_together(
    stream: Readable, parts: Dechunker, size: int | None, name: str
) -> tuple[Dechunked, bytes, int | None]:
    """What `_look` says, of the bodies of HTTP responses; beyond the head their size is an estimate."""
    bodies = Dechunked(stream, parts)
    try:
        head = read_head(bodies)
    except OSError as error:
        raise SourceError(f"cannot read {name}: {error.strerror or error}") from None
    if not head:
        raise NotMjpeg(f"{name} is an HTTP response without a body" + (f": {parts.trouble}" if parts.trouble else ""))
    if size is not None:
        size = len(head) if parts.over or bodies.taken >= size else max(len(head) + 1, size * len(head) // bodies.taken)
    bodies.put_back(head)
    return bodies, head, size


def _refuse_coding(content: Content, coding: str, name: str) -> None:
    if coding and content in (Content.FOREIGN, Content.TEXT, Content.UNKNOWN):
        raise NotMjpeg(
            f"{name} is an HTTP response compressed with {coding}: ask the camera for an uncompressed one "
            "(curl does without --compressed), or unpack it first"
        )


def _refuse(content: Content, head: bytes, name: str) -> None:
    if not head:
        raise SourceError(f"{name} is empty")
    advice = "give a Motion-JPEG recording (.mjpeg, .avi, .mov, .mkv, .mp4), a JPEG or a folder of JPEGs"
    if content is Content.FOREIGN:
        raise NotMjpeg(f"{name} is {foreign_name(head)}, which has no JPEG coefficients to restore: {advice}")
    if content is Content.TEXT:
        what = "a web page" if _WEB_PAGE.search(head[:1024]) else "text"
        raise NotMjpeg(f"{name} is {what}, not video: {advice}")


def _stills(paths: list[Path], name: str, format: str, wanted: _Wanted) -> StillsSource:
    wanted.check_trackless(name)
    return StillsSource(paths, name, format, wanted.fps or DEFAULT_FPS, wanted.start, wanted.duration)
