"""The protocol of sinks, the settings of outputs, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Literal, Protocol, get_args

from mjpeg_restore.errors import Hint, OutputExists, SinkError, reason_of
from mjpeg_restore.frames import Frame, Picture, SoundPacket
from mjpeg_restore.locks import hold
from mjpeg_restore.sinks.target import cannot_write, kind_of, linked, part_name

_RENAMES_OPEN_FILES = os.name != "nt"

Range = Literal["full", "limited"]
ImageFormat = Literal["png", "jpeg"]
PixelFormat = Literal["yuv420p", "gray", "rgb24", "bgr24"]


class Sink(Protocol):
    """Where frames go: `write` for each in order of presentation, then `close` or `discard`.

    All these calls come from one thread: `run`'s own, or that of the sink's outlet.
    """

    @property
    def fixed_size(self) -> bool:
        """True where every picture must have the first one's size; the pipeline then scales (quirk B2)."""
        ...

    @property
    def sound(self) -> bool:
        """True where `write_sound` is to be called."""
        ...

    @property
    def original(self) -> bool:
        """True where frames are to hold the plain decode, too. It may change: it is read for each picture, from any
        thread."""
        ...

    @property
    def interactive(self) -> bool:
        """True where the calls must come from the thread that called `run`, as those to a window, and where `idle` is
        to be called while no frame comes."""
        ...

    @property
    def instant(self) -> bool:
        """True where `write` never waits and hardly computes: it needs no thread of its own."""
        ...

    @property
    def lost(self) -> int:
        """Frames that it took and could not deliver, as while a server was away."""
        ...

    @property
    def closed(self) -> bool:
        """True once the consumer has disconnected (window shut, pipe closed): nothing more is written to it, and it is
        closed without an error."""
        ...

    @property
    def remark(self) -> str | None:
        """One line about something unexpected in the output, such as missing sound; None if there is nothing."""
        ...

    def write(self, frame: Frame) -> None:
        """Write one frame.

        Raises:
            SinkError: the output cannot be written; `discard` is called next.
        """
        ...

    def write_sound(self, packet: SoundPacket) -> None:
        """Write the sound that stands before the next picture, or after the last one.

        Raises:
            SinkError: as for `write`.
        """
        ...

    def idle(self) -> None:
        """Serve the events of an interactive sink, for a few milliseconds."""
        ...

    def close(self) -> None:
        """Finish the output and give it its final name. A second call does nothing.

        Raises:
            SinkError: the output cannot be finished; it is discarded.
        """
        ...

    def discard(self) -> None:
        """Abandon the output after an error. Never raises.

        No incomplete file gets the final name, with one exception: a recording of a live source cannot be repeated, so
        it keeps its name, and ends with what is whole.
        """
        ...


