from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from mjpeg_restore.errors import MissingExtra, SinkError
from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import Window
from tests.sinks.conftest import flat


class FakeOpenCv(SimpleNamespace):
    """The part of cv2 that `Window` uses. It returns keys from a list, and records the pictures and their times."""

    error = type("error", (Exception,), {})
    WINDOW_NORMAL = WINDOW_KEEPRATIO = WND_PROP_VISIBLE = 0

    def __init__(self) -> None:
        super().__init__(keys=[], shown=[], times=[], visible=1.0, destroyed=0, display=True)

    def namedWindow(self, title: str, flags: int) -> None:  # noqa: N802
        if not self.display:
            raise self.error

    def resizeWindow(self, title: str, width: int, height: int) -> None:  # noqa: N802
        pass

    def imshow(self, title: str, pixels: np.ndarray) -> None:
        self.shown.append(pixels)
        self.times.append(time.monotonic())

    def waitKey(self, milliseconds: int) -> int:  # noqa: N802
        time.sleep(milliseconds / 1000)
        return self.keys.pop(0) if self.keys else -1

    def getWindowProperty(self, title: str, what: int) -> float:  # noqa: N802
        return self.visible

    def destroyWindow(self, title: str) -> None:  # noqa: N802
        self.destroyed += 1


@pytest.fixture
def cv2(monkeypatch: pytest.MonkeyPatch) -> FakeOpenCv:
    fake = FakeOpenCv()
    monkeypatch.setitem(sys.modules, "cv2", fake)
    return fake


def test_without_opencv_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"mjpeg-restore\[show\]"):
        Window()


def test_pictures_appear_at_their_times(cv2: FakeOpenCv) -> None:
    window = Window()
    for index, pts in enumerate([100, 102, 107]):
        window.write(Frame(flat(index=index, pts=pts)))
    gaps = np.diff(cv2.times)
    assert np.all(np.abs(gaps - [0.08, 0.2]) < 0.05)
    assert np.array_equal(cv2.shown[0], flat().to_ndarray("bgr"))
    window.close()
    assert cv2.destroyed == 1


@pytest.mark.parametrize("key", [ord("q"), 27])
def test_q_and_esc_shut_it(cv2: FakeOpenCv, key: int) -> None:
    window = Window()
    window.write(Frame(flat()))
    assert not window.closed
    cv2.keys = [key]
    window.write(Frame(flat(index=1)))
    assert window.closed
    window.write(Frame(flat(index=2)))
    assert len(cv2.shown) == 1
    window.discard()


def test_the_close_button_shuts_it(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(Frame(flat()))
    cv2.visible = 0.0
    window.write(Frame(flat(index=1)))
    assert window.closed


def test_the_space_bar_pauses_and_resumes(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(Frame(flat()))
    cv2.keys = [ord(" "), -1, -1, ord(" ")]
    window.write(Frame(flat(index=1)))
    assert not window.closed
    assert cv2.times[1] - cv2.times[0] > 0.15


def test_q_during_a_pause_shuts_it(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(Frame(flat()))
    cv2.keys = [ord(" "), -1, ord("q")]
    window.write(Frame(flat(index=1)))
    assert window.closed


def test_the_clock_restarts_after_a_stall(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(Frame(flat()))
    time.sleep(0.8)
    for index in (1, 2, 3):
        window.write(Frame(flat(index=index)))
    assert cv2.times[3] - cv2.times[1] > 0.06


def test_without_a_display_there_is_a_sink_error(cv2: FakeOpenCv) -> None:
    cv2.display = False
    with pytest.raises(SinkError, match="display"):
        Window().write(Frame(flat()))


def test_a_window_unknown_to_opencv_counts_as_shut(cv2: FakeOpenCv, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> float:
        raise cv2.error

    window = Window()
    window.write(Frame(flat()))
    monkeypatch.setattr(cv2, "getWindowProperty", unknown)
    monkeypatch.setattr(cv2, "destroyWindow", unknown)
    window.write(Frame(flat(index=1)))
    assert window.closed
    window.close()
