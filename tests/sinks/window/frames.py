"""Frames whose restored picture is light and whose plain decode is dark."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import Frame, Sampling
from tests.sinks.conftest import flat

LIGHT, DARK = 200, 40


def frame(
    index: int = 0, *, width: int = 16, height: int = 64, time: float | None = None, **more: float | None
) -> Frame:
    """A grey frame at 25 frames per second, or at a time in seconds; `more` of `Frame`'s fields."""
    pts = 40 * index if time is None else round(1000 * time)
    light, dark = (
        flat(width, height, Sampling.GRAY, (grey + index % 40,), index=index, pts=pts, time_base=Fraction(1, 1000))
        for grey in (LIGHT, DARK)
    )
    return Frame(light, dark, more.get("arrived"))


def greys(pixels: NDArray[np.uint8]) -> list[int]:
    """The grey levels of the last line, and of all those below the figures."""
    below = pixels[len(pixels) // 2 :]
    assert np.all(below == pixels[-1:, :, :1])
    return pixels[-1, :, 0].tolist()


def split(column: int, index: int = 0, width: int = 16) -> list[int]:
    """The grey levels of a line of `frame` that is divided at a column."""
    line = [DARK + index] * column + [255, 0] + [LIGHT + index] * width
    return line[:width]
