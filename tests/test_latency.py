"""Bounded latency: which of the waiting pictures are dropped, and that nothing else is."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from mjpeg_restore.errors import BadJpeg
from mjpeg_restore.frames import CodedPicture, Frame, Packet, Sampling
from mjpeg_restore.latency import drop_late
from mjpeg_restore.ordered import Halt
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures, run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import BaseSource, SourceInfo
from mjpeg_restore.stages import Job
from mjpeg_restore.testing import Collect
from tests.restorers import Counting
from tests.streams import cut, decoded, still

BASE = Fraction(1, 1000)


def job(index: int, *, silent: bool = False, discontinuity: bool = False, age: float = 0.0) -> Job:
    """A job that arrives `age` seconds before it is passed on."""
    packet = Packet(b"", index, index, BASE, silent=silent, discontinuity=discontinuity)
    return Job(packet, -age)


def passed(
    jobs: list[Job], *, busy: float = 0.0, waiting: int = 2, max_latency: float = 0.2, loading: bool = False
) -> list[Job]:
    """What comes out if the next stage takes the first job, and is then busy until all others have arrived and longer.

    Args:
        jobs: the first one is there at once, the others come when the next stage has been busy for `busy` seconds.
        busy: seconds.
        waiting, max_latency: of `drop_late`.
        loading: the network is loaded when all have arrived; else it was before.
    """
    others, everything = threading.Event(), threading.Event()
    loaded = math.inf if loading else 0.0

    def source() -> Generator[Job]:
        yield jobs[0]
        others.wait(30)
        yield from (replace(entry, arrived=entry.arrived + time.monotonic()) for entry in jobs[1:])
        everything.set()

    slow = drop_late(source(), waiting=waiting, max_latency=max_latency, loaded=lambda: loaded, halt=Halt())
    first = next(slow)
    time.sleep(busy)
    others.set()
    assert everything.wait(30)
    loaded = min(loaded, time.monotonic())
    return [first, *slow]


def indices(jobs: list[Job]) -> list[int]:
    return [entry.packet.index for entry in jobs]


def test_a_burst_may_wait() -> None:
    assert indices(passed([job(n) for n in range(20)])) == list(range(20))


def test_of_a_standing_queue_the_oldest_are_dropped_and_counted_by_the_next() -> None:
    found = passed([job(n) for n in range(20)], busy=0.3)
    assert indices(found) == [0, 18, 19]
    assert [entry.late for entry in found] == [0, 17, 0]


def test_of_old_jobs_only_the_newest_is_left() -> None:
    found = passed([job(n, age=10.0) for n in range(5)], busy=0.3, waiting=8)
    assert (indices(found), found[-1].late) == ([0, 4], 3)


def test_what_waits_for_the_network_to_be_loaded_is_not_late() -> None:
    assert indices(passed([job(n) for n in range(20)], busy=0.3, loading=True)) == list(range(20))


def test_memory_is_bounded_while_the_network_is_loaded() -> None:
    found = passed([job(n) for n in range(100)], loading=True)
    assert indices(found) == [0, *range(76, 100)]
    assert found[1].late == 75


def test_memory_is_bounded_for_pictures_of_any_size() -> None:
    blocks = np.broadcast_to(np.int16(0), (1000, 1000, 64))  # 128 MB, of which none are there
    large = CodedPicture(8000, 8000, Sampling.GRAY, (blocks,), (np.ones(64, np.uint16),))
    found = passed([replace(job(n), coded=(large,)) for n in range(20)], loading=True)
    assert indices(found) == [0, 18, 19]
    assert found[1].late == 17


def test_silences_are_not_counted_and_discontinuities_go_on() -> None:
    jobs = [job(0), job(1, discontinuity=True), job(2), job(2, silent=True), job(3), job(4)]
    found = passed(jobs, waiting=1, busy=0.3)
    assert indices(found) == [0, 4]
    assert found[1].late == 3  # the silence is no picture
    assert found[1].packet.discontinuity


def test_what_is_counted_as_unreadable_is_not_counted_as_late() -> None:
    jobs = [job(0), replace(job(1), error=BadJpeg("no headers")), job(2), job(3)]
    found = passed(jobs, waiting=1, busy=0.3)
    assert (indices(found), found[1].late) == ([0, 3], 1)


def test_an_error_comes_after_the_jobs_that_wait() -> None:
    def source() -> Generator[Job]:
        yield job(0)
        raise LookupError("gone")

    stage = drop_late(source(), waiting=2, max_latency=60, loaded=lambda: 0.0, halt=Halt())
    assert next(stage).packet.index == 0
    with pytest.raises(LookupError, match="gone"):
        next(stage)


def test_closing_ends_the_jobs() -> None:
    closed = threading.Event()
    ended = threading.Event()

    def source() -> Generator[Job]:
        try:
            yield job(0)
            while not closed.wait(0.01):
                yield job(1)
        finally:
            ended.set()

    stage = drop_late(source(), waiting=2, max_latency=60, loaded=lambda: 0.0, halt=Halt(closed.set))
    next(stage)
    stage.close()
    assert ended.is_set()


class Camera(BaseSource):
    """Pictures that arrive at once, whether they are taken or not.

    Attributes:
        over: all have arrived.
    """

    def __init__(self, pictures: list[bytes], *, after: threading.Event | None = None, live: bool = True) -> None:
        self.info = SourceInfo("camera", "list", "arrival", BASE, live=live)
        self.over = threading.Event()
        self._pictures = pictures
        self._after = after

    def __iter__(self) -> Iterator[Packet]:
        for index, data in enumerate(self._pictures):
            if index == 1 and self._after:
                self._after.wait(30)
            yield Packet(data, index, 40 * index, BASE, arrived=time.monotonic())
            time.sleep(0.04 if self._after else 0)
        self.over.set()


class Slow(Collect):
    """Takes its time with the first picture, until the others have arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.first = threading.Event()

    def write(self, frame: Frame) -> None:
        super().write(frame)
        self.first.set()
        if len(self.pictures) == 1:
            time.sleep(1.0)


