"""A run from its source to its sink: order, times, sizes, and how it ends."""

from __future__ import annotations

import contextlib
import io
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import RuntimeUnavailable, SinkError, SourceError
from mjpeg_restore.frames import Frame, Packet
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Network, Progress
from mjpeg_restore.sinks import BaseSink
from mjpeg_restore.testing import Collect, ListSource
from tests.jpeg.pictures import insert
from tests.streams import DECODE, SIZE, assert_shows, exif, restore, still, troubles

# ---- what is given as sinks ----


class Listed(list[Frame], BaseSink):
    """A sink that is a list."""

    def write(self, frame: Frame) -> None:
        self.append(frame)


def test_a_sink_that_is_a_list_is_a_sink() -> None:
    sink = Listed()
    run(ListSource([still()] * 3), DECODE, sink)
    assert len(sink) == 3


@pytest.mark.parametrize(
    ("sink", "message"),
    [
        ("out.mp4", r"'out.mp4' is no sink: give one, such as open_sink\('out.mp4'\)"),
        (None, "None is no sink"),
        (io.BytesIO(), "BytesIO object at .* is no sink"),
        ([Collect()], r"is no outlet: a list holds sinks as Outlet\(sink\)"),
        (["out.mp4"], "'out.mp4' is no outlet"),
        ([Outlet(cast(Any, "out.mp4"))], "is no outlet"),
    ],
)
def test_what_is_no_sink_is_refused(sink: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run(ListSource([still()]), DECODE, sink)


def test_without_a_sink_pictures_are_at_most_verified() -> None:
    with pytest.raises(ValueError, match="no outlets"):
        run(ListSource([still()]), DECODE, [])
    report = run(ListSource([still()]), DECODE, [], PipelineSettings(verify=True))
    assert report.verified


# ---- order, times ----


def test_order_and_time_stamps_are_kept() -> None:
    times = [7, 40, 41, 300, 1001, 1002, 1500, 9000]
    sink = Collect()
    report = run(ListSource([still(seed) for seed in range(8)], times), DECODE, sink)
    assert [picture.pts for picture in sink.pictures] == times
    assert [picture.index for picture in sink.pictures] == list(range(8))
    assert {picture.time_base for picture in sink.pictures} == {Fraction(1, 1000)}
    for seed, picture in enumerate(sink.pictures):
        assert_shows(picture, still(seed))
    assert troubles(report) == {}


def test_frames_limits_the_packets() -> None:
    source = ListSource([still()] * 50)
    report = run(source, DECODE, Collect(), PipelineSettings(frames=3))
    assert report.frames == 3
    assert source.yielded == 3


def test_memory_does_not_grow_with_the_length() -> None:
    planes: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    class Forget(Collect):
        def write(self, frame: Frame) -> None:
            nonlocal most
            planes.append(weakref.ref(frame.picture.planes[0]))
            most = max(most, sum(plane() is not None for plane in planes))

    data = still(0), still(1)
    report = run(ListSource(data[number % 2] for number in range(400)), DECODE, Forget())
    assert report.frames == 400
    assert most <= 8  # the one at hand, the restorer's last, what is under way, and what threads have not let go yet


def test_a_source_is_not_read_far_ahead_of_a_slow_sink() -> None:
    source = ListSource([still()] * 100)
    ahead: list[int] = []

    class Slow(Collect):
        def write(self, frame: Frame) -> None:
            super().write(frame)
            threading.Event().wait(0.002)
            ahead.append(source.yielded - len(self.pictures))

    run(source, DECODE, Slow())
    assert max(ahead) <= 16


# ---- the end of a run ----


def test_a_stream_of_unreadable_pictures_ends_with_one_line() -> None:
    sink = Collect()
    with pytest.raises(SourceError, match="a list: no picture could be restored; packet 0: only 50 bytes") as caught:
        run(ListSource([bytes(50)] * 20), DECODE, sink)
    assert "\n" not in str(caught.value)
    assert sink.ended == ["discarded"]


def test_a_single_damaged_picture_names_the_way_to_have_it() -> None:
    data = still()
    cut = data[: len(data) * 2 // 3]
    with pytest.raises(SourceError, match=r"no picture could be restored; packet 0: .*: on_corrupt='pass' shows"):
        run(ListSource([cut]), DECODE, Collect())
    sink = Collect()
    run(ListSource([cut]), DECODE, sink, PipelineSettings(on_corrupt="pass"))
    assert len(sink.pictures) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"on_corrupt": "mend"}, {"on_stall": "wait"}, {"frames": -1}, {"frames": 0}, {"max_latency": float("nan")}],
    ids=str,
)
def test_settings_that_there_are_not_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PipelineSettings(**wrong)


