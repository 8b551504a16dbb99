"""What a window shows of a frame: functions of the frame and of what the user has chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.frames import Frame

Mode = Literal["split", "side", "original", "restored"]
"""Left of a line the plain decode, right of it the restored picture; both in full, side by side; one of the two."""

KEYS = (
    ("mouse", "before on the left of it, after on the right"),
    ("s", "side by side"),
    ("o", "the original alone"),
    ("r", "the restored picture alone"),
    ("space", "pause"),
    (".", "pause, and show the next picture"),
    ("i", "hide the figures"),
    ("q, Esc", "quit"),
)
"""What mouse and keys do, in words. A letter that is pressed again undoes what it did."""

STEP = "."
_MODES: dict[str, Mode] = {"s": "side", "o": "original", "r": "restored"}

Pixels = NDArray[np.uint8]
"""BGR, full range, `[height, width, 3]`."""

_LINE = (255, 0)
"""Grey levels of the columns between before and after: a white one and a black one can be seen on any picture."""


@dataclass(frozen=True, slots=True)
class View:
    """What the user has chosen to see."""

    mode: Mode = "split"
    split: float | None = None
    """Where "split" divides the picture, as a share of its width, 0 to 1; None: the restored picture alone."""
    paused: bool = False
    figures: bool = True
    """Whether frame rate and latency are in the corner."""

    def pressed(self, key: str) -> View:
        """The view after a key."""
        if key in _MODES:
            return replace(self, mode="split" if self.mode == _MODES[key] else _MODES[key])
        if key in (" ", STEP):
            return replace(self, paused=key == STEP or not self.paused)
        return replace(self, figures=not self.figures) if key == "i" else self


class FramePixels:
    """The pixels of a frame, each of its two pictures converted once, and only if it is seen."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    @cached_property
    def restored(self) -> Pixels:
        """The restored picture."""
        return self._frame.picture.to_ndarray("bgr")

    @cached_property
    def original(self) -> Pixels:
        """The plain decode; the restored picture where the frame has none."""
        return self._frame.original.to_ndarray("bgr") if self._frame.original else self.restored


def compose(pixels: FramePixels, view: View) -> Pixels:
    """What a view shows of a frame; with "side" it is twice as wide. The result is an array of its own."""
    if view.mode == "original":
        return pixels.original.copy()
    if view.mode == "side":
        return np.hstack((pixels.original, pixels.restored))
    if view.mode == "restored" or not view.split:
        return pixels.restored.copy()
    if view.split >= 1:
        return pixels.original.copy()
    return _divided(pixels, view.split)


def caption(view: View, figures: str) -> str:
    """The line of text in the corner; empty where the user wants none."""
    mode = view.mode if view.mode in ("original", "restored") else ""  # they look alike
    return "  ".join(filter(None, (mode, "paused" if view.paused else "", figures))) if view.figures else ""


def _divided(pixels: FramePixels, share: float) -> Pixels:
    shown = pixels.restored.copy()
    column = round(share * shown.shape[1])
    shown[:, :column] = pixels.original[:, :column]
    line = shown[:, column : column + len(_LINE)]
    line[:] = np.array(_LINE, np.uint8)[: line.shape[1], None]
    return shown
