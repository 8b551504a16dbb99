"""Containers opened, and what they say of a track of pictures before it is read."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from types import MappingProxyType
from typing import BinaryIO, cast

import av
import av.error
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.errors import SourceError
from mjpeg_restore.sources import demuxers
from mjpeg_restore.sources.base import SourceInfo
from mjpeg_restore.sources.presentation import field_layout, sample_aspect
from mjpeg_restore.sources.probe import HEAD_BYTES, Readable
from mjpeg_restore.sources.timing import kept_duration

_COUNTED_FROM_ZERO = frozenset({"matroska,webm", "nut", "asf"})
_TRACKS_UNSTATED = frozenset({"matroska,webm", "nut"})
"""Formats that state no length of a track: what FFmpeg says is its guess, by the bit rate of the sound."""

PIPED_HINT = "MOV and MP4 that keep their index at the end cannot be read from a pipe, give the file itself"


_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_HEADERS_ONLY = MappingProxyType({"codec_whitelist": "none", "probesize": "32", "analyzeduration": "0"})
"""No decoder tells the demuxer what it has found."""


class Unopened(SourceError):
    """No demuxer that is allowed takes it."""


def is_piped(target: str | Readable) -> bool:
    """Whether what `open_container` opens cannot seek."""
    return not isinstance(target, str) and not hasattr(target, "seek")


def open_container(target: str | Readable, name: str, more: Mapping[str, str] = _NO_OPTIONS) -> InputContainer:
    """Open a path, or a stream that need not seek. No other file is ever opened, whatever the bytes say.

    Args:
        target: what to open.
        name: how messages call it.
        more: further options for the demuxer.

    Raises:
        Unopened: FFmpeg cannot.
    """
    # A path is nothing but a path: no protocol before it.
    where, protocol = (f"file:{target}", demuxers.PATH) if isinstance(target, str) else (target, demuxers.FILE_OBJECT)
    options = {**demuxers.OPTIONS, "protocol_whitelist": protocol, **more}
    try:
        container = av.open(where, "r", container_options=options, metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        hint = (
            PIPED_HINT
            if is_piped(target)
            else "it is damaged, cut off before its index was written, or of a kind that FFmpeg does not know"
        )
        raise Unopened(f"cannot open {name} ({error.strerror or error}): {hint}") from None
    return container


class Recorded:
    """A stream that cannot seek, and its first bytes once more."""

    def __init__(self, stream: Readable) -> None:
        """Read from `stream`."""
        self._stream = stream
        self._head: bytearray | None = bytearray()

    @property
    def head(self) -> bytes:
        """What was read first, up to `HEAD_BYTES` and a bit."""
        return bytes(self._head or b"")

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        chunk = self._stream.read(size)
        if self._head is not None and len(self._head) < HEAD_BYTES:
            self._head += chunk
        return chunk

    def forget(self) -> None:
        """Keep nothing any more."""
        self._head = None


def stated_size(target: str | Readable, index: int) -> tuple[int, int] | None:
    """Width and height of a track as the container states them, before FFmpeg corrects them by the first pictures.

    Args:
        target: what `open_container` has opened; its place is kept.
        index: of the track.

    Returns:
        None where that cannot be found out.
    """
    again = io.BytesIO(target.head) if isinstance(target, Recorded) else target
    with (
        suppress(SourceError, OSError, IndexError),
        _kept_place(again),
        open_container(again, "", _HEADERS_ONLY) as container,
    ):
        stream = container.streams[index]
        if isinstance(stream, VideoStream) and stream.width and stream.height:
            return stream.width, stream.height
    return None


@contextmanager
def _kept_place(target: str | Readable) -> Generator[None]:
    """Read a file that can seek from its beginning, and leave it as it was."""
    if isinstance(target, str):
        yield
        return
    file = cast(BinaryIO, target)
    place = file.tell()
    file.seek(0)
    try:
        yield
    finally:
        file.seek(place)


def time_base(stream: Stream) -> Fraction:
    """Seconds per tick of a stream."""
    return Fraction(stream.time_base or Fraction(1, 1000))


def codec_tag(stream: Stream) -> str:
    """A four-character code such as "MJPG"; empty where there is none. Of bytes that are no ASCII, as Latin-1."""
    if not stream.codec_context:  # the stubs know no stream without a decoder; FFmpeg does
        return ""
    try:
        tag = stream.codec_context.codec_tag
    except UnicodeDecodeError as error:
        tag = error.object.decode("latin-1")
    return printable(tag.strip("\x00 "))


def printable(text: str) -> str:
    """Text of a file without what a terminal would obey instead of showing it: escapes, new lines."""
    return "".join(character if character.isprintable() else "?" for character in text)


def describe(
    container: InputContainer,
    track: VideoStream,
    name: str,
    start: Fraction | None,
    duration: Fraction | None,
) -> SourceInfo:
    """What is known before reading, as far as `start` and `duration`, in seconds, keep it."""
    total = duration_of(container, track)
    kept = kept_duration(total, start, duration)
    fps = _rate(track)
    frames = track.frames or None
    if container.format.name == "avi" and len(track.index_entries) > 1:
        # AVI writes a variable rate as a fast constant one with empty frames; the index lists the real ones.
        ticks = [entry.timestamp for entry in track.index_entries if entry.size]
        frames, span = len(ticks), ticks[-1] - ticks[0] if ticks else 0
        if frames - 1 < span * 9 // 10:
            fps = ((frames - 1) / (span * time_base(track))).limit_denominator(1000)
    if frames is None and total and fps:
        frames = round(total * fps)
    if frames and total and kept is not None:
        frames = round(frames * min(kept / total, 1))
    return SourceInfo(
        name=name,
        kind="container",
        format=container.format.long_name,
        origin="container",
        time_base=time_base(track),
        frames=frames,
        fps=Fraction(fps) if fps else None,
        duration=kept,
        width=_possible(track.width),
        height=_possible(track.height),
        fields=field_layout(track),
        sample_aspect=sample_aspect(track),
        codec_tag=codec_tag(track),
        metadata=MappingProxyType(dict(container.metadata)),
    )


def _possible(size: int) -> int | None:
    """Pixels as stated, unless no JPEG can be so large."""
    return size if 0 < size < 1 << 16 else None


def _rate(track: VideoStream) -> Fraction | None:
    """Nominal pictures a second: the average, unless long pauses make it of no use."""
    average, usual = track.average_rate, track.guessed_rate
    return usual if not average or (usual and usual > 2 * average) else average


def duration_of(container: InputContainer, track: VideoStream) -> Fraction | None:
    """Seconds from the first packet on, as the container states them: of the track, else of the whole."""
    if track.duration is not None:
        if container.format.name in _TRACKS_UNSTATED:
            return None
        length = track.duration * time_base(track)
    elif container.duration:
        length = Fraction(container.duration, av.time_base)
    else:
        return None
    begin = Fraction(container.start_time or 0, av.time_base)
    # Most muxers count these from 0, however late the first packet is; those that do not show it by a length too short.
    return length - begin if container.format.name in _COUNTED_FROM_ZERO and length > begin else length


def stated_duration(container: InputContainer, track: VideoStream) -> Fraction | None:
    """Seconds that were once recorded: for a truncated AVI, FFmpeg's duration is what is left."""
    if container.format.name == "avi" and track.frames:
        return track.frames * time_base(track)
    return duration_of(container, track)
