"""What every source offers: packets in order, what is known of them beforehand, and the sound beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Protocol, Self

import av
from av.audio.stream import AudioStream
from av.stream import Stream

from mjpeg_restore.frames import FieldLayout, Packet
from mjpeg_restore.sources.timing import Window

Kind = Literal["container", "stream", "stills"]
"""Packets of a demuxer; JPEGs one after the other in one run of bytes; one file a picture."""

TimeOrigin = Literal["container", "assumed", "file order"]
"""Where time stamps come from (quirk T1): copied exactly from a container; the picture's number divided by a
frame rate that the stream itself does not state; the same, in the order of the files' names."""


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A track of a container, as far as it is worth telling; cover pictures are none."""

    kind: Literal["video", "sound"]
    number: int | None
    """What chooses it, from 1 among the tracks of Motion-JPEG or among those of sound; None for other video."""
    codec: str
    """In words, or FFmpeg's name."""
    format: str = ""
    """"160x112" or "8000 Hz mono"; empty where that is not known."""
    language: str = ""
    title: str = ""
    chosen: bool = False
    """True: its packets are delivered."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before it is read; estimates serve for progress, never for decisions."""

    name: str
    """How messages call it: the path as it was given, or "standard input"."""
    kind: Kind
    format: str
    """In words: "AVI (Audio Video Interleaved)", "JPEG stream", "folder", ..."""
    origin: TimeOrigin
    """Where the time stamps come from."""
    time_base: Fraction
    """Seconds per unit of the packets' `pts`."""
    frames: int | None = None
    """Estimated number of packets that will come, or None."""
    fps: Fraction | None = None
    """Nominal frames per second; the time stamps may vary around it."""
    duration: Fraction | None = None
    """Estimated length in seconds of what will come, or None."""
    width: int | None = None
    """Pixels across as the container says; each picture's own header decides."""
    height: int | None = None
    """Pixels down as the container says; about twice a picture's own where it holds one field (quirk S6)."""
    fields: FieldLayout | None = None
    """How two fields lie in the track, where the container says so; a picture's own markers take precedence."""
    rotation: int = 0
    """Degrees, 0, 90, 180 or 270 anticlockwise, by which pictures are to be turned to stand upright."""
    sample_aspect: Fraction = Fraction(1)
    """Width of a sample over its height, as it is to be shown: 16/15 in a PAL recording of 720x576."""
    codec_tag: str = ""
    """The container's four-character code, as "MJPG"; empty where there is none."""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Title, creation time and so on, as the container holds them; what is not UTF-8 has U+FFFD in its place."""
    tracks: tuple[TrackInfo, ...] = ()
    """All tracks of a container; empty where there is no container."""


def _no_packets() -> deque[av.Packet[Stream]]:
    return deque()


@dataclass(slots=True)
class AudioTrack:
    """A track of sound of a source, ready to be copied.

    Set `enabled` before iterating. The source then appends each audio packet to `packets` as the demuxing
    meets it, its time already cut and shifted like that of the pictures. The consumer takes them with
    `packets.popleft()`, from any one thread, as pictures are written and once more after the last. Nothing
    is kept while `enabled` is False: memory cannot grow behind a consumer that wants no sound.
    """

    stream: AudioStream
    """Template for a stream copy; valid until the source is closed."""
    metadata: Mapping[str, str]
    """Language, title and so on of the track."""
    enabled: bool = False
    packets: deque[av.Packet[Stream]] = field(default_factory=_no_packets)

    def keep(self, packet: av.Packet[Stream], window: Window) -> None:
        """Append a packet if sound is wanted and `window`, in the packet's own time base, holds it."""
        pts = packet.pts if packet.pts is not None else packet.dts
        if not self.enabled or packet.size == 0:
            return
        if pts is not None and not window.holds(pts):
            return
        if packet.pts is not None:
            packet.pts -= window.shift
        if packet.dts is not None:
            packet.dts -= window.shift
        self.packets.append(packet)


class Source(Protocol):
    """Where packets come from. It is iterated once, and closed by the thread that iterated it.

    Iterating yields each coded picture, numbered from 0 as they come, with strictly increasing `pts`.
    A source that breaks off ends the iteration with what could be read and says so in `truncated`.

    Raises:
        SourceError: while iterating, if there is not one picture to yield.
    """

    @property
    def info(self) -> SourceInfo:
        """What is known before reading."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are read, as far as they have names: an output must not replace them."""
        ...

    @property
    def sound(self) -> tuple[AudioTrack, ...]:
        """The tracks of sound that were chosen, in the container's order; empty where there are none."""
        ...

    @property
    def truncated(self) -> str | None:
        """After the iteration: how the source broke off, as one sentence; None if it did not."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """After the iteration: what else a user should know, a sentence each, such as a track that is left out."""
        ...

    def __iter__(self) -> Iterator[Packet]:
        """Yield the coded pictures."""
        ...

    def stop(self) -> None:
        """End the iteration after the picture at hand, even while it waits for more; from any thread."""
        ...

    def close(self) -> None:
        """Give back what is held; may be called again."""
        ...

    def __enter__(self) -> Self:
        """Return the source itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        ...


class BaseSource(ABC):
    """Base of sources: context manager, stop flag, and defaults for what few sources have.

    Attributes:
        info: set by each source; see `Source`.
        stopped: True once `stop` was called; sources check it before each read.
        paths, sound, truncated, remarks: see `Source`.
    """

    info: SourceInfo
    stopped = False
    paths: tuple[Path, ...] = ()
    sound: tuple[AudioTrack, ...] = ()
    truncated: str | None = None
    remarks: Sequence[str] = ()

    @abstractmethod
    def __iter__(self) -> Iterator[Packet]:
        """Yield the coded pictures; see `Source`."""

    def stop(self) -> None:
        """End the iteration after the picture at hand; from any thread."""
        self.stopped = True

    def close(self) -> None:  # noqa: B027  most sources hold nothing
        """Release files and memory; may be called again."""

    def __enter__(self) -> Self:
        """Return the source itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()