class BaseSink(ABC):
    """Base of sinks: defaults for everything but `write`.

    Attributes:
        fixed_size, sound, original, interactive, instant, lost, closed, remark: see `Sink`; a sink sets what differs.
    """

    fixed_size: bool = False
    sound: bool = False
    original: bool = False
    interactive: bool = False
    instant: bool = False
    lost: int = 0
    closed: bool = False
    remark: str | None = None

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Write one frame; see `Sink`."""

    def write_sound(self, packet: SoundPacket) -> None:  # noqa: B027  most sinks take none
        """Write sound; see `Sink`."""

    def idle(self) -> None:  # noqa: B027  most sinks have no events
        """Serve events; see `Sink`."""

    def close(self) -> None:  # noqa: B027  some sinks have nothing to finish
        """Finish the output; see `Sink`."""

    def discard(self) -> None:  # noqa: B027  some sinks have nothing to remove
        """Abandon the output after an error; see `Sink`."""


@dataclass(frozen=True, slots=True)
class SegmentLimit:
    """When a recording goes on in a new file. With both limits, the one that is reached first counts."""

    seconds: Fraction | float | None = None
    """Video time from the first picture of a file to the first one of the next."""
    size: int | None = None
    """Bytes of a file. It is exceeded by what encoder and container still hold back: less than a second in a live
    recording, up to five seconds else."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: there is no limit, or one that is not positive.
        """
        limits = [limit for limit in (self.seconds, self.size) if limit is not None]
        if not limits or min(limits) <= 0:
            raise ValueError(f"seconds {self.seconds}, size {self.size}: more than 0, and at least one of them")


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """The user's choices for an output; each sink uses the ones that apply to it.

    The encoder judges `codec`, `crf`, `preset` and `options`: a wrong value is a `SinkError` where the output is
    opened, or with its first picture.
    """

    codec: str | None = None
    """h264, hevc, av1, vp9, ffv1, mjpeg, or FFmpeg's name of an encoder; None: vp9 in WebM, else h264. The encoder
    of av1, libsvtav1, takes no live video and no narrow pictures, and may fail now and then."""
    crf: float | None = None
    """Constant quality on the encoder's own scale, lower is better; None: visually lossless."""
    preset: str | None = None
    """The encoder's own name for a trade-off of speed against size; None: fast enough for real time."""
    range: Range = "full"
    """"full": samples as they are, tagged full; "limited": converted, for players that ignore tags."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options of the encoder, by FFmpeg's names."""
    threads: int | None = None
    """Threads of the encoder; None: as many as it chooses. One is enough for a camera among many."""
    overwrite: bool = False
    """Replace an existing output."""
    fps: Fraction | None = None
    """Nominal frame rate; an int or a float becomes a fraction. Y4m and AVI store no time stamps and have this fixed
    rate; elsewhere it is a hint for rate control and headers."""
    sample_aspect: Fraction = Fraction(1)
    """Sample aspect ratio, width over height, of the upright pictures; an int or a float becomes a fraction. Video
    files and y4m store it and leave the samples unscaled."""
    image_format: ImageFormat = "png"
    """Format of the files in a folder of pictures; a pattern such as `%06d.jpg` names its own."""
    pixel_format: PixelFormat = "yuv420p"
    """Of raw pictures, by FFmpeg's names: three planes, luma alone, or three interleaved bytes a pixel, whose range is
    full."""
    live: bool = False
    """The source is live: a video or y4m file gets its name at once, and stays playable if the program is killed."""
    reproducible: bool = False
    """Equal pictures give equal files: Matroska and WebM, which number their tracks by chance, do without."""
    segment: SegmentLimit | None = None
    """Divide a video file into segments; None: one file."""
    new_file_on_resize: bool = False
    """Begin a new video file if the size or chroma subsampling of the pictures changes; False: all pictures get the
    first one's."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: an unknown range or format, fewer than one thread, or a frame rate or an aspect that is not
                a positive number.
        """
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads {self.threads}: one or more")
        for name, kind in (("range", Range), ("image_format", ImageFormat), ("pixel_format", PixelFormat)):
            if getattr(self, name) not in (known := get_args(kind)):
                raise ValueError(f"{name} {getattr(self, name)!r}: there are {', '.join(known)}")
        if self.fps is not None:
            object.__setattr__(self, "fps", _positive("fps", self.fps))
        object.__setattr__(self, "sample_aspect", _positive("sample_aspect", self.sample_aspect))


def _positive(name: str, number: Fraction | float) -> Fraction:
    """A setting as a fraction; of a float the nearest one that video files can hold.

    Raises:
        ValueError: it is no number, or none above 0.
    """
    try:
        fraction = Fraction(str(number)).limit_denominator(100_000) if isinstance(number, float) else Fraction(number)
    except (TypeError, ValueError):
        raise ValueError(f"{name} {number!r}: a number") from None
    if fraction <= 0:
        raise ValueError(f"{name} {number}: more than 0")
    return fraction


def check_size(picture: Picture, size: tuple[int, int], target: object) -> None:
    """Check that a picture has the output's size, (width, height).

    Raises:
        SinkError: it has another size.
    """
    if (picture.width, picture.height) != size:
        found = f"{picture.width}x{picture.height}"
        raise SinkError(f"{target}: picture {picture.index} is {found}, the first was {size[0]}x{size[1]}: resize it")


