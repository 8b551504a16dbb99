"""What is measured of a clip at a quality."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MARKS = (2, 4, 8, 16)
"""Numbers of the frames, from 1, whose gains are shown; and the last one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A clip after one of the networks, encoded at each of `storage.CRFS`."""

    network: str
    codec: str
    """"h264" or "hevc"."""
    bytes: list[int]
    psnr: list[float]
    """Mean PSNR of luma, of the encoded clip and the truth, dB."""


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one clip at one quality. Gains are over the model that is compared with, in dB."""

    clip: str
    kind: str
    quality: int
    frames: int
    size: str
    """Width and height, "640x480"."""
    noise: float | None
    """Standard deviation in luma of the noise that was added; None where the truth has noise of its own."""
    held_out: bool
    """False: the model was trained with the clip."""
    luma: dict[str, float]
    """Mean PSNR of luma by network, dB."""
    rgb: dict[str, float]
    luma_gains: list[float]
    """Of PSNR of luma, by frame."""
    rgb_gains: list[float]
    ssim_gains: dict[str, float]
    """Of SSIM of luma, by the number of the frame."""
    static: float
    """Share of the picture in which the truth does not change, in the second half of the clip."""
    flicker: dict[str, float] | None
    """Temporal deviation of luma there by network, and of the "truth", grey levels; None if nothing is static."""
    unrest: dict[str, float] | None
    """How much luma differs there from one frame to the next, likewise; see `metrics.unrest`."""
    uncovered: float | None
    """Gain in blocks that an object covered in one of the last two frames; None where there is no object."""
    computed: float
    """Mean share of a frame that the model's network computed, from the second frame on."""
    outside: dict[str, int]
    """Coefficients outside their quantisation cell, by network that promises none."""
    speed: dict[str, float] | None
    """Frames per second by network; None if not measured."""
    encoded: list[Curve] | None
    """None if not measured."""

    @property
    def mean(self) -> float:
        """Mean gain of luma."""
        return float(np.mean(self.luma_gains))

    @property
    def rgb_mean(self) -> float:
        """Mean gain of RGB."""
        return float(np.mean(self.rgb_gains))

    @property
    def worst(self) -> float:
        """Smallest gain of luma of a frame."""
        return min(self.luma_gains)

    @property
    def worst_frame(self) -> int:
        """Number of that frame, from 1."""
        return 1 + self.luma_gains.index(self.worst)

    @property
    def later(self) -> float | None:
        """Mean gain of luma after the last of `MARKS`; None if the clip has no more frames."""
        return float(np.mean(self.luma_gains[MARKS[-1] :])) if self.frames > MARKS[-1] else None

    def at(self, number: int) -> float | None:
        """Gain of luma of a frame, from 1; None for one that the clip has not."""
        return self.luma_gains[number - 1] if number <= self.frames else None

    def as_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return asdict(self)

    @classmethod
    def parse(cls, found: dict[str, Any]) -> Row:
        """The row that JSON holds.

        Raises:
            LookupError, TypeError: it has other fields.
        """
        curves = found["encoded"]
        known: dict[str, Any] = {**found, "encoded": curves and [Curve(**one) for one in curves]}
        return cls(**known)


def marks(frames: int) -> list[int]:
    """Numbers of the frames of a clip whose gains are shown."""
    return [number for number in MARKS if number < frames] + [frames]
