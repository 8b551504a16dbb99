"""The newest frame on the screen, as the user wants to see it."""

from __future__ import annotations

from time import monotonic

from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks.window.meter import Meter
from mjpeg_restore.sinks.window.screen import Screen
from mjpeg_restore.sinks.window.view import FramePixels, View, caption, compose

_REFRESH = 1 / 60
"""Seconds from one drawing to the next at least: screens show hardly more."""


class Canvas:
    """Draws what has changed, but not more often than a screen can show it.

    Attributes:
        meter: the figures in the corner.
        drawn: when it was drawn last, `time.monotonic()` seconds.
    """

    def __init__(self, screen: Screen, view: View) -> None:
        self.meter = Meter()
        self.drawn = float("-inf")
        self._screen = screen
        self._view = view
        self._pixels: FramePixels | None = None
        self._due: float | None = None
        self._earliest = self.drawn
        """When it may be drawn again."""
        self._is_new = self._is_stale = False
        """The frame was not drawn yet; something was not drawn yet."""

    def put(self, frame: Frame, due: float | None, *, apart: float = 0.0) -> bool:
        """Take the next frame, and draw it now or with one of the next calls of `refresh`.

        Args:
            frame: takes the place of the one before.
            due: when it would have been drawn without any latency, if that is known.
            apart: seconds from the drawing before to this one at least.

        Returns:
            Whether the frame before was drawn.
        """
        drawn = not self._is_new
        self._pixels, self._due = FramePixels(frame), due
        self._is_new = self._is_stale = True
        self._earliest = max(self._earliest, self.drawn + apart)
        self.refresh()
        return drawn

    def look(self, view: View) -> None:
        """Show that view from the next `refresh` on."""
        self._is_stale = self._is_stale or view != self._view
        self._view = view

    def refresh(self) -> None:
        """Draw what has changed, if it is time.

        Raises:
            SinkError: no window can be opened.
        """
        now = monotonic()
        if self._pixels is None or not self._is_stale or now < self._earliest:
            return
        if self._is_new:
            self.meter.drawn(now, self._due)
        self._screen.draw(compose(self._pixels, self._view), caption(self._view, self.meter.text()))
        self._is_new = self._is_stale = False
        self.drawn = monotonic()
        self._earliest = self.drawn + _REFRESH
