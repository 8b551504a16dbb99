"""The live source: connection, stall, reconnection, end, time stamps and log, against connections that are lists."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Generator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import pytest

from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.retries import Delays, Retries
from mjpeg_restore.sources.live import source as live
from mjpeg_restore.sources.live.attempt import DEPTH
from mjpeg_restore.sources.live.connection import Capture
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.live.source import LiveSource
from tests.patience import PATIENCE

Step = bytes | float | threading.Event | Exception
"""A picture, silence (seconds, or until an event), or the error that ends the connection."""


class Script:
    """A connection that follows a list of steps; the end of the list ends the stream. Events are deaf to interrupts."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._interrupted = threading.Event()
        self.released = threading.Event()

    def pictures(self) -> Generator[Capture]:
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, bytes):
                    yield Capture(step, time.monotonic())
                elif isinstance(step, threading.Event):
                    step.wait(PATIENCE)
                elif self._interrupted.wait(step):
                    raise ConnectionFailed("cam: interrupted")
        finally:
            self.released.set()

    def interrupt(self) -> None:
        self._interrupted.set()


FOREVER = 30.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "Retries", partial(Retries, Delays(shortest=0.01, longest=0.02)))


def camera(*connections: Sequence[Step] | Script, **settings: Any) -> LiveSource:
    """A camera whose connections are these, one after the other; the last one again and again."""
    left = [entry if isinstance(entry, Script) else Script(entry) for entry in connections]
    last = connections[-1]

    def connect() -> Script:
        return left.pop(0) if left else Script(last) if not isinstance(last, Script) else last

    more = {name: settings.pop(name) for name in ("fps", "start", "duration", "reconnects") if name in settings}
    return LiveSource("cam", "script", connect, LiveSettings(**settings), **more)


def take(source: LiveSource, count: int) -> list[Packet]:
    """The first packets, silences left out; then the source is stopped."""
    taken: list[Packet] = []
    for packet in source:
        if not packet.silent:
            taken.append(packet)
        if len(taken) == count:
            break
    source.stop()
    return taken


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.__dict__["event"] for record in caplog.records]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="mjpeg_restore")
    return caplog


def test_pictures_come_with_rising_times_of_their_arrival() -> None:
    began = time.monotonic()
    packets = take(camera([b"a", 0.02, b"b", b"c", FOREVER]), 3)
    assert [packet.data for packet in packets] == [b"a", b"b", b"c"]
    assert [packet.index for packet in packets] == [0, 1, 2]
    assert packets[0].pts == 0 < packets[1].pts < packets[2].pts  # T2: also where two arrive at the same moment
    assert packets[1].time >= Fraction(2, 100)
    assert not any(packet.discontinuity for packet in packets)
    for packet in packets:
        assert packet.arrived is not None and began <= packet.arrived <= time.monotonic()


def test_the_source_says_that_it_is_live() -> None:
    source = camera([b"a"])
    assert source.info.live and source.info.origin == "arrival" and not source.info.independent
    assert source.status is not None and not source.status.connected


def test_a_connection_that_ends_is_made_again(log: pytest.LogCaptureFixture) -> None:
    source = camera([b"a", b"b"], [b"c", FOREVER])
    packets = take(source, 3)
    assert [packet.data for packet in packets] == [b"a", b"b", b"c"]
    assert [packet.discontinuity for packet in packets] == [False, False, True]
    assert source.status and (source.status.reconnects, source.status.stalls) == (1, 0)
    assert events(log) == ["connected", "reconnecting", "connected"]
    assert log.messages[1] == "cam: the camera ended the stream; connecting again"


def test_a_camera_that_is_not_there_yet_is_waited_for(log: pytest.LogCaptureFixture) -> None:
    refused = ConnectionFailed("cam: connection refused")
    packets = take(camera([refused], [refused], [OSError("no route")], [b"a", FOREVER]), 1)
    assert packets[0].pts == 0 and not packets[0].discontinuity
    assert events(log) == ["reconnecting", "reconnecting", "connected"]  # one line a reason, none per attempt
    assert log.messages[0] == "cam: connection refused; connecting again"


