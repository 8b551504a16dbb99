"""The window as a sink: what time stamps, keys and mouse do to the frames that come."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from threading import Event
from time import monotonic

from mjpeg_restore.clock import PlaybackClock
from mjpeg_restore.compare import Comparison
from mjpeg_restore.frames import Frame, Picture
from mjpeg_restore.sinks.base import BaseSink
from mjpeg_restore.sinks.window.canvas import Canvas
from mjpeg_restore.sinks.window.screen import Screen
from mjpeg_restore.sinks.window.view import STEP, View

_QUIT = ("q", "\x1b")

_SLICE = 0.01
"""Seconds between two looks at the mouse, which the line between before and after follows."""
_SOON = 0.001
"""Seconds that are not waited for: OpenCV waits for whole milliseconds."""


class Window(BaseSink):
    """A window that shows before and after; `closed` is True once the user has shut it. `view.KEYS` lists its keys.

    A paced window plays by the time stamps: `write` waits until the picture is due. Late pictures are drawn no faster
    than they should follow each other, and the others dropped. A window that is not paced shows pictures as they come,
    and of those that come faster than a screen shows them the newest. While the user pauses it, `write` waits.
    """

    interactive = True
    original = True
    """Always, so that a picture on which the user pauses can be compared at once. At 640x480 the plain decode takes
    0.4 ms, and the fastest network 8 ms."""

    def __init__(
        self,
        title: str = "mjpeg-restore",
        *,
        paced: bool = True,
        compare: Comparison | None = None,
        stop: Event | None = None,
    ) -> None:
        """Load OpenCV; the window opens with the first picture.

        Args:
            title: of the window.
            paced: play by the time stamps; False for cameras, and where other sinks set the pace.
            compare: how it begins: "side" by side, "split" in the middle, or with the restored picture alone. Once the
                mouse moves over the picture, it is split there.
            stop: ends all waiting, for a picture's time and for the end of a pause; see `run`.

        Raises:
            MissingExtra: OpenCV is not installed, or is a build without windows.
            RuntimeUnavailable: OpenCV cannot be loaded.
            SinkError: no window can be opened here.
        """
        self._screen = Screen(title, self._point)
        self._view = View("side" if compare == "side" else "split", 0.5 if compare == "split" else None)
        self._canvas = Canvas(self._screen, self._view)
        self._clock = PlaybackClock() if paced else None
        self._stop = stop or Event()
        self._step = False
        """The next picture is shown although the window is paused."""
        self._count = 0
        self._time = Fraction(0)
        """Time stamp of the latest picture, seconds."""
        self._interval = 0.0
        """Seconds between the time stamps of the latest two."""

    def write(self, frame: Frame) -> None:
        """Wait until the picture is due, then show it; do nothing once `closed` is True.

        Raises:
            SinkError: no window can be opened here.
        """
        due = self._await_turn(frame.picture)
        if self.closed:
            return
        self._interval = float(frame.picture.time - self._time) if self._count else 0.0
        self._time = frame.picture.time
        self._count += 1
        late = due is not None and monotonic() - due > self._interval
        drawn = self._canvas.put(frame, frame.arrived if due is None else due, apart=self._interval if late else 0.0)
        if self._clock and not drawn:
            self._canvas.meter.dropped += 1
        self._serve(0)

    def idle(self) -> None:
        """Act on keys, mouse and close button, and show what is not shown yet."""
        if self._screen.is_open:
            self._serve(0)

    def close(self) -> None:
        """Shut the window, after the last picture of a paced one was shown for as long as the one before.

        A picture that is the only one, as a photo is, or on which the user has paused, stays until the user ends it.
        """
        until = self._canvas.drawn + self._interval
        while self._clock and not self._over and (self._view.paused or self._count == 1 or monotonic() < until):
            self._serve(_SLICE)
        self._shut()

    def discard(self) -> None:
        """Shut the window."""
        self._shut()

    @property
    def _over(self) -> bool:
        return self.closed or self._stop.is_set()

    def _shut(self) -> None:
        self.closed = True
        self._screen.close()

    def _await_turn(self, picture: Picture) -> float | None:
        """Serve the events until a picture is to be shown.

        Returns:
            When it was due, by the wall clock; None where it is shown at no special time.
        """
        while not self._over:
            wait = _SLICE
            if self._step:
                self._step = False
                return None
            if not self._view.paused:
                if self._clock is None:
                    return None
                now = monotonic()
                left = self._clock.left(picture.time, now)
                if left <= _SOON:
                    return now + left
                wait = min(left, _SLICE)
            self._serve(wait)
        return None

    def _serve(self, seconds: float) -> None:
        """Let OpenCV paint and take events for so long; act on them."""
        self._canvas.refresh()
        key = self._screen.poll(seconds)
        if key in _QUIT or not self._screen.is_open:
            self._shut()
            return
        if key:
            self._press(key)
        self._canvas.refresh()

    def _press(self, key: str) -> None:
        view = self._view.pressed(key)
        self._step = self._step or key == STEP
        if view.paused != self._view.paused or key == STEP:
            self._canvas.meter.restart()
            if self._clock:
                self._clock.restart()  # what comes next is on time
        self._look(view)

    def _point(self, share: float) -> None:
        """The mouse is over the picture, at that share of its width."""
        if self._view.mode == "split":
            self._look(replace(self._view, split=share))

    def _look(self, view: View) -> None:
        self._view = view
        self._canvas.look(view)
