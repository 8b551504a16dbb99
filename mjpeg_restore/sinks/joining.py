"""A video file in parts: each is encoded by itself, and they are joined without encoding again.

A part holds coded pictures as the encoder gave them, in ticks of the whole file's time line, and begins with a key
frame. Joined, they differ from a file that was written in one go in nothing but what the encoder decided: time stamps,
durations, repeated pictures, tags and header are the same.
"""

# PyAV's stubs leave the parameter of Packet open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path

import av
from av.error import FFmpegError
from av.stream import Stream

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Picture, SoundPacket
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import OutputSettings, check_size
from mjpeg_restore.sinks.encoding import Encoding
from mjpeg_restore.sinks.target import cannot_write
from mjpeg_restore.sinks.timing import guess_rate, start_time
from mjpeg_restore.sinks.video import choose_format, open_container, open_timeline
from mjpeg_restore.sinks.writer import VideoWriter
from mjpeg_restore.sound import SoundTrack

_REORDERED = 2
"""So many pictures by themselves are never reordered."""


@dataclass(frozen=True, slots=True)
class CodedVideo:
    """A coded picture of the output; times are in ticks of the file's time line."""

    data: bytes = field(repr=False)
    pts: int
    dts: int
    duration: int
    is_key: bool


class VideoPart:
    """Encodes a part of the pictures of a video file.

    Attributes:
        parameter_sets: see `Encoding.parameter_sets`; those of all parts are the same.
    """

    def __init__(
        self, path: str | os.PathLike[str], settings: OutputSettings, first: Picture, origin: Fraction = Fraction(0)
    ) -> None:
        """Open the encoder.

        Args:
            path: of the whole file, whose extension names the container; nothing is written there.
            settings: of the whole file.
            first: the first picture of the whole file: size, sampling and time; its samples do not matter.
            origin: see `origin_of`.

        Raises:
            SinkError: see `choose_format`, or the encoder refuses the picture.
        """
        format_name, encoder = choose_format(path, settings)
        full_range = encoder.is_full_range(format_name, settings.range)
        first = pixels.convert(first, first.sampling, full_range)
        self._path, self._size, self._name = path, (first.width, first.height), encoder.name
        self._timeline = open_timeline(format_name, encoder, first, settings, origin)
        # The encoder takes some of its settings from the container that it is for.
        self._container = open_container(os.devnull, format_name, self._timeline, settings)
        self._encoding = Encoding(self._container, encoder, first, self._timeline, settings.sample_aspect)
        self._written = 0

    @property
    def parameter_sets(self) -> bytes:
        """What a decoder must know beforehand."""
        return self._encoding.parameter_sets

    @property
    def memory(self) -> str:
        """What the time stamps of the next pictures depend on."""
        return repr(self._timeline.memory)

    @property
    def shown_until(self) -> int | None:
        """See `Timeline.shown_until`."""
        return self._timeline.shown_until

    @property
    def remarks(self) -> list[str]:
        """See `Encoding.remarks`."""
        return self._encoding.remarks

    def pass_over(self, picture: Picture) -> None:
        """Note a picture that comes before the part."""
        self._encoding.pass_over(picture)

    def write(self, picture: Picture) -> list[CodedVideo]:
        """Encode one picture; the coded pictures that are finished, in coding order.

        Raises:
            SinkError: the size changed, or the encoder failed.
        """
        check_size(picture, self._size, self._path)
        self._written += 1
        with _wrapped(self._path, f"encoding by {self._name} failed"):
            return [_coded(packet) for packet in self._encoding.write(picture)]

    def finish(self) -> list[CodedVideo]:
        """Flush the encoder; the last coded pictures."""
        with _wrapped(self._path, f"encoding by {self._name} failed"):
            packets = self._encoding.finish()
            for packet in packets:
                if self._written <= _REORDERED:
                    packet.dts = packet.pts  # x265 leaves it undefined
            return [_coded(packet) for packet in packets]

    def close(self) -> None:
        """Release the encoder."""
        with contextlib.suppress(FFmpegError, OSError, ValueError):
            self._container.close()