class PartFile:
    """An output that is written under a temporary name beside its target and renamed once it is complete.

    Attributes:
        target: the final name, as it was given.
        final: the file of that name: where `target` is a symbolic link, what it leads to.
        path: the present name: before `commit` that of `part_name` in the folder of `final`. The file exists from the
            start, and nobody else can write it. One that is neither committed nor discarded, and empty, is removed
            with this object, where the system removes open files.
        committed: True once the file has its final name.
    """

    def __init__(self, target: str | os.PathLike[str], overwrite: bool, *, live: bool = False) -> None:
        """Check the target and create the temporary file.

        Args:
            target: the final name.
            overwrite: allow a target that exists.
            live: `commit` is called while the file is open. On Windows, which cannot rename an open file, it has its
                final name from the start.

        Raises:
            OutputExists: the target exists and `overwrite` is False.
            SinkError: the target is a folder or an invalid name, is being written already, or its folder is missing or
                cannot be written.
        """
        self.target = Path(target)
        found = kind_of(self.target)
        if found == "folder":
            raise SinkError(f"{self.target} is a folder: name a file in it")
        if found == "stream":
            raise SinkError(f"{self.target} is a pipe or a device: give y4m:{self.target}, or raw: or ts: before it")
        if found == "file" and not overwrite:
            raise OutputExists(f"{self.target} exists", Hint("{overwrite} replaces it", overwrite=True))
        self.committed, self._overwrite = False, overwrite
        in_place = live and not _RENAMES_OPEN_FILES
        self.final = linked(self.target)
        self.path = self.final if in_place else part_name(self.final)
        self._keeps = in_place and found == "file"
        self._held: list[int] = []
        """The file's descriptor, as long as nobody else may write it."""
        # Ctrl-C may come before the caller holds this object, and could discard it.
        self._finalizer = weakref.finalize(self, _abandon, self.path, self._held, os.getpid())
        if self._keeps:
            self._finalizer.detach()
        try:
            descriptor = hold(self.path)
            self._held += [] if descriptor is None else [descriptor]
        except BlockingIOError as error:
            self._finalizer.detach()
            raise SinkError(f"{self.target} is being written already: wait, or choose another name") from error
        except OSError as error:
            self._finalizer.detach()
            what = f"cannot write to {self.final.parent}"
            if isinstance(error, FileNotFoundError):
                raise SinkError(f"{what} ({reason_of(error)}): create it or choose another") from error
            raise cannot_write(self.final, what, error) from error

    def commit(self) -> None:
        """Rename the temporary file to the target. A second call does nothing.

        Raises:
            SinkError: the rename failed, and the temporary file is removed; or something of that name has appeared
                meanwhile that may not be replaced, and the file has another name, `NAME-2.EXTENSION`.
        """
        if self.committed:
            return
        if self.path != self.final and not self._overwrite and os.path.lexists(self.final):
            self._keep_both()
            raise SinkError(f"{self.target} has appeared meanwhile, and is kept: the new one is {self.path}")
        try:
            if self.path != self.final:
                os.replace(self.path, self.final)
        except OSError as error:
            self.discard()
            raise cannot_write(self.target, f"cannot rename the file to {self.target}", error) from error
        self.path, self.committed = self.final, True
        self._release()

    def size(self) -> int:
        """Bytes in the file.

        Raises:
            SinkError: the file was removed, or its folder is gone.
        """
        try:
            return self.path.stat().st_size
        except OSError as error:
            reason = reason_of(error)
            raise SinkError(
                f"{self.target} is gone while it is written ({reason}): was it moved or deleted?"
            ) from error

    def truncate(self, size: int) -> None:
        """Cut the file off after `size` bytes, as far as the system allows it."""
        with contextlib.suppress(OSError):
            os.truncate(self.path, size)

    def discard(self) -> None:
        """Remove the temporary file; the target is untouched, and a file that has its final name stays."""
        if not self.committed and not self._keeps:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._release()

    def _keep_both(self) -> None:
        """Give the file another name than its own, which is taken."""
        names = (self.final.with_name(f"{self.final.stem}-{number}{self.final.suffix}") for number in count(2))
        name = next(name for name in names if not os.path.lexists(name))
        with contextlib.suppress(OSError):
            os.rename(self.path, name)
            self.path = name
        self._keeps = True
        self._release()

    def _release(self) -> None:
        """Let others write the file."""
        self._finalizer.detach()
        while self._held:
            os.close(self._held.pop())


def _abandon(path: Path, held: list[int], process: int) -> None:
    """Remove a file that nobody has written to, and let others write it.

    Args:
        path: of the file.
        held: its descriptor, or none.
        process: that created it: a forked one must not remove its parent's file.
    """
    if os.getpid() != process:
        return
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()
    while held:
        os.close(held.pop())