def test_a_line_names_the_camera_once(log: pytest.LogCaptureFixture) -> None:
    take(
        camera([b"a"], [SourceError("cam asks for a password")], [SourceError("camera 5 is busy")], [b"b", FOREVER]), 2
    )
    assert log.messages[2:4] == [
        "cam: asks for a password; connecting again",
        "cam: camera 5 is busy; connecting again",
    ]


def failing(*reasons: str) -> list[list[Step]]:
    return [[ConnectionFailed(f"cam: {reason}")] for reason in reasons]


def test_reasons_that_alternate_are_told_once_each(log: pytest.LogCaptureFixture) -> None:
    take(camera([b"a"], *failing("refused", "no route", "refused", "no route"), [b"b", FOREVER]), 2)
    assert [message.split(";")[0] for message in log.messages[1:-1]] == [
        "cam: the camera ended the stream",
        "cam: refused",
        "cam: no route",
    ]
    assert events(log) == ["connected", *["reconnecting"] * 3, "connected"]


def test_a_camera_that_ends_the_stream_after_each_picture_fills_no_log(log: pytest.LogCaptureFixture) -> None:
    source = camera(*([bytes([number])] for number in range(30)), [b"x", FOREVER])
    take(source, 31)
    assert source.status and source.status.reconnects == 30
    assert events(log) == ["connected", "reconnecting", "connected"]


def test_a_camera_that_ends_the_stream_after_each_picture_is_connected_to_as_soon_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shortest, delays = 0.001, list[float]()

    class Noted(Retries):
        def failed(self, reason: str, lasted: float | None = None) -> bool:
            telling = super().failed(reason, lasted)
            delays.append(self.delay)
            return telling

    monkeypatch.setattr(live, "Retries", partial(Noted, Delays(shortest=shortest, share=1.0, chance=0.0)))
    take(camera([b"a"], [b"b", b"c"], [b"d"], [b"e", FOREVER]), 5)
    assert delays == [shortest] * 3


