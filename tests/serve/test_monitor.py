"""How a camera fares, by a clock of the test's own."""

from __future__ import annotations

import pytest

from mjpeg_restore.frames import Frame
from mjpeg_restore.report import Report
from mjpeg_restore.serve import ServedCamera, WebSink
from mjpeg_restore.serve.monitor import SPAN, Health, Monitor
from tests.serve.served import picture


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A camera whose frames take 20 ms."""

    def __init__(self, *, live: bool = True) -> None:
        self.clock = Clock()
        self.camera = ServedCamera("door", Report(), WebSink(self.clock), live=live, stall=10, grace=60)
        self.monitor = Monitor(self.camera, self.clock)

    def frame(self, *, again: bool = False) -> None:
        self.camera.sink.write(Frame(picture(0), None, None if again else self.clock.now - 0.02))

    def second(self, *offsets: float) -> None:
        """A second, with frames at some moments in it."""
        begun = self.clock.now
        for offset in offsets:
            self.clock.now = begun + offset
            self.frame()
        self.clock.now = begun + 1
        self.monitor.sample()

    @property
    def fps(self) -> float:
        return self.monitor.state()["now"]["fps"]


def test_a_camera_starts_lives_stalls_and_comes_back() -> None:
    door = Watched()
    states = []
    for wait, comes in [(0, False), (60, False), (1, False), (0, True), (10, False), (1, False), (0, True)]:
        door.clock.now += wait
        if comes:
            door.frame()
        states.append(door.monitor.health.state)
    assert states == ["starting", "starting", "waiting", "live", "live", "stalled", "live"]


def test_the_reason_says_how_long() -> None:
    door = Watched()
    door.clock.now += 61
    assert door.monitor.health.reason == "no picture has come in 61 s"
    door.frame()
    assert (door.monitor.health.ok, door.monitor.health.reason) == (True, "")
    door.clock.now += 12
    assert (door.monitor.health.ok, door.monitor.health.reason) == (False, "no picture for 12 s")


def test_whoever_runs_the_camera_may_know_why_no_picture_comes() -> None:
    door = Watched()
    door.camera = ServedCamera("door", Report(), door.camera.sink, trouble=lambda: "the password is wrong")
    door.monitor = Monitor(door.camera, door.clock)
    assert door.monitor.health == Health("waiting", "the password is wrong")
    assert not door.monitor.health.ok
    door.frame()
    assert door.monitor.health == Health("live")


def test_pictures_that_are_shown_again_are_no_sign_of_life() -> None:
    door = Watched()
    door.frame()
    for _ in range(12):
        door.clock.now += 1
        door.frame(again=True)
    assert door.monitor.health.state == "stalled"


@pytest.mark.parametrize("end", ["close", "discard"])
@pytest.mark.parametrize("live", [True, False])
def test_a_run_that_is_over_has_ended_which_is_a_fault_of_a_camera_alone(end: str, live: bool) -> None:
    door = Watched(live=live)
    door.frame()
    getattr(door.camera.sink, end)()
    assert door.monitor.health.state == "ended"
    assert door.monitor.health.ok == (not live)


def test_the_rate_of_a_steady_camera_is_steady() -> None:
    door = Watched()
    rates = []
    for _ in range(5):  # 2.5 in a second: two, then three between two samples
        door.second(0.1, 0.5, 0.9)
        door.second(0.3, 0.7)
        rates.append(door.fps)
    assert rates == [2.5] * 5


def test_a_rate_below_one_holds_until_a_picture_is_overdue() -> None:
    door = Watched()
    door.second(0.0)
    for _ in range(3):
        door.second()
    door.second(0.0)
    assert door.fps == 0.25
    rates = []
    for _ in range(9):
        door.second()
        rates.append(door.fps)
    assert rates == [0.25] * 7 + [0.0] * 2


def test_a_camera_that_stops_falls_to_zero() -> None:
    door = Watched()
    door.second(0.2, 0.4, 0.6, 0.8)
    assert door.fps == 5
    door.second()
    assert door.fps == 0


def test_a_sample_sums_up_its_second() -> None:
    door = Watched()
    door.camera.report.damaged = 5
    door.second(0.5)
    door.camera.report.damaged, door.camera.report.dropped = 7, 1
    door.second(0.5)
    door.second()
    samples = door.monitor.state(since=0)["samples"]
    assert samples == {
        "last": 3,
        "fps": [0.0, 1.0, 1.0],
        "latency_ms": [20.0, 20.0, None],
        "quality": [40, 40, 40],
        "damaged": [5, 2, 0],
        "dropped": [0, 1, 0],
    }


def test_a_recording_has_no_latency() -> None:
    clip = Watched(live=False)
    clip.second(0.5)
    assert clip.monitor.state()["now"]["latency_ms"] is None


def test_a_reader_gets_the_samples_that_it_lacks() -> None:
    door = Watched()
    for _ in range(3):
        door.second()
    assert [len(door.monitor.state(since)["samples"]["fps"]) for since in (0, 1, 3, 9)] == [3, 2, 0, 0]
    assert "samples" not in door.monitor.state()


def test_two_minutes_are_kept() -> None:
    door = Watched()
    for _ in range(SPAN + 30):
        door.second()
    samples = door.monitor.state(since=0)["samples"]
    assert (samples["last"], len(samples["fps"])) == (SPAN + 30, SPAN)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "ä", "a b", ".."])
def test_a_name_that_no_url_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        ServedCamera(name, Report())
