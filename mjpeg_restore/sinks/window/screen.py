"""OpenCV's window: it draws pixels and says what keys and mouse do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable, SinkError, reason_of
from mjpeg_restore.sinks.window.display import XServer, why_none
from mjpeg_restore.sinks.window.view import Pixels

_LARGEST = (1600, 900)
"""Width and height up to which a window opens. OpenCV does not know the screen, and the user can enlarge it."""
_TEXT = 1 / 32
"""Height of the text's letters, as a share of the picture's."""
_SMALLEST_TEXT = 9
"""Pixels."""


class Screen:
    """A window that opens with the first picture. All calls must come from one thread, in macOS the program's first."""

    def __init__(self, title: str, pointed: Callable[[float], None]) -> None:
        """Load OpenCV.

        Args:
            title: of the window; OpenCV knows it by it.
            pointed: called where the mouse moves over the picture, with its column as a share of the width, 0 to 1.

        Raises:
            MissingExtra: OpenCV is not installed, or is a build without windows.
            RuntimeUnavailable: OpenCV cannot be loaded.
            SinkError: there is no display.
        """
        try:
            self._cv2: Any = importlib.import_module("cv2")
        except ModuleNotFoundError as error:
            raise MissingExtra("opencv-python", "show", "showing a window") from error
        except ImportError as error:
            raise RuntimeUnavailable(f"OpenCV cannot be loaded: {reason_of(error)}") from error
        framework = getattr(self._cv2, "currentUIFramework", None)  # unknown to older versions
        if framework and not framework():
            raise MissingExtra("opencv-python", "show", "showing a window, which opencv-python-headless cannot,")
        if reason := why_none(Path(self._cv2.__file__).parent):
            raise SinkError(f"no window can be opened: {reason}")
        self._title, self._pointed, self._server = title, pointed, XServer()
        self._size: tuple[int, int] | None = None
        """Width and height of what is shown; None while there is no window."""

    @property
    def is_open(self) -> bool:
        """Whether there is a window."""
        return self._size is not None

    def draw(self, pixels: Pixels, text: str) -> None:
        """Show pixels, with a line of text in the corner, which is drawn into them.

        Raises:
            SinkError: no window can be opened, or the display is gone.
        """
        self._check_display()
        size = pixels.shape[1], pixels.shape[0]
        try:
            if self._size is None:
                flags = self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO | self._cv2.WINDOW_GUI_NORMAL
                self._cv2.namedWindow(self._title, flags)
                self._cv2.setMouseCallback(self._title, self._on_mouse)
            if size != self._size:
                self._resize(*size)
                self._size = size
            if text:
                self._write(pixels, text)
            self._cv2.imshow(self._title, pixels)
        except self._cv2.error as error:
            raise SinkError("no window can be opened here: is there a display? write a file instead") from error

    def poll(self, seconds: float) -> str:
        """Let OpenCV paint and take events for so long, or until a key is pressed.

        Returns:
            The key, in lower case; empty where there was none, and where the window has been shut.

        Raises:
            SinkError: the display is gone.
        """
        if self._size is None:
            return ""
        self._check_display()
        key = -1
        try:
            key = self._cv2.waitKey(max(round(1000 * seconds), 1))
            visible = self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1
        except self._cv2.error:  # some of OpenCV's backends raise for a window that has been shut
            visible = False
        if not visible:
            self.close()
        return chr(key & 0xFF).lower() if visible and key != -1 else ""

    def close(self) -> None:
        """Shut the window."""
        if self._size is not None:
            self._size = None
            if self._server.gone:
                return
            with suppress(self._cv2.error):  # the user, or the end of the display, was faster
                self._cv2.destroyWindow(self._title)

    def _check_display(self) -> None:
        if self._server.gone:
            raise SinkError("the window is lost: its display does not answer any more")

    def _on_mouse(self, event: int, x: int, y: int, flags: int, data: object) -> None:
        """Called by OpenCV from `waitKey`, with a pixel of the picture, however large the window is."""
        if event == self._cv2.EVENT_MOUSEMOVE and self._size:
            self._pointed(min(max(x / max(self._size[0] - 1, 1), 0.0), 1.0))

    def _resize(self, width: int, height: int) -> None:
        """Fit the window to what it shows from now on: as large as before, or pixel by pixel if that was smaller."""
        scale, room = 1.0, _LARGEST
        if self._size:
            _, _, across, down = self._cv2.getWindowImageRect(self._title)  # without the frame; -1 if unknown
            scale = max(scale, across / self._size[0])
            room = max(room[0], across), max(room[1], down)
        scale = min(scale, room[0] / width, room[1] / height)
        self._cv2.resizeWindow(self._title, max(round(scale * width), 1), max(round(scale * height), 1))

    def _write(self, pixels: Pixels, text: str) -> None:
        """White letters on a darkened corner, which can be read on any picture, as high as it has room for."""
        font = self._cv2.FONT_HERSHEY_SIMPLEX
        height, width = pixels.shape[:2]
        (across, down), _ = self._cv2.getTextSize(text, font, 1.0, 1)
        scale = min(max(_TEXT * height, _SMALLEST_TEXT) / down, 0.9 * width / across)
        stroke = max(round(scale), 1)
        (across, down), below = self._cv2.getTextSize(text, font, scale, stroke)
        margin = max(down // 2, 2)
        pixels[: down + below + 2 * margin, : across + 2 * margin] >>= 2
        white = (255, 255, 255)
        self._cv2.putText(pixels, text, (margin, margin + down), font, scale, white, stroke, self._cv2.LINE_AA)
