"""The protocol of sinks, the settings of outputs, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol, get_args

from mjpeg_restore.errors import Hint, OutputExists, SinkError, reason_of
from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks.target import kind_of, part_name

Range = Literal["full", "limited"]
ImageFormat = Literal["png", "jpeg"]


class Sink(Protocol):
    """Where pictures go: `write` for each picture in order of presentation, then `close` or `discard`.

    The pipeline makes all calls from one thread.
    """

    @property
    def fixed_size(self) -> bool:
        """True where every picture must have the first one's size; the pipeline then scales (quirk B2)."""
        ...

    @property
    def closed(self) -> bool:
        """True once the consumer has disconnected (window shut, pipe closed): the run ends without an error."""
        ...

    @property
    def remark(self) -> str | None:
        """One line about something unexpected in the output, such as missing sound; None if there is nothing."""
        ...

    def write(self, picture: Picture) -> None:
        """Write one picture.

        Raises:
            SinkError: the output cannot be written; the pipeline calls `discard` next.
        """
        ...

    def close(self) -> None:
        """Finish the output and give it its final name. A second call does nothing.

        Raises:
            SinkError: the output cannot be finished; its temporary files are removed.
        """
        ...

    def discard(self) -> None:
        """Abandon the output after an error: no incomplete file keeps the final name. Never raises."""
        ...


class BaseSink(ABC):
    """Base of sinks: defaults for everything but `write`.

    Attributes:
        fixed_size, closed, remark: see `Sink`; a sink sets them where the defaults do not fit.
    """

    fixed_size: bool = False
    closed: bool = False
    remark: str | None = None

    @abstractmethod
    def write(self, picture: Picture) -> None:
        """Write one picture; see `Sink`."""

    def close(self) -> None:  # noqa: B027  some sinks have nothing to finish
        """Finish the output; see `Sink`."""

    def discard(self) -> None:  # noqa: B027  some sinks have nothing to remove
        """Abandon the output after an error; see `Sink`."""


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """The user's choices for an output; each sink uses the ones that apply to it."""

    codec: str | None = None
    """h264, hevc, av1, vp9, ffv1, mjpeg, or FFmpeg's name of an encoder; None: av1 in WebM, else h264."""
    crf: float | None = None
    """Constant quality on the encoder's own scale, lower is better; None: visually lossless."""
    preset: str | None = None
    """The encoder's own name for a trade-off of speed against size; None: fast enough for real time."""
    range: Range = "full"
    """"full": samples as they are, tagged full; "limited": converted, for players that ignore tags."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options of the encoder, by FFmpeg's names."""
    overwrite: bool = False
    """Replace an existing output."""
    fps: Fraction | None = None
    """Nominal frame rate. Y4m and AVI store no time stamps and have this fixed rate; elsewhere it is a hint for rate
    control and headers."""
    sample_aspect: Fraction = Fraction(1)
    """Sample aspect ratio, width over height, of the upright pictures. Video files and y4m store it and leave the
    samples unscaled."""
    image_format: ImageFormat = "png"
    """Format of the files in a folder of pictures; a pattern such as `%06d.jpg` names its own."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: an unknown range or format, or a frame rate or an aspect that is not positive.
        """
        for name, known in (("range", get_args(Range)), ("image_format", get_args(ImageFormat))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: there are {', '.join(known)}")
        if (self.fps is not None and self.fps <= 0) or self.sample_aspect <= 0:
            raise ValueError(f"fps {self.fps}, sample_aspect {self.sample_aspect}: more than 0")


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
        target: the final name.
        path: the temporary name, `.NAME.part.EXTENSION` in the same folder; the file exists from the start.
    """

    def __init__(self, target: str | os.PathLike[str], overwrite: bool) -> None:
        """Check the target and create the temporary file.

        Raises:
            OutputExists: the target exists and `overwrite` is False.
            SinkError: the target is a folder or an invalid name, or its folder is missing or cannot be written.
        """
        self.target = Path(target)
        found = kind_of(self.target)
        if found == "folder":
            raise SinkError(f"{self.target} is a folder: name a file in it")
        if found == "file" and not overwrite:
            raise OutputExists(f"{self.target} exists", Hint("{overwrite} replaces it", overwrite=True))
        self.path = part_name(self.target)
        try:
            self.path.touch()
        except OSError as error:
            folder = self.target.parent
            raise SinkError(f"cannot write to {folder} ({reason_of(error)}): create it or choose another") from error

    def commit(self) -> None:
        """Rename the temporary file to the target.

        Raises:
            SinkError: the rename failed; the temporary file is removed.
        """
        try:
            os.replace(self.path, self.target)
        except OSError as error:
            self.discard()
            raise SinkError(f"cannot rename the finished file to {self.target} ({reason_of(error)})") from error

    def discard(self) -> None:
        """Remove the temporary file; the target is untouched."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