def test_late_pictures_are_dropped_behind_the_damage_policy() -> None:
    """The broken picture is repaired from the one before it, although that one is never shown."""

    class SlowAtFirst(Slow):
        def write(self, frame: Frame) -> None:
            super().write(frame)
            assert camera.over.wait(30)

    sink = SlowAtFirst()
    camera = Camera([still(0), *(still(n) for n in range(1, 12)), cut(still(12))], after=sink.first)
    report = run(camera, Restorer("decode", streams=1), sink)
    assert report.late == report.dropped > 5
    assert report.damaged == report.repaired == 1
    assert report.packets == 13 == report.frames - report.held + report.dropped + report.unreadable
    before = decoded(still(11))[0]
    assert (sink.pictures[-1].planes[0][-16:] == before[-16:]).all()
    assert [picture.index for picture in sink.pictures] == sorted({picture.index for picture in sink.pictures})


def test_never_drops_nothing() -> None:
    sink = Slow()
    source = Camera([still(n) for n in range(12)], after=sink.first)
    report = run(source, Restorer("decode", streams=1), sink, PipelineSettings(drop="never"))
    assert (report.frames, report.late) == (12, 0)


def test_latency_counts_from_the_arrival_until_the_sink_has_it() -> None:
    report = run(Camera([still(0)]), Restorer("decode", streams=1), Slow())
    assert report.latency_ms["p50"] >= 1000


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize(("live", "more"), [(True, 0), (False, 2)])
def test_as_many_pictures_are_under_way_as_the_docstring_says(live: bool, more: int, streams: int) -> None:
    """In the network's stage: as many as streams for a camera, two more for a recording."""

    counting = Counting("decode", streams=streams)
    pictures = restore_pictures(Camera([still(n) for n in range(20)], live=live), counting)
    next(pictures)  # the consumer has taken one, and asks for no other
    until = time.monotonic() + 30
    while counting.restored < 1 + streams + more and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)  # a further one would come now
    assert counting.restored == 1 + streams + more
    pictures.close()
