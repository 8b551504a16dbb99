"""Several sinks at once: each gets what it asks for, and none is another one's trouble."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import pytest

import mjpeg_restore.outlets as outlets_module
from mjpeg_restore.errors import SinkError, SourceError
from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.outlets import Outlet, QueuedFeed, WhenFull
from mjpeg_restore.pipeline import PipelineSettings, restore_frames, run
from mjpeg_restore.report import Report
from mjpeg_restore.testing import Collect, ListSource
from tests.streams import DECODE, SIZE, assert_same_planes, assert_shows, still

LIMIT = 30


class Gated(Collect):
    """Waits before each frame until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def write(self, frame: Frame) -> None:
        self.begun.set()
        assert self.go.wait(LIMIT)
        super().write(frame)


class Interactive(Collect):
    """Notes the threads that call it, and shuts itself with the third look at its events, if that is asked for."""

    interactive = True

    def __init__(self, *, shuts: bool = False) -> None:
        super().__init__()
        self.threads = set[threading.Thread]()
        self.looks = 0
        self._shuts = shuts

    def write(self, frame: Frame) -> None:
        self.threads.add(threading.current_thread())
        super().write(frame)

    def idle(self) -> None:
        self.threads.add(threading.current_thread())
        self.looks += 1
        self.closed = self._shuts and self.looks == 3


def outlets() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name in ("outlet", "deliver")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + LIMIT
    while outlets() and time.monotonic() < until:
        time.sleep(0.01)
    assert not outlets()


def test_an_outlet_checks_what_it_is_given() -> None:
    with pytest.raises(ValueError, match="when_full 'x': there are wait, drop"):
        Outlet(Collect(), when_full="x")  # pyright: ignore[reportArgumentType]


def test_every_sink_gets_every_frame_in_order() -> None:
    sinks = [Collect(), Collect(), Collect()]
    report = run(ListSource([still(n % 3) for n in range(50)]), DECODE, [Outlet(sink) for sink in sinks])
    for sink in sinks:
        assert [picture.index for picture in sink.pictures] == list(range(50))
        assert_shows(sink.pictures[4], still(1))
        assert sink.ended == ["closed"]
    assert [output.frames for output in report.outputs] == [50, 50, 50]


def test_a_sink_that_drops_slows_nobody_down_and_gets_the_newest() -> None:
    slow, file = Gated(), Collect()
    last = threading.Event()

    def pictures() -> Iterator[bytes]:
        yield still()
        assert slow.begun.wait(LIMIT)
        yield from [still()] * 30
        last.set()

    def release() -> None:
        assert last.wait(LIMIT)
        while len(file.pictures) < 31:
            time.sleep(0.001)
        slow.go.set()

    threading.Thread(target=release, daemon=True).start()
    report = run(ListSource(pictures()), DECODE, [Outlet(slow, "window", when_full="drop"), Outlet(file, "file")])
    assert len(file.pictures) == 31
    assert [picture.index for picture in slow.pictures] == [0, 29, 30]
    assert [(output.name, output.frames, output.dropped) for output in report.outputs] == [
        ("window", 3, 28),
        ("file", 31, 0),
    ]


def test_a_sink_that_fails_is_discarded_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    failing, sound = Collect(fail_at=3), Collect()
    report = run(ListSource([still()] * 20), DECODE, [Outlet(failing, "a.mp4"), Outlet(sound, "b.mp4")])
    assert (failing.ended, sound.ended) == (["discarded"], ["closed"])
    assert len(sound.pictures) == 20
    assert [output.error for output in report.outputs] == ["the disk is full", None]
    assert "the disk is full; the run goes on for the other outputs" in caplog.text


