"""The protocol of sinks, the settings of outputs, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

from mjpeg_restore.errors import Hint, OutputExists, SinkError
from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks.target import kind_of, part_name

Range = Literal["full", "limited"]
ImageFormat = Literal["png", "jpeg"]


class Sink(Protocol):
    """Where pictures go. One thread at a time calls it; pictures come in order of presentation."""

    @property
    def fixed_size(self) -> bool:
        """True where every picture must have the first one's size; the pipeline then scales (quirk B2)."""
        ...

    @property
    def closed(self) -> bool:
        """True once the consumer has disconnected (window shut, pipe closed): the run ends, without an error."""
        ...

    @property
    def remark(self) -> str | None:
        """One line on what the user may not expect of the output, such as missing sound; None if there is nothing."""
        ...

    def write(self, picture: Picture) -> None:
        """Take one picture.

        Raises:
            SinkError: the output cannot be written; call `discard` next.
        """
        ...

    def close(self) -> None:
        """Finish the output properly; only now does it get its final name. A second call does nothing.

        Raises:
            SinkError: the output cannot be finished; what was written of it is removed.
        """
        ...

    def discard(self) -> None:
        """Give up after a fatal error: nothing half-written stays under the final name. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """The choices for an output; each sink uses the ones that concern it."""

    codec: str | None = None
    """h264, hevc, av1, ffv1, mjpeg, or any encoder by FFmpeg's name; None: what suits the container."""
    crf: float | None = None
    """Constant quality in the encoder's own scale, lower is better; None: visually lossless."""
    preset: str | None = None
    """Speed against size, in the encoder's own words; None: fast enough for real time."""
    range: Range = "full"
    """"full": samples as they are, tagged full; "limited": converted, for players that ignore tags."""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further options for the encoder, by FFmpeg's names."""
    overwrite: bool = False
    """Replace an output that exists."""
    fps: Fraction | None = None
    """Nominal frame rate; a hint for rate control and headers, except in y4m and AVI, which hold no times."""
    sample_aspect: Fraction = Fraction(1)
    """Width of a sample over its height, in pictures that were turned upright: written down by video files and y4m,
    which leave the samples as they are."""
    image_format: ImageFormat = "png"
    """Of a folder of pictures, where the target does not say."""


def check_size(picture: Picture, size: tuple[int, int], target: object) -> None:
    """Refuse a picture that is not of the output's size, (width, height).

    Raises:
        SinkError: it is not.
    """
    if (picture.width, picture.height) != size:
        found = f"{picture.width}x{picture.height}"
        raise SinkError(f"{target}: picture {picture.index} is {found}, the first was {size[0]}x{size[1]}: resize it")


class PartFile:
    """An output that is written under a temporary name beside its target and renamed when it is whole.

    Attributes:
        target: the final name.
        path: the temporary name, `.NAME.part.EXTENSION` in the same folder; it exists from the start.
    """

    def __init__(self, target: str | os.PathLike[str], overwrite: bool) -> None:
        """Claim the target.

        Raises:
            OutputExists: the target is there and `overwrite` is False.
            SinkError: the target is a folder, its folder is missing or cannot be written, or its name cannot be.
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
            raise SinkError(f"cannot write to {folder} ({error.strerror}): create it or choose another") from error

    def commit(self) -> None:
        """Give the file its final name.

        Raises:
            SinkError: the rename failed; the temporary file is removed.
        """
        try:
            os.replace(self.path, self.target)
        except OSError as error:
            self.discard()
            raise SinkError(f"cannot rename the finished file to {self.target} ({error.strerror})") from error

    def discard(self) -> None:
        """Remove the temporary file; the target is untouched."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
