"""What every source offers: its packets in order, and a description of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Protocol, Self

from mjpeg_restore.frames import FieldLayout, Packet
from mjpeg_restore.sound import SoundTrack

TimeOrigin = Literal["container", "assumed", "file order", "arrival"]
"""Where time stamps come from (quirk T1). "container": copied exactly from the container. "assumed": the number of the
picture divided by a frame rate that the stream does not state. "file order": the same, by the order of the files.
"arrival": stamped on arrival, or by the camera's clock where its stamps are steady."""


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A video or audio track of a container. Cover pictures are not listed."""

    kind: Literal["video", "sound"]
    number: int | None
    """The number that selects it, from 1 among the Motion-JPEG or among the audio tracks; None for other video."""
    codec: str
    """A name such as "H.264", else FFmpeg's name for the codec."""
    format: str = ""
    """"160x112" or "8000 Hz mono"; empty if unknown."""
    language: str = ""
    title: str = ""
    chosen: bool = False
    """True: the source delivers its packets."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before it is read. Estimates are for progress displays, never for decisions."""

    name: str
    """The source's name in messages: the path as it was given, or "standard input"."""
    format: str
    """A name of the format: "AVI (Audio Video Interleaved)", "JPEG stream", "folder", ..."""
    origin: TimeOrigin
    """Where the time stamps come from."""
    time_base: Fraction
    """Seconds per unit of the packets' `pts`."""
    frames: int | None = None
    """Estimated number of packets, or None."""
    live: bool = False
    """True: pictures arrive at their own pace, and those that cannot be restored in time may be dropped."""
    independent: bool = False
    """True: the pictures need have nothing in common, as files in a folder: none is repaired from another one."""
    fps: Fraction | None = None
    """Nominal frames per second; the time stamps may vary around it."""
    duration: Fraction | None = None
    """Estimated length in seconds of the part that is read, or None."""
    width: int | None = None
    """Width in pixels by the container; the header of each picture takes precedence."""
    height: int | None = None
    """Height in pixels by the container; about twice that of a picture that holds one field (quirk S6)."""
    fields: FieldLayout | None = None
    """Field order by the container, if it states one; markers in a picture take precedence."""
    rotation: int = 0
    """Degrees anticlockwise by which a player turns the pictures: 0, 90, 180 or 270."""
    sample_aspect: Fraction = Fraction(1)
    """Sample aspect ratio, width over height: 16/15 in a PAL recording of 720x576."""
    codec_tag: str = ""
    """The container's four-character code, such as "MJPG"; empty if there is none."""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Title, creation time and so on, as the container holds them; invalid UTF-8 is replaced by U+FFFD."""
    tracks: tuple[TrackInfo, ...] = ()
    """All tracks of a container; empty for other sources."""


@dataclass(slots=True)
class LiveStatus:
    """How the connection of a live source fared so far."""

    connected: bool = False
    """Whether pictures are arriving."""
    reconnects: int = 0
    """Times that pictures came again after the connection had ended."""
    stalls: int = 0
    """Times that nothing came for the whole stall timeout."""
    gave_up: bool = False
    """True: the source ended, because nothing came for good."""


class Source(Protocol):
    """What the pipeline needs of a source; `BaseSource` implements all of it but `info` and `__iter__`.

    A source is iterated once, and closed after the iteration has ended. It yields one packet per coded picture; `index`
    counts from 0 and `pts` strictly increases. If the input breaks off, the iteration ends after the last readable
    picture, and `truncated` says so.

    Raises:
        SourceError: while iterating, if there is not a single picture.
    """

    @property
    def info(self) -> SourceInfo:
        """What is known before reading."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are read: an output must not replace them. Empty if they have no names."""
        ...

    @property
    def sound(self) -> tuple[SoundTrack, ...]:
        """The chosen audio tracks, in the container's order; empty if there are none. Their packets come with the
        pictures; see `Packet.sound`."""
        ...

    @property
    def status(self) -> LiveStatus | None:
        """How the connection of a live source fares; None for a recording."""
        ...

    @property
    def truncated(self) -> str | None:
        """After the iteration: how the input broke off, as one sentence; None if it is complete."""
        ...

    @property
    def remarks(self) -> Sequence[str]:
        """After the iteration: anything else that users should know, one sentence each."""
        ...

    def __iter__(self) -> Iterator[Packet]:
        """Yield the coded pictures."""
        ...

    def stop(self) -> None:
        """End the iteration after the current picture, even while it waits for the next one; from any thread."""
        ...

    def close(self) -> None:
        """Release files and memory. More calls do nothing."""
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
    """Base class of sources. A subclass sets `info` and implements `__iter__`; the rest has defaults.

        class Snapshots(BaseSource):
            def __init__(self, jpegs: Sequence[bytes]) -> None:
                self._jpegs = jpegs
                self.info = SourceInfo("snapshots", "list", "assumed", time_base=Fraction(1, 25))

            def __iter__(self) -> Iterator[Packet]:
                for index, data in enumerate(self._jpegs):
                    yield Packet(data, index, pts=index, time_base=self.info.time_base)

    The defaults: no files, no sound, not live, not truncated, no remarks, nothing to close. An `__iter__` that may
    wait, for a camera for instance, checks `stopped` at least every tenth of a second, and returns once it is True.

    Attributes:
        info: what is known before reading; has no default.
        stopped: True once `stop` was called.
        paths, sound, status, truncated, remarks: see `Source`.
    """

    info: SourceInfo
    stopped = False
    paths: tuple[Path, ...] = ()
    sound: tuple[SoundTrack, ...] = ()
    status: LiveStatus | None = None
    truncated: str | None = None
    remarks: Sequence[str] = ()

    @abstractmethod
    def __iter__(self) -> Iterator[Packet]:
        """Yield the coded pictures; see `Source`."""

    def stop(self) -> None:
        """Set `stopped`; a source that waits elsewhere overrides this to end the wait. Called from any thread."""
        self.stopped = True

    def close(self) -> None:  # noqa: B027  most sources hold nothing
        """Release files and memory. More calls do nothing."""

    def __enter__(self) -> Self:
        """Return the source itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()
