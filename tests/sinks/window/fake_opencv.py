"""A cv2 without a screen, with a clock of its own: what it waits for takes no time, and what it does is recorded."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray


class FakeOpenCv(SimpleNamespace):
    """The part of cv2 that the window uses.

    Attributes:
        now: seconds on the clock; `waitKey` moves it on.
        shown: pixels, each with its time.
        texts: what was written into them.
        sizes: of the window, as it was asked for.
        framework: what draws windows; empty in a build without them.
        display: False where no window can be opened.
        drawing: seconds that it takes.
    """

    error = type("error", (Exception,), {})
    WINDOW_NORMAL = WINDOW_KEEPRATIO = WINDOW_GUI_NORMAL = WND_PROP_VISIBLE = FONT_HERSHEY_SIMPLEX = LINE_AA = 0
    EVENT_MOUSEMOVE = 0
    __file__ = "/nowhere/cv2/__init__.py"

    def __init__(self) -> None:
        super().__init__(now=100.0, drawing=0.0, framework="GTK3", display=True, visible=False, destroyed=0)
        self.shown: list[tuple[float, NDArray[np.uint8]]] = []
        self.texts: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self._events: list[tuple[float, Callable[[], int]]] = []
        self._on_mouse: Callable[..., None] = lambda *_: None

    @property
    def times(self) -> list[float]:
        """When something was shown, from the first time on, to the millisecond."""
        return [round(time - self.shown[0][0], 3) for time, _ in self.shown]

    @property
    def last(self) -> NDArray[np.uint8]:
        return self.shown[-1][1]

    def press(self, key: str, after: float = 0.0) -> None:
        """Have a key pressed once so many seconds have passed."""
        self.schedule(after, lambda: ord(key))

    def point(self, x: int, after: float = 0.0, event: int = EVENT_MOUSEMOVE) -> None:
        """Have the mouse moved to a column of the picture."""

        def moved() -> int:
            self._on_mouse(event, x, 1, 0, None)
            return -1

        self.schedule(after, moved)

    def shut(self, after: float = 0.0) -> None:
        """Have the close button pressed."""

        def closed() -> int:
            self.visible = False
            return -1

        self.schedule(after, closed)

    def schedule(self, after: float, what: Callable[[], int]) -> None:
        """Have something happen; it returns a key, or -1."""
        self._events.append((self.now + after, what))
        self._events.sort(key=lambda event: event[0])

    def monotonic(self) -> float:
        return self.now

    def currentUIFramework(self) -> str:  # noqa: N802
        return self.framework

    def namedWindow(self, title: str, flags: int) -> None:  # noqa: N802
        if not self.display:
            raise self.error
        self.visible = True

    def setMouseCallback(self, title: str, called: Callable[..., None]) -> None:  # noqa: N802
        self._on_mouse = called

    def resizeWindow(self, title: str, width: int, height: int) -> None:  # noqa: N802
        self.sizes.append((width, height))

    def getWindowImageRect(self, title: str) -> tuple[int, int, int, int]:  # noqa: N802
        return 0, 0, *self.sizes[-1]

    def getTextSize(self, text: str, font: int, scale: float, thickness: int) -> tuple[tuple[int, int], int]:  # noqa: N802
        return (round(20 * scale * len(text)), round(22 * scale)), round(5 * scale)

    def putText(self, pixels: NDArray[np.uint8], text: str, *_: object) -> None:  # noqa: N802
        self.texts.append(text)

    def imshow(self, title: str, pixels: NDArray[np.uint8]) -> None:
        assert self.visible
        self.now += self.drawing
        self.shown.append((self.now, pixels.copy()))

    def waitKey(self, milliseconds: int) -> int:  # noqa: N802
        assert milliseconds > 0  # 0 would wait for ever
        until = self.now + milliseconds / 1000
        while self._events and self._events[0][0] <= until:
            time, what = self._events.pop(0)
            self.now = max(self.now, time)
            if (key := what()) != -1:
                return key
        self.now = until
        return -1

    def getWindowProperty(self, title: str, what: int) -> float:  # noqa: N802
        return float(self.visible)

    def destroyWindow(self, title: str) -> None:  # noqa: N802
        self.visible = False
        self.destroyed += 1