def test_no_packets_at_all_is_an_error() -> None:
    with pytest.raises(SourceError, match="no picture could be restored"):
        run(ListSource([]), DECODE, Collect())


def test_an_error_of_the_source_discards_the_output() -> None:
    def breaking() -> Iterator[bytes]:
        yield still()
        raise SourceError("the plug was pulled")

    sink = Collect()
    with pytest.raises(SourceError, match="plug"):
        run(ListSource(breaking()), DECODE, sink)
    assert sink.ended == ["discarded"]
    assert len(sink.pictures) == 1


def test_an_error_of_the_sink_discards_the_output() -> None:
    sink = Collect(fail_at=3)
    source = ListSource([still()] * 500)
    with pytest.raises(SinkError, match="the disk is full"):
        run(source, DECODE, sink)
    assert sink.ended == ["discarded"]
    assert source.yielded < 30
    assert not [thread for thread in threading.enumerate() if "feeder" in thread.name]


def test_an_error_of_the_network_discards_the_output() -> None:
    class Unusable(Restorer):
        def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
            raise RuntimeUnavailable("no such driver")

    sink = Collect()
    with pytest.raises(RuntimeUnavailable, match="no such driver"):
        run(ListSource([still()]), Unusable("decode"), sink)
    assert sink.ended == ["discarded"]


def test_the_stop_event_finishes_the_output() -> None:
    stop = threading.Event()
    sink = Collect()
    source = ListSource([still()] * 500)
    report = run(source, DECODE, sink, progress=lambda report: stop.set() if report.frames == 4 else None, stop=stop)
    assert sink.ended == ["closed"]
    assert report.interrupted
    assert report.frames == 4
    assert source.yielded < 30


def test_a_sink_that_counts_as_closed_once_it_is_finished_was_not_interrupted() -> None:
    class Shut(Collect):
        def close(self) -> None:
            super().close()
            self.closed = True

    assert not run(ListSource([still()]), DECODE, Shut()).interrupted


def test_a_stopped_source_finishes_the_output() -> None:
    source = ListSource([still()] * 500)
    sink = Collect()
    report = run(source, DECODE, sink, progress=lambda report: source.stop() if report.frames == 4 else None)
    assert sink.ended == ["closed"]
    assert 4 <= report.frames < 30


def test_a_reader_that_goes_away_ends_the_run() -> None:
    sink = Collect(leave_at=2)
    report = run(ListSource([still()] * 500), DECODE, sink)
    assert sink.ended == ["closed"]
    assert report.frames == 2


class Silent(ListSource):
    """Yields one picture, then says nothing until it is stopped."""

    def __init__(self) -> None:
        super().__init__([still()])
        self.woken = threading.Event()

    def __iter__(self) -> Iterator[Packet]:
        yield from super().__iter__()
        self.woken.wait(timeout=30)

    def stop(self) -> None:
        super().stop()
        self.woken.set()


@pytest.mark.parametrize("sink", [Collect(leave_at=1), Collect(fail_at=0)], ids=["the reader left", "the disk is full"])
def test_a_silent_camera_does_not_hold_up_the_end(sink: Collect) -> None:
    source = Silent()
    with contextlib.suppress(SinkError):
        run(source, DECODE, sink)
    assert source.woken.is_set()


# ---- sizes ----


def test_b2_sizes_are_compared_once_pictures_are_upright() -> None:
    sink = Collect(fixed_size=True)
    report = run(ListSource([insert(still(1), exif(6)), still(2, size=(SIZE[1], SIZE[0]))]), DECODE, sink)
    assert report.resized == 0
    assert [(picture.width, picture.height) for picture in sink.pictures] == [SIZE[::-1]] * 2


def test_b2_a_sink_of_fixed_size_gets_the_first_size() -> None:
    sink = Collect(fixed_size=True)
    sizes = [(64, 48), (64, 48), (128, 96), (31, 17), (64, 48)]
    report = run(ListSource([still(seed, size=size) for seed, size in enumerate(sizes)]), DECODE, sink)
    assert {(picture.width, picture.height) for picture in sink.pictures} == {(64, 48)}
    assert troubles(report) == {"resized": 2}


def test_b2_any_other_sink_gets_them_as_they_are() -> None:
    sizes = [(64, 48), (128, 96), (31, 17)]
    pictures, report = restore([still(size=size) for size in sizes])
    assert [(picture.width, picture.height) for picture in pictures] == sizes
    assert troubles(report) == {}
