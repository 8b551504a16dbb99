"""The public test doubles do what they say, so that others' tests may rely on them."""

from __future__ import annotations

import threading
import time
from fractions import Fraction

import numpy as np
import pytest

import mjpeg_restore
from mjpeg_restore import Restorer, Sampling, SinkError, SoundPacket, restore_pictures, run
from mjpeg_restore.jpeg import read
from mjpeg_restore.testing import Collect, ListSource, jpegs

DECODE = Restorer("decode")
LIMIT = 30


@pytest.mark.parametrize("sampling", [Sampling.YUV420, Sampling.YUV422, Sampling.YUV444])
@pytest.mark.parametrize("size", [(64, 48), (37, 29), (8, 8)])
def test_jpegs_are_sound_and_each_is_another(sampling: Sampling, size: tuple[int, int]) -> None:
    clip = jpegs(4, size, sampling=sampling)
    coded = [read(data) for data in clip]
    assert {(picture.width, picture.height, picture.sampling) for picture in coded} == {(*size, sampling)}
    assert not any(picture.warnings or picture.damage for picture in coded)
    assert len({*clip}) == 4
    assert clip == jpegs(4, size, sampling=sampling)


def test_jpegs_are_as_coarse_as_is_asked_for() -> None:
    fine, coarse = (read(jpegs(1, coarseness=scale)[0]).tables[0] for scale in (2, 31))
    assert np.mean(coarse) > 4 * np.mean(fine)
    with pytest.raises(ValueError, match="4:1:1: there are 4:4:4, 4:2:2, 4:2:0"):
        jpegs(1, sampling=Sampling.YUV411)


def test_joined_jpegs_are_a_recording() -> None:
    assert [picture.index for picture in mjpeg_restore.open(b"".join(jpegs(5)), "decode")] == [0, 1, 2, 3, 4]


def test_a_list_is_a_source_and_a_sink() -> None:
    source, sink = ListSource(jpegs(3), times=[5, 40, 90]), Collect()
    with source:
        run(source, DECODE, sink)
    assert [picture.time for picture in sink.pictures] == [Fraction(5, 1000), Fraction(40, 1000), Fraction(90, 1000)]
    assert (source.yielded, source.closed, sink.ended) == (3, True, ["closed"])
    assert sink.originals == [None] * 3


def test_a_sink_is_given_sound_and_the_plain_decode() -> None:
    packets = [SoundPacket(0, bytes([n]), n, n, 1, Fraction(1, 25)) for n in range(2)]
    sink = Collect(original=True)
    run(ListSource(jpegs(3), sounds=[[packets[0]], [], [packets[1]]]), DECODE, sink)
    assert [item for item in sink.items if isinstance(item, SoundPacket)] == packets
    for picture, original in zip(sink.pictures, sink.originals, strict=True):
        assert original is not None
        np.testing.assert_array_equal(picture.planes[0], original.planes[0])


def test_a_sink_fails_as_it_is_told() -> None:
    failing = Collect(fail_at=2)
    with pytest.raises(SinkError, match="the disk is full"):
        run(ListSource(jpegs(5)), DECODE, failing)
    assert (len(failing.pictures), failing.ended) == (2, ["discarded"])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_sink_is_left_after_so_many_pictures(count: int) -> None:
    leaving = Collect(leave_at=count)
    assert run(ListSource(jpegs(5)), DECODE, leaving).interrupted
    assert (len(leaving.pictures), leaving.ended) == (count, ["closed"])


def test_a_live_list_stamps_its_pictures_as_they_arrive() -> None:
    begun = time.monotonic()
    packets = list(ListSource(jpegs(3), times=[0, 10, 30], live=True))
    arrived = [packet.arrived or 0 for packet in packets]
    assert arrived == sorted(arrived)
    assert arrived[2] - begun >= 0.03 - 1e-6  # the first may be late
    assert [packet.pts for packet in packets] == [0, 10, 30]


@pytest.mark.parametrize("times", [None, [0, 3_600_000]], ids=["silent", "slow"])
def test_a_source_that_waits_is_stopped(times: list[int] | None) -> None:
    source = ListSource(jpegs(2) if times else jpegs(1), times, live=True, ends=False)
    pictures = restore_pictures(source, DECODE)
    assert next(pictures).index == 0
    stopping = threading.Thread(target=pictures.close)
    stopping.start()
    stopping.join(LIMIT)
    assert not stopping.is_alive()
    assert source.stopped