def test_a_fault_of_a_sinks_own_is_a_failure_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Collect):
        def write(self, frame: Frame) -> None:
            raise ZeroDivisionError("division by zero")

    faulty, sound = Faulty(), Collect()
    report = run(ListSource([still()] * 20), DECODE, [Outlet(faulty, "a.mp4"), Outlet(sound, "b.mp4")])
    assert (faulty.ended, len(sound.pictures)) == (["discarded"], 20)
    assert report.outputs[0].error == "a.mp4: ZeroDivisionError: division by zero"
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("fails", [SinkError("the disk is full"), ZeroDivisionError("division by zero")])
def test_an_instant_sink_needs_no_thread_nor_does_the_one_beside_it(
    fails: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    threads = set[str]()

    class Instant(Collect):
        instant = True

        def write(self, frame: Frame) -> None:
            threads.add(threading.current_thread().name)
            super().write(frame)

    class Failing(Instant):
        instant = False

        def write(self, frame: Frame) -> None:
            super().write(frame)
            if len(self.pictures) == 3:
                raise fails

    page, file = Instant(), Failing()
    source = ListSource([still()] * 20)
    report = run(source, DECODE, [Outlet(page, "the page", when_full="drop"), Outlet(file, "a.mp4")])
    assert threads == {threading.current_thread().name}
    assert (page.ended, file.ended) == (["closed"], ["discarded"])
    assert (len(page.pictures), len(file.pictures)) == (20, 3)
    assert str(fails) in str(report.outputs[1].error)
    assert "; the run goes on for the other outputs" in caplog.text


def test_frames_that_a_sink_could_not_deliver_are_counted_as_lost() -> None:
    class Away(Collect):
        def write(self, frame: Frame) -> None:
            if len(self.pictures) + self.lost < 3:
                self.lost += 1
            else:
                super().write(frame)

    report = run(ListSource([still(seed) for seed in range(5)]), DECODE, [Outlet(Away()), Outlet(Collect())])
    assert [(output.frames, output.lost) for output in report.outputs] == [(2, 3), (5, 0)]


def test_a_sink_that_hangs_does_not_hang_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets_module, "_PATIENCE", 0.2)
    hung, file = Gated(), Collect()
    watched = [Outlet(hung, "a pipe", when_full="drop"), Outlet(file)]
    report = run(ListSource([still(seed) for seed in range(5)]), DECODE, watched)
    assert len(file.pictures) == 5 and file.ended == ["closed"]
    assert report.outputs[0].error == "a pipe: given up after 0.2 s, for nobody reads it"
    assert report.outputs[1].error is None
    hung.go.set()  # it ends by itself, if it ever does


def test_sinks_that_hang_are_given_up_together() -> None:
    hung = Gated()
    feed = QueuedFeed(
        Outlet(hung, "a pipe", when_full="drop"),
        lambda arrived, seconds: None,
        lambda: None,
        alone=False,
        goes_on=lambda feed: True,
    )
    feed.start()
    feed.put(next(frame for frame in restore_frames(ListSource([still(0)]), DECODE) if isinstance(frame, Frame)))
    assert hung.begun.wait(LIMIT)
    feed.finish()
    feed.wait(time.monotonic() - 3600)  # it has had its time, while others were waited for
    assert feed.error and "nobody reads it" in str(feed.error)
    hung.go.set()


def test_once_all_have_failed_the_run_ends_with_the_first_error() -> None:
    sinks = [Collect(fail_at=2), Collect(fail_at=5)]
    source = ListSource([still()] * 500)
    with pytest.raises(SinkError, match="the disk is full"):
        run(source, DECODE, [Outlet(sink) for sink in sinks])
    assert [sink.ended for sink in sinks] == [["discarded"], ["discarded"]]
    assert source.yielded < 60


def test_the_last_one_to_fail_is_not_said_to_leave_others(caplog: pytest.LogCaptureFixture) -> None:
    second_may_fail = threading.Event()

    class Second(Collect):
        def write(self, frame: Frame) -> None:
            assert second_may_fail.wait(LIMIT)
            raise SinkError("the second disk is full")

    class First(Collect):
        def write(self, frame: Frame) -> None:
            raise SinkError("the first disk is full")

        def discard(self) -> None:
            super().discard()
            second_may_fail.set()

    with pytest.raises(SinkError, match="the first disk is full"):
        run(ListSource([still()] * 20), DECODE, [Outlet(First()), Outlet(Second())])
    goes_on = "; the run goes on for the other outputs"
    assert sorted(caplog.messages) == [f"the first disk is full{goes_on}", "the second disk is full"]


@pytest.mark.parametrize("when_full", ["wait", "drop"])
def test_the_error_of_the_only_one_is_the_runs_and_no_line_of_the_log(
    when_full: WhenFull, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SinkError, match="the disk is full"):
        run(ListSource([still()] * 20), DECODE, [Outlet(Collect(fail_at=1), when_full=when_full)])
    assert not caplog.messages


