"""What a container states about a video track: time base, size, frame rate, duration."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from mjpeg_restore.sources.base import SourceInfo
from mjpeg_restore.sources.presentation import field_layout, sample_aspect
from mjpeg_restore.sources.timing import kept_duration

_END_AS_DURATION = frozenset({"matroska,webm", "nut", "asf"})
"""Formats whose muxers often write the end of the recording, counted from time 0, as its duration."""
_NO_TRACK_DURATION = frozenset({"matroska,webm", "nut"})
"""Formats that state no duration of a track: FFmpeg estimates one by the bit rate of the sound."""


def time_base(stream: Stream) -> Fraction:
    """Seconds per tick of a stream."""
    return Fraction(stream.time_base or Fraction(1, 1000))


def codec_tag(stream: Stream) -> str:
    """The four-character code, such as "MJPG"; bytes that are not ASCII are decoded as Latin-1. Empty if none."""
    if not stream.codec_context:  # None if FFmpeg has no decoder, which PyAV's stubs do not say
        return ""
    try:
        tag = stream.codec_context.codec_tag
    except UnicodeDecodeError as error:
        tag = error.object.decode("latin-1")
    return printable(tag.strip("\x00 "))


def printable(text: str) -> str:
    """Replace what a terminal would interpret, such as escape sequences and new lines, by question marks."""
    return "".join(character if character.isprintable() else "?" for character in text)


def describe(
    container: InputContainer,
    track: VideoStream,
    name: str,
    start: Fraction | None,
    duration: Fraction | None,
) -> SourceInfo:
    """What is known of a track before reading.

    Args:
        container: the opened container.
        track: its video track.
        name: the source's name in messages.
        start: seconds that are skipped.
        duration: seconds that are kept.
    """
    total = duration_of(container, track)
    kept = kept_duration(total, start, duration)
    frames, fps = _frames_and_rate(container, track)
    if frames is None and total and fps:
        frames = round(total * fps)
    if frames and total and kept is not None:
        frames = round(frames * min(kept / total, 1))
    return SourceInfo(
        name=name,
        format=container.format.long_name,
        origin="container",
        time_base=time_base(track),
        frames=frames,
        fps=Fraction(fps) if fps else None,
        duration=kept,
        width=_possible_size(track.width),
        height=_possible_size(track.height),
        fields=field_layout(track),
        sample_aspect=sample_aspect(track),
        codec_tag=codec_tag(track),
        metadata=MappingProxyType(dict(container.metadata)),
    )


def _frames_and_rate(container: InputContainer, track: VideoStream) -> tuple[int | None, Fraction | None]:
    """The stated number of pictures, and nominal pictures per second."""
    average, guessed = track.average_rate, track.guessed_rate
    # Long pauses make the average meaningless.
    fps = guessed if not average or (guessed and guessed > 2 * average) else average
    frames = track.frames or None
    if container.format.name == "avi" and len(track.index_entries) > 1:
        # AVI stores a variable rate as a high constant one with empty frames; the index lists the real ones.
        ticks = [entry.timestamp for entry in track.index_entries if entry.size]
        frames, span = len(ticks), ticks[-1] - ticks[0] if ticks else 0
        if frames - 1 < span * 9 // 10:
            fps = ((frames - 1) / (span * time_base(track))).limit_denominator(1000)
    return frames, fps


def _possible_size(pixels: int) -> int | None:
    """A width or height, or None if no JPEG can have it."""
    return pixels if 0 < pixels < 1 << 16 else None


def duration_of(container: InputContainer, track: VideoStream) -> Fraction | None:
    """Seconds from the first packet on: the stated duration of the track, else of the container, else None."""
    if track.duration is not None:
        if container.format.name in _NO_TRACK_DURATION:
            return None
        length = track.duration * time_base(track)
    elif container.duration:
        length = Fraction(container.duration, av.time_base)
    else:
        return None
    begin = Fraction(container.start_time or 0, av.time_base)
    # Not every muxer does it: a length shorter than the start time is a true duration.
    return length - begin if container.format.name in _END_AS_DURATION and length > begin else length


def recorded_duration(container: InputContainer, track: VideoStream) -> Fraction | None:
    """Seconds that were recorded by the header. Of a truncated AVI, `duration_of` gives only what is left."""
    if container.format.name == "avi" and track.frames:
        return track.frames * time_base(track)
    return duration_of(container, track)
