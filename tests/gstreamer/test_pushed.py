"""The stages of the pipeline, pushed: the pictures are those of the pipeline that pulls."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest

from mjpeg_restore.damage import OnCorrupt
from mjpeg_restore.frames import Picture
from mjpeg_restore.gstreamer.pushed import PushedStream
from mjpeg_restore.jpeg.segments import DHT, DQT
from mjpeg_restore.ordered import Halt
from mjpeg_restore.pipeline import PipelineSettings, restore_pictures
from mjpeg_restore.testing import ListSource
from tests.jpeg.pictures import tables_alone, without
from tests.streams import DECODE, assert_same_planes, cut, still


def push(stream: PushedStream, packets: Sequence[bytes]) -> list[Picture | None]:
    """What is shown for each packet that holds more than tables."""
    jobs = [stream.read(packet) for packet in ListSource(packets)]
    restoring = [stream.restore(job) for job in jobs if job]
    return [stream.shown(future.result()) for future in restoring]


def begin(on_corrupt: OnCorrupt = "repair", halt: Halt | None = None) -> PushedStream:
    return PushedStream(DECODE, ListSource([]).info, halt or Halt(), on_corrupt=on_corrupt)


@pytest.mark.parametrize("on_corrupt", ["repair", "hold", "drop", "pass"])
def test_pictures_are_those_of_the_pipeline(on_corrupt: OnCorrupt) -> None:
    tables, bare = tables_alone(still(0), DHT, DQT), without(still(3), DHT, DQT)
    packets = [still(0), cut(still(0)), still(1), cut(still(2)), b"no picture" * 30, b"", tables, bare, still(4)]
    stream = begin(on_corrupt)
    ours = [picture for picture in push(stream, packets) if picture]
    stream.close()
    theirs = [*restore_pictures(ListSource(packets), DECODE, PipelineSettings(on_corrupt=on_corrupt))]
    assert len(ours) == len(theirs)
    for picture, expected in zip(ours, theirs, strict=True):
        assert_same_planes(picture, expected)


def test_what_comes_after_a_restart_repairs_and_holds_nothing_from_before() -> None:
    stream = begin()
    first = push(stream, [still(0), cut(still(0))])
    stream.restart()
    after = push(stream, [cut(still(0)), b"", without(still(0), DHT, DQT)])
    stream.close()
    assert None not in first
    assert [picture is None for picture in after] == [True, True, False]  # Q5: tables are remembered


def test_a_halt_ends_what_waits() -> None:
    halt = Halt()
    stream = begin(halt=halt)
    (packet,) = ListSource([still()])
    job = stream.read(replace(packet, index=7))
    assert job and job.packet.index == 7
    halt.request()
    with pytest.raises(CancelledError):
        stream.restore(job).result()
    stream.close()