def join_video(
    path: str | os.PathLike[str],
    settings: OutputSettings,
    first: Picture,
    parts: Iterable[Sequence[CodedVideo]],
    tracks: Sequence[SoundTrack] = (),
    sound: Iterable[SoundPacket] = (),
    *,
    early: int = 0,
    parameter_sets: bytes = b"",
    shown_until: int | None = None,
) -> str | None:
    """Write a video file of coded parts and of sound.

    Args:
        path: of the file; one that exists is replaced.
        settings: as of each `VideoPart`.
        first: likewise.
        parts: the coded pictures of each, in coding order.
        tracks: tracks of sound.
        sound: their packets, in the order of the source.
        early: how many of them come before the first picture.
        parameter_sets: those of the parts.
        shown_until: of the last part.

    Returns:
        How the sound was changed or lost, in one line; None if it was not.

    Raises:
        SinkError: the file cannot be written, or the parts are of another encoder.
    """
    format_name, encoder = choose_format(path, settings)
    waiting = iter(sound)
    before = [*islice(waiting, early)]
    first = pixels.convert(first, first.sampling, encoder.is_full_range(format_name, settings.range))
    timeline = open_timeline(format_name, encoder, first, settings, origin_of(path, settings, first, before))
    with (
        _wrapped(path, "joining failed"),
        contextlib.closing(open_container(path, format_name, timeline, settings)) as container,
    ):
        writer = VideoWriter(container, encoder, first, timeline, settings.sample_aspect, tracks)
        if writer.parameter_sets != parameter_sets:
            raise SinkError(f"{path}: the parts are of another version of {encoder.name}: remove them")
        coded = ((packet.dts * timeline.time_base, packet) for packet in continuous(parts))
        heard = (((packet.time or Fraction(0)), packet) for packet in chain(before, waiting))
        last: av.Packet[Stream] | None = None
        for _, packet in heapq.merge(coded, heard, key=itemgetter(0)):
            if isinstance(packet, SoundPacket):
                writer.write_sound(packet)
            else:
                if last:
                    writer.write_coded([last])
                last = _to_av(packet, timeline.time_base)
        writer.finish_coded([last] if last else [], shown_until)
        return "; ".join(writer.sound_remarks) or None


def origin_of(
    path: str | os.PathLike[str], settings: OutputSettings, first: Picture, sound: Sequence[SoundPacket]
) -> Fraction:
    """What is subtracted from the times of a file's pictures and sound, in seconds; see `start_time`.

    Args:
        path: of the file.
        settings: of the file.
        first: the first picture.
        sound: the packets before it.
    """
    return start_time(choose_format(path, settings)[0], first, settings.fps or guess_rate(first.time_base), sound)


def continuous(parts: Iterable[Sequence[CodedVideo]]) -> Iterator[CodedVideo]:
    """The coded pictures of all parts, decoding times as from one encoder.

    An encoder that reorders pictures decodes each at the time at which the one that stands `delay` places before it is
    shown. At the beginning of a part it has to guess those times, and where the frame rate varies it guesses wrong.
    What its delay is, is not seen in a part of a few pictures.
    """
    waiting = iter(parts)
    begun: list[Sequence[CodedVideo]] = []
    for part in waiting:
        begun.append(part)
        if len(part) > _REORDERED:
            break
    delay = max(map(_delay, begun), default=0)
    times = sorted(packet.pts for part in begun for packet in part)[: delay + 1]
    too_early = times[delay] - times[0] if len(times) > delay and len(begun) > 1 else None
    shown: list[int] = []
    """Heap of the presentation times that have not been decoding times."""
    for number, packet in enumerate(chain.from_iterable(chain(begun, waiting))):
        heapq.heappush(shown, packet.pts)
        if number >= delay:
            dts = heapq.heappop(shown)
        else:
            dts = packet.dts if too_early is None else times[number] - too_early
        yield replace(packet, dts=dts)


def _delay(part: Sequence[CodedVideo]) -> int:
    """How many pictures are decoded before the first one is shown."""
    start = min((packet.pts for packet in part), default=0)
    return sum(packet.dts < start for packet in part)


def _coded(packet: av.Packet[Stream]) -> CodedVideo:
    pts = packet.pts
    assert pts is not None
    dts = pts if packet.dts is None else packet.dts
    return CodedVideo(bytes(packet), pts, dts, packet.duration or 0, bool(packet.is_keyframe))


def _to_av(packet: CodedVideo, time_base: Fraction) -> av.Packet[Stream]:
    made: av.Packet[Stream] = av.Packet(packet.data)
    made.time_base = time_base
    made.pts, made.dts, made.duration, made.is_keyframe = packet.pts, packet.dts, packet.duration, packet.is_key
    return made


@contextlib.contextmanager
def _wrapped(path: str | os.PathLike[str], what: str) -> Generator[None]:
    try:
        yield
    except (FFmpegError, OSError, ValueError, OverflowError) as error:  # the last two: numbers out of range
        raise cannot_write(Path(path), f"{os.fspath(path)}: {what}", error) from error