@pytest.mark.parametrize("error", [NotMjpeg("cam sends H.264"), SourceError("cam: wrong password"), ValueError("bug")])
def test_hopeless_errors_at_first_end_the_source(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        take(camera([error]), 1)


@pytest.mark.parametrize("error", [NotMjpeg("cam is a web page"), SourceError("cam: 404"), ValueError("bug")])
def test_the_same_errors_later_are_tried_again(error: Exception) -> None:
    assert len(take(camera([b"a", error], [error], [b"b", FOREVER]), 2)) == 2


def test_a_stall_is_noticed_and_the_connection_made_again(log: pytest.LogCaptureFixture) -> None:
    stalled = Script([b"a", FOREVER])
    source = camera(stalled, [b"b", FOREVER], stall_timeout=1)
    packets = take(source, 2)
    assert packets[1].discontinuity and packets[1].time >= 1
    assert source.status and source.status.stalls == 1
    assert events(log) == ["connected", "stalled", "connected"]
    assert stalled.released.wait(PATIENCE)


def test_a_connection_that_cannot_be_interrupted_delays_nothing() -> None:
    answers = threading.Event()
    deaf = Script([b"a", answers, b"late"])
    packets = take(camera(deaf, [b"b", FOREVER], stall_timeout=1), 2)
    assert [packet.data for packet in packets] == [b"a", b"b"]
    assert not deaf.released.is_set()
    answers.set()
    assert deaf.released.wait(PATIENCE)


def test_a_slow_rate_is_no_stall() -> None:
    source = camera([b"a", 0.4, b"b", FOREVER], stall_timeout=0.1, fps=Fraction(1, 10))
    take(source, 2)
    assert source.status and source.status.stalls == 0


def test_giving_up_ends_the_source_after_its_pictures(log: pytest.LogCaptureFixture) -> None:
    source = camera([b"a"], [ConnectionFailed("cam: refused")], give_up=1)
    packets = [packet for packet in source if not packet.silent]
    assert len(packets) == 1
    assert source.status and source.status.gave_up
    assert source.truncated == "cam: nothing came for 1 s, gave up"
    assert events(log)[-1] == "gave_up"


def test_a_consumer_that_pauses_is_no_reason_to_give_up() -> None:
    source = camera([b"a", b"b"], [b"c", FOREVER], give_up=1)
    packets = iter(source)
    next(packets)
    time.sleep(1.2)
    heard = (packet.data for packet in packets if not packet.silent)
    assert [*itertools.islice(heard, 2)] == [b"b", b"c"]
    source.stop()


def test_giving_up_without_a_picture_is_an_error_that_says_why() -> None:
    with pytest.raises(SourceError, match=r"^cam: nothing came for 1 s, gave up \(refused\)$"):
        list(camera([ConnectionFailed("cam: refused")], give_up=1))


def test_the_end_of_a_pipe_is_the_end_of_the_source() -> None:
    source = camera([b"a", b"b"], reconnects=False)
    assert [packet.data for packet in source] == [b"a", b"b"]
    assert source.truncated is None


def test_a_pipe_that_breaks_off_says_so() -> None:
    source = camera([b"a", OSError(5, "Input/output error")], reconnects=False)
    assert len(list(source)) == 1
    assert source.truncated == "cam could not be read to its end: Input/output error"


def test_a_pipe_without_a_picture_is_an_error() -> None:
    with pytest.raises(NotMjpeg, match="cam holds no whole JPEG picture"):
        list(camera([], reconnects=False))


@pytest.mark.parametrize("steps", [[b"a", FOREVER], [FOREVER], [ConnectionFailed("cam: refused")]])
def test_stop_ends_every_wait(steps: list[Step]) -> None:
    source = camera(steps, stall_timeout=60)
    threading.Timer(0.1, source.stop).start()
    began = time.monotonic()
    list(source)
    assert time.monotonic() - began < 20


def test_closing_releases_the_connection_at_once() -> None:
    script = Script([b"a", FOREVER])
    source = camera(script)
    take(source, 1)
    source.close()
    assert script.released.is_set()  # a device could be opened again


def test_closing_does_not_wait_for_a_connection_that_cannot_be_interrupted() -> None:
    answers = threading.Event()
    deaf = Script([b"a", answers])
    source = camera(deaf)
    take(source, 1)
    source.close()
    assert not deaf.released.is_set()
    answers.set()
    assert deaf.released.wait(PATIENCE)


@pytest.mark.parametrize("fps", [Fraction(10), None])
def test_silence_keeps_the_time_at_the_pace_of_the_pictures(
    fps: Fraction | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_MIN_SILENCE", 0.2)
    goes_on = threading.Event()
    source = camera([*[b"a", 0.1] * 9, b"b", goes_on, b"c", FOREVER], fps=fps, stall_timeout=10 * PATIENCE)
    packets, silent = [], []
    for packet in source:
        packets.append(packet)
        if packet.silent and packet.index == 10:  # after all that came
            silent.append(packet)
        if len(silent) == 2:
            goes_on.set()
        if packet.data == b"c":
            source.stop()
    assert all(packet.data == b"" and packet.arrived is None for packet in silent)
    assert [packet.pts for packet in packets] == sorted({packet.pts for packet in packets})
    before = next(packet for packet in packets if packet.data == b"b")
    assert 2 <= len(silent) <= (packets[-1].time - before.time) / Fraction(1, 10) + 1
    assert packets[-1].index == 10


def test_two_pictures_at_once_are_no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_MIN_SILENCE", 0.2)
    source = camera([b"a", b"b", 0.6, b"c", FOREVER])
    packets = []
    for packet in source:
        packets.append(packet)
        if packet.data == b"c":
            source.stop()
    assert len([packet for packet in packets if packet.silent]) <= 2


def test_start_and_duration_cut_by_the_time_of_arrival() -> None:
    class Timed(Script):
        def pictures(self) -> Generator[Capture]:
            begin = time.monotonic()
            yield from (Capture(bytes([number]), begin + number / 100) for number in range(100))

    packets = list(camera(Timed([]), start=Fraction(1, 10), duration=Fraction(2, 10)))
    assert packets[0].index == 0 and packets[0].pts >= 0
    assert 0 < packets[0].data[0] <= 10
    assert packets[-1].time < Fraction(2, 10)


def test_the_reader_never_runs_far_ahead() -> None:
    sent = 0

    class Eager(Script):
        def pictures(self) -> Generator[Capture]:
            nonlocal sent
            while True:
                sent += 1
                yield Capture(b"x", time.monotonic())

    source = camera(Eager([]))
    packets = iter(source)
    for number in range(1, 20):
        next(packets)
        time.sleep(0.002)
        assert sent - number <= DEPTH + 1
    source.stop()