@pytest.mark.parametrize("instant", [False, True])
def test_a_consumer_that_leaves_ends_its_output_alone(instant: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    leaving, staying = Collect(leave_at=2), Collect()
    leaving.instant = instant
    report = run(ListSource([still()] * 20), DECODE, [Outlet(leaving, "a pipe"), Outlet(staying)])
    assert (len(leaving.pictures), leaving.ended) == (2, ["closed"])
    assert (len(staying.pictures), staying.ended) == (20, ["closed"])
    assert not report.interrupted
    assert [(output.frames, output.missed, output.error) for output in report.outputs] == [(2, 18, None), (20, 0, None)]
    assert [output.left for output in report.outputs] == [True, False]
    assert caplog.messages == ["a pipe: its reader has gone"]


def test_the_report_of_a_run_that_ended_with_its_only_consumer_says_so() -> None:
    report = run(ListSource([still()] * 20), DECODE, [Outlet(Collect(leave_at=2), "a pipe")])
    assert report.as_dict()["outputs"] == [
        {"name": "a pipe", "frames": 2, "lost": 0, "dropped": 0, "missed": 0, "left": True, "error": None}
    ]


def test_a_consumer_that_leaves_ends_the_run_where_that_is_asked_for() -> None:
    leaving, staying = Collect(leave_at=2), Collect()
    source = ListSource([still()] * 500)
    report = run(source, DECODE, [Outlet(leaving, ends_run=True), Outlet(staying)])
    assert report.interrupted
    assert source.yielded < 60
    assert staying.ended == ["closed"]
    assert not any(output.left for output in report.outputs)


def test_an_error_of_the_source_discards_every_output() -> None:
    def breaking() -> Iterator[bytes]:
        yield still()
        raise SourceError("the plug was pulled")

    sinks = [Collect(), Collect()]
    with pytest.raises(SourceError, match="plug"):
        run(ListSource(breaking()), DECODE, [Outlet(sink) for sink in sinks])
    assert [sink.ended for sink in sinks] == [["discarded"], ["discarded"]]


def test_an_error_of_the_source_discards_the_file_beside_a_window() -> None:
    def breaking() -> Iterator[bytes]:
        yield still()
        raise SourceError("the plug was pulled")

    file = Collect()
    with pytest.raises(SourceError, match="plug"):
        run(ListSource(breaking()), DECODE, [Outlet(file), Outlet(Interactive())])
    assert file.ended == ["discarded"]


def test_a_sink_that_cannot_be_closed_is_an_error_of_its_own() -> None:
    class Unclosable(Collect):
        def close(self) -> None:
            raise SinkError("no room for the index")

    broken, sound = Unclosable(), Collect()
    report = run(ListSource([still()]), DECODE, [Outlet(broken), Outlet(sound)])
    assert (broken.ended, sound.ended) == (["discarded"], ["closed"])
    assert report.outputs[0].error == "no room for the index"


@pytest.mark.parametrize("instant", [False, True])
def test_a_fault_at_the_end_of_a_sink_harms_no_other(instant: bool, caplog: pytest.LogCaptureFixture) -> None:
    class Unclosable(Collect):
        def close(self) -> None:
            raise OSError("the disk is full")

        def discard(self) -> None:
            super().discard()
            raise OSError("the disk is still full")

    broken, sound = Unclosable(), Collect()
    broken.instant = instant
    report = run(ListSource([still()]), DECODE, [Outlet(broken, "a.mp4"), Outlet(sound, "b.mp4")])
    assert (broken.ended, sound.ended) == (["discarded"], ["closed"])
    assert report.outputs[0].error == "a.mp4: OSError: the disk is full"
    assert "the disk is still full" in caplog.text


@pytest.mark.parametrize("error", [OSError("the disk is full"), SystemExit("found")])
def test_what_the_only_sink_raises_at_its_end_is_the_runs(error: BaseException) -> None:
    class Unclosable(Collect):
        def close(self) -> None:
            raise error

    broken = Unclosable()
    with pytest.raises(type(error), match=str(error)):
        run(ListSource([still()]), DECODE, broken)
    assert broken.ended == ["discarded"]


@pytest.mark.parametrize("beside", [Collect, Interactive])
@pytest.mark.parametrize("step", ["write", "close"])
def test_a_sink_that_ends_the_program_ends_the_run(step: str, beside: type[Collect]) -> None:
    class Exiting(Collect):
        def write(self, frame: Frame) -> None:
            super().write(frame)
            if step == "write":
                raise SystemExit("found")

        def close(self) -> None:
            raise SystemExit("found")

    exiting, other = Exiting(), beside()
    source = ListSource([still()] * 500)
    with pytest.raises(SystemExit, match="found"):
        run(source, DECODE, [Outlet(exiting), Outlet(other, when_full="drop"), Outlet(Collect())])
    assert exiting.ended == ["discarded"]
    if step == "write":
        assert source.yielded < 60
        assert other.ended == (["closed"] if other.interactive else ["discarded"])


def test_an_interactive_sink_has_the_callers_thread() -> None:
    window, file = Interactive(), Collect()
    run(ListSource([still()] * 10), DECODE, [Outlet(file), Outlet(window, when_full="wait")])
    assert len(window.pictures) == len(file.pictures) == 10
    assert window.threads == {threading.current_thread()}
    assert window.ended == ["closed"]


@pytest.mark.parametrize("alone", [True, False])
def test_an_interactive_sink_is_served_and_can_be_shut_while_nothing_comes(alone: bool) -> None:
    window, file = Interactive(shuts=True), Collect()
    shown = [Outlet(window, ends_run=True)]
    report = run(ListSource([still()], ends=False), DECODE, shown if alone else [*shown, Outlet(file)])
    assert window.looks == 3
    assert len(window.pictures) == 1
    assert report.interrupted
    assert window.ended == ["closed"]


def test_two_interactive_sinks_are_refused() -> None:
    with pytest.raises(ValueError, match="interactive"):
        run(ListSource([still()]), DECODE, [Outlet(Interactive()), Outlet(Interactive())])


def test_sizes_are_made_alike_only_for_those_that_need_it() -> None:
    fixed, free = Collect(fixed_size=True), Collect()
    pictures = [still(1), still(2, size=(32, 32)), still(3)]
    report = run(ListSource(pictures), DECODE, [Outlet(fixed), Outlet(free)])
    assert [(picture.width, picture.height) for picture in fixed.pictures] == [SIZE] * 3
    assert [(picture.width, picture.height) for picture in free.pictures] == [SIZE, (32, 32), SIZE]
    assert report.resized == 1


def test_the_plain_decode_is_made_only_while_a_sink_asks_for_it() -> None:
    class Curious(Collect):
        """Wants the plain decode once it has seen some frames."""

        def write(self, frame: Frame) -> None:
            super().write(frame)
            self.original = len(self.pictures) >= 10

    curious = Curious()
    run(ListSource([still(n % 5) for n in range(60)]), DECODE, [Outlet(curious), Outlet(Collect())])
    assert curious.originals[:3] == [None] * 3
    shown = [
        (picture, original)
        for picture, original in zip(curious.pictures, curious.originals, strict=True)
        if original is not None
    ]
    assert shown[-1][0].index == 59
    for picture, original in shown:
        assert_same_planes(original, picture)
        assert (original.index, original.pts) == (picture.index, picture.pts)


def sounds(count: int) -> list[list[SoundPacket]]:
    """Two packets of sound with each picture."""
    return [
        [SoundPacket(0, bytes([index, n]), 2 * index + n, None, 1, Fraction(1, 50)) for n in (0, 1)]
        for index in range(count)
    ]


def test_sound_stands_before_its_picture_also_where_that_is_dropped() -> None:
    sink = Collect()
    broken = still()[:100]
    run(ListSource([still(), broken, still()], sounds=sounds(3)), DECODE, sink, PipelineSettings(on_corrupt="drop"))
    found = [item.data if isinstance(item, SoundPacket) else item.picture.index for item in sink.items]
    assert found == [b"\0\0", b"\0\1", 0, b"\1\0", b"\1\1", b"\2\0", b"\2\1", 2]


def test_sinks_without_sound_get_none() -> None:
    deaf, hearing = Collect(sound=False), Collect()
    run(ListSource([still()] * 5, sounds=sounds(5)), DECODE, [Outlet(deaf), Outlet(hearing)])
    assert (len(deaf.items), len(hearing.items)) == (5, 15)


def test_cameras_share_a_pool_and_have_no_workers_of_their_own() -> None:
    from concurrent.futures import ThreadPoolExecutor

    counted: list[int] = []
    with ThreadPoolExecutor(2) as pool:
        sinks = [Collect() for _ in range(4)]
        before = threading.active_count()

        def camera(sink: Collect) -> None:
            run(ListSource([still(n % 3) for n in range(40)]), DECODE, sink, pool=pool)
            counted.append(threading.active_count() - before)

        threads = [threading.Thread(target=camera, args=(sink,)) for sink in sinks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
    for sink in sinks:
        assert [picture.index for picture in sink.pictures] == list(range(40))
    assert max(counted) <= 4 + 2


def test_frames_hold_the_plain_decode_where_it_is_asked_for() -> None:
    report = Report()
    frames = list(restore_frames(ListSource([still(1)]), DECODE, report=report, original=True))
    assert len(frames) == 1
    assert isinstance(frames[0], Frame)
    assert frames[0].original is not None
    assert_same_planes(frames[0].original, frames[0].picture)
    assert frames[0].arrived is not None


def test_a_file_is_finished_although_the_window_beside_it_is_paused() -> None:
    file = Collect()

    class Paused(Interactive):
        """Goes on once the file is finished."""

        def write(self, frame: Frame) -> None:
            until = time.monotonic() + LIMIT
            while not file.ended and time.monotonic() < until:
                time.sleep(0.001)
            super().write(frame)

    window = Paused()
    run(ListSource([still()] * 10), DECODE, [Outlet(file), Outlet(window, when_full="drop")])
    assert (file.ended, len(file.pictures)) == (["closed"], 10)
    assert window.ended == ["closed"]
