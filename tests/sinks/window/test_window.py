from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

import pytest

from mjpeg_restore.compare import Comparison
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable, SinkError
from mjpeg_restore.sinks import Window
from mjpeg_restore.sinks.window.display import XServer
from tests.sinks.window.fake_opencv import FakeOpenCv
from tests.sinks.window.frames import DARK, LIGHT, frame, greys, split


def test_without_opencv_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"mjpeg-restore\[show\]"):
        Window()


def test_an_opencv_without_windows_is_told_before_anything_begins(cv2: FakeOpenCv) -> None:
    cv2.framework = ""
    with pytest.raises(MissingExtra, match=r"headless.*pip install opencv-python "):
        Window()


def test_an_opencv_that_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeUnavailable, match=r"OpenCV cannot be loaded: libGL\.so\.1"):
        Window()


def test_without_a_display_there_is_a_sink_error(cv2: FakeOpenCv) -> None:
    cv2.display = False
    with pytest.raises(SinkError, match="display"):
        Window().write(frame())


def test_a_display_that_is_gone_ends_the_window_without_opencv(
    cv2: FakeOpenCv, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = Window(paced=False)
    window.write(frame())
    monkeypatch.setattr(XServer, "gone", True)
    before = len(cv2.shown), cv2.now
    for use in (window.idle, lambda: window.write(frame(1, time=1.0))):
        with pytest.raises(SinkError, match="its display does not answer any more"):
            use()
    window.discard()
    assert (len(cv2.shown), cv2.now) == before
    assert not cv2.destroyed


def test_pictures_appear_at_their_times(cv2: FakeOpenCv) -> None:
    window = Window()
    for index, time in enumerate([4.0, 4.08, 4.28, 6.0]):
        window.write(frame(index, time=time))
    assert cv2.times == pytest.approx([0, 0.08, 0.28, 2.0], abs=0.003)
    assert greys(cv2.last) == [LIGHT + 3] * 16


def test_the_last_picture_is_shown_as_long_as_the_one_before(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame(time=0))
    window.write(frame(time=0.3))
    window.close()
    assert cv2.now - cv2.shown[-1][0] == pytest.approx(0.3, abs=0.01)
    assert (window.closed, cv2.destroyed) == (True, 1)


def test_a_picture_that_is_the_only_one_stays_until_the_user_ends_it(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.press("q", after=60)
    window.close()
    assert cv2.now == pytest.approx(160, abs=0.1)
    assert cv2.destroyed == 1


@pytest.mark.parametrize("key", ["q", "Q", "\x1b"])
def test_q_and_esc_shut_it(cv2: FakeOpenCv, key: str) -> None:
    window = Window()
    window.write(frame())
    assert not window.closed
    cv2.press(key, after=0.02)
    window.write(frame(1))
    assert window.closed
    window.write(frame(2))
    window.idle()
    window.close()
    assert (len(cv2.shown), cv2.destroyed) == (1, 1)


def test_the_close_button_shuts_it(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.shut()
    window.idle()
    assert window.closed
    assert len(cv2.shown) == 1


def test_a_window_unknown_to_opencv_counts_as_shut(cv2: FakeOpenCv, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> float:
        raise cv2.error

    window = Window()
    window.write(frame())
    monkeypatch.setattr(cv2, "getWindowProperty", unknown)
    monkeypatch.setattr(cv2, "destroyWindow", unknown)
    window.write(frame(1))
    assert window.closed
    window.close()


def test_before_the_mouse_comes_the_restored_picture_is_shown_and_then_it_is_split(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    assert greys(cv2.last) == [LIGHT] * 16
    cv2.point(8, after=0.02)
    window.write(frame(1))
    assert [greys(pixels) for _, pixels in cv2.shown[1:]] == [split(9), split(9, 1)]
    assert cv2.times[1] < 0.035  # the picture that is there is split, too


@pytest.mark.parametrize(("x", "seen"), [(0, LIGHT), (-3, LIGHT), (15, DARK), (40, DARK)])
def test_at_the_edges_one_picture_is_whole(cv2: FakeOpenCv, x: int, seen: int) -> None:
    window = Window(compare="split")
    window.write(frame())
    cv2.point(x)
    window.write(frame(time=1))
    assert set(greys(cv2.last)) == {seen}


def test_clicks_and_wheels_move_nothing(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.point(8, event=10)
    window.write(frame(1))
    assert greys(cv2.last) == [LIGHT + 1] * 16


@pytest.mark.parametrize(
    ("compare", "line"), [("split", split(8)), ("side", [DARK] * 16 + [LIGHT] * 16), (None, [LIGHT] * 16)]
)
def test_it_begins_as_asked_for(cv2: FakeOpenCv, compare: Comparison | None, line: list[int]) -> None:
    window = Window(compare=compare)
    assert window.original
    window.write(frame())
    assert greys(cv2.last) == line


def test_keys_choose_what_is_shown(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    for second, (key, line) in enumerate(
        [
            ("s", [DARK] * 16 + [LIGHT] * 16),
            ("o", [DARK] * 16),
            ("r", [LIGHT] * 16),
            ("o", [DARK] * 16),
            ("o", [LIGHT] * 16),
        ]
    ):
        cv2.press(key)
        cv2.now += 1
        window.idle()
        window.idle()
        assert greys(cv2.last) == line, second


def test_the_window_grows_with_what_it_shows_and_keeps_its_scale(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame(width=640, height=480))
    cv2.press("s")
    window.write(frame(1, width=640, height=480))
    cv2.sizes.append((2560, 960))  # by the user
    cv2.press("s")
    window.write(frame(2, width=640, height=480))
    window.write(frame(3, width=320, height=240))
    assert cv2.sizes == [(640, 480), (1280, 480), (2560, 960), (1280, 960), (640, 480)]


def test_a_large_picture_opens_no_larger_than_screens_are(cv2: FakeOpenCv) -> None:
    window = Window(compare="side")
    window.write(frame(width=1920, height=1080))
    assert cv2.sizes == [(1600, 450)]


def test_figures_are_in_the_corner_until_they_are_hidden(cv2: FakeOpenCv) -> None:
    window = Window()
    for index in range(30):
        window.write(frame(index))
    assert cv2.texts[-1] == "25.0 fps  latency 0 ms"
    cv2.press("i")
    window.write(frame(30))
    count = len(cv2.texts)
    window.write(frame(31))
    assert len(cv2.texts) == count


def test_the_corner_of_the_figures_is_dark_on_any_picture(cv2: FakeOpenCv) -> None:
    window = Window()
    for index in range(2):
        window.write(frame(index, width=640, height=480))
    corner = cv2.last[:20, :200]
    assert corner.max() < 64
    assert cv2.last[40:].min() > 64


def test_the_latency_of_a_camera_begins_when_its_picture_has_arrived(cv2: FakeOpenCv) -> None:
    window = Window(paced=False)
    for index in range(30):
        cv2.now += 0.039
        window.write(frame(index, arrived=cv2.now - 0.05))
    assert cv2.texts[-1] == "25.0 fps  latency 50 ms"


def test_the_space_bar_pauses_and_resumes(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.press(" ", after=0.02)
    cv2.press(" ", after=10)
    for index in (1, 2, 3):
        window.write(frame(index))
    times = [time for time in cv2.times if time > 9]
    assert times[-3:] == pytest.approx([10.01, 10.05, 10.09], abs=0.03)
    assert not window.closed


def test_during_a_pause_mouse_and_keys_work(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.press(" ")
    cv2.point(8, after=1)
    cv2.press("o", after=2)
    cv2.press("q", after=3)
    window.write(frame(1))
    assert [greys(pixels) for _, pixels in cv2.shown] == [[LIGHT] * 16, [LIGHT] * 16, split(9), [DARK] * 16]
    assert "paused" in cv2.texts
    assert window.closed


def test_it_steps_and_stays_paused(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.press(".", after=0.01)
    window.write(frame(1, time=50))
    cv2.press(".", after=1)
    window.write(frame(2, time=60))
    cv2.press("q", after=2)
    window.write(frame(3, time=60.04))
    times = {greys(pixels)[0] - LIGHT: time - 100 for time, pixels in reversed(cv2.shown)}
    assert times == pytest.approx({0: 0, 1: 0.01, 2: 1.01}, abs=0.03)
    assert greys(cv2.last) == [LIGHT + 2] * 16


def test_a_picture_on_which_the_user_paused_stays_after_the_end(cv2: FakeOpenCv) -> None:
    window = Window()
    for index in (0, 1):
        window.write(frame(index))
    cv2.press(" ")
    cv2.press(" ", after=30)
    window.close()
    assert cv2.now == pytest.approx(130, abs=0.2)
    assert window.closed


@pytest.mark.parametrize("paused", [True, False])
def test_a_run_that_is_stopped_waits_for_nothing(
    cv2: FakeOpenCv, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    stop = Event()
    window = Window(stop=stop)
    window.write(frame())
    if paused:
        cv2.press(" ")
    cv2.schedule(5.0, lambda: stop.set() or -1)
    window.write(frame(1, time=3600))
    window.close()
    assert cv2.now == pytest.approx(105, abs=0.1)


def test_the_clock_restarts_after_a_stall(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.now += 5
    for index in (1, 2, 3):
        window.write(frame(index))
    assert cv2.times[-3:] == pytest.approx([5, 5.04, 5.08], abs=0.01)


def test_where_drawing_is_slow_late_pictures_are_dropped_and_it_keeps_time(cv2: FakeOpenCv) -> None:
    cv2.drawing = 0.1
    window = Window()
    for index in range(100):
        window.write(frame(index))
    assert 3.9 < cv2.now - 100 < 4.4
    assert 20 < len(cv2.shown) < 45
    assert cv2.texts[-1].endswith(" dropped")


def test_where_restoring_is_slow_every_picture_is_shown(cv2: FakeOpenCv) -> None:
    window = Window()
    for index in range(50):
        cv2.now += 0.1
        window.write(frame(index))
    assert [greys(pixels)[0] - LIGHT for _, pixels in cv2.shown] == [index % 40 for index in range(50)]


def test_after_a_hiccup_the_pictures_come_no_faster_than_they_should(cv2: FakeOpenCv) -> None:
    window = Window()
    window.write(frame())
    cv2.now += 0.4
    for index in range(1, 20):
        cv2.now += 0.005
        window.write(frame(index))
    assert sum(0.4 < time < 0.6 for time in cv2.times) <= 0.2 / 0.04
    assert cv2.times[-1] == pytest.approx(19 * 0.04, abs=0.02)


def test_without_a_pace_pictures_are_shown_at_once_the_newest_of_those_that_are_too_many(cv2: FakeOpenCv) -> None:
    window = Window(paced=False)
    for index in range(200):
        cv2.now += 0.001
        window.write(frame(index, time=100 * index))
    assert len(cv2.shown) == pytest.approx(0.4 * 60, abs=3)
    cv2.now += 0.02
    window.idle()
    assert greys(cv2.last) == [LIGHT + 199 % 40] * 16
    now = cv2.now
    window.close()
    assert cv2.now == now
    assert "dropped" not in cv2.texts[-1]
