"""A window that plays the pictures by their time stamps, through OpenCV."""

from __future__ import annotations

import importlib
import time
from contextlib import suppress
from fractions import Fraction
from typing import Any

from mjpeg_restore.errors import MissingExtra, SinkError
from mjpeg_restore.frames import Frame, Picture
from mjpeg_restore.sinks.base import BaseSink

_QUIT = frozenset({ord("q"), ord("Q"), 27})
_PAUSE = ord(" ")

_MAX_LAG = 0.5
"""Seconds. A picture that is later restarts the playback clock, so that a stall is not followed by a rush."""


class Window(BaseSink):
    """A window paced by the time stamps. The keys q and Esc and the close button shut it, the space bar pauses.

    `closed` is True once the window is shut; further pictures are ignored.
    """

    interactive = True

    def __init__(self, title: str = "mjpeg-restore") -> None:
        """Load OpenCV; the window opens with the first picture.

        Raises:
            MissingExtra: OpenCV is not installed.
        """
        try:
            self._cv2: Any = importlib.import_module("cv2")
        except ImportError as error:
            raise MissingExtra("opencv-python", "show", "showing a window") from error
        self._title = title
        self._start: float | None = None
        self._first = Fraction(0)

    def write(self, frame: Frame) -> None:
        """Wait until the picture is due, then show it; do nothing once `closed` is True.

        Raises:
            SinkError: no window can be opened here.
        """
        if self.closed:
            return
        picture = frame.picture
        pixels = picture.to_ndarray("bgr")
        try:
            self._wait_until_due(picture)
            if self.closed:
                return
            if self._start is None:
                self._cv2.namedWindow(self._title, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)
                self._cv2.resizeWindow(self._title, picture.width, picture.height)
                self._start, self._first = time.monotonic(), picture.time
            self._cv2.imshow(self._title, pixels)
            self._handle_events(1)
        except self._cv2.error as error:
            message = "no window can be opened here: is there a display? write a file instead"
            raise SinkError(message) from error

    def idle(self) -> None:
        """Act on keys and on the close button."""
        if self._start is not None:
            self._handle_events(1)

    def close(self) -> None:
        """Shut the window."""
        if self._start is not None:
            self._start = None
            with suppress(self._cv2.error):  # the display has gone, and the window with it
                self._cv2.destroyWindow(self._title)
        self.closed = True

    def discard(self) -> None:
        """Shut the window."""
        self.close()

    def _wait_until_due(self, picture: Picture) -> None:
        while self._start is not None and not self.closed:
            left = self._start + float(picture.time - self._first) - time.monotonic()
            if left < -_MAX_LAG:
                self._start -= left
            if left <= 0.001:
                return
            self._handle_events(min(int(left * 1000), 50))

    def _handle_events(self, milliseconds: int) -> None:
        """Let OpenCV draw and wait for a key; act on the key and on the close button."""
        key = self._cv2.waitKey(milliseconds) & 0xFF
        if key == _PAUSE:
            paused = time.monotonic()
            key = -1
            while key not in {_PAUSE, *_QUIT} and self._is_visible():
                key = self._cv2.waitKey(50) & 0xFF
            if self._start is not None:
                self._start += time.monotonic() - paused
        if key in _QUIT or not self._is_visible():
            self.close()

    def _is_visible(self) -> bool:
        try:
            return self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1
        except self._cv2.error:  # some of OpenCV's backends raise for a window that has been shut
            return False
