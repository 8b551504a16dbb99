"""A recording that is played like a camera: when its pictures come, and how it goes on after its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise

import pytest

from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import Packet
from mjpeg_restore.sources import Paced, open_source
from mjpeg_restore.testing import ListSource
from tests.sources.clips import MuxClip
from tests.streams import still


class Clock:
    """A wall clock that moves when something waits for it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("mjpeg_restore.sources.pacing.time", made)

    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            made.now += timeout or 0
            return self.is_set()

    monkeypatch.setattr("mjpeg_restore.sources.pacing.Event", Waiting)
    return made


def source(times: list[int]) -> ListSource:
    return ListSource([still()] * len(times), times)


def test_pictures_come_at_their_times(clock: Clock) -> None:
    packets = list(Paced(source([100, 140, 300, 1300])))
    assert [packet.pts for packet in packets] == [100, 140, 300, 1300]
    assert [packet.arrived for packet in packets] == pytest.approx([1000, 1000.04, 1000.2, 1001.2])


def test_after_a_pause_the_clock_restarts_and_a_short_one_is_made_up_for(clock: Clock) -> None:
    came: list[float] = []
    for packet in Paced(source([0, 100, 200, 300, 400, 500])):
        came.append(clock.now - 1000)
        clock.now += {0: 0.25, 300: 5.0}.get(packet.pts, 0.0)
    assert came == pytest.approx([0, 0.25, 0.25, 0.3, 5.3, 5.4])


def test_it_begins_again_on_one_clock(clock: Clock) -> None:
    paced = Paced(source([10, 50]), lambda: source([10, 50]))
    assert paced.info.frames is None  # they are endless
    packets = list(islice(paced, 5))
    assert [packet.index for packet in packets] == [0, 1, 2, 3, 4]
    assert all(after.pts > before.pts for before, after in pairwise(packets))
    assert [packet.discontinuity for packet in packets] == [False, False, True, False, True]
    assert packets[2].pts == 50 + 40 + 10  # 25 pictures a second where nothing else is known
    paced.close()


def test_the_sound_begins_again_with_the_pictures(mux: MuxClip, clock: Clock) -> None:
    path = mux("clip.mkv", sound="pcm_s16le")
    with Paced(open_source(path), lambda: open_source(path)) as paced:
        packets = list(islice(paced, 20))
    heard = [sound for packet in packets for sound in packet.sound]
    times = [sound.time for sound in heard]
    assert None not in times
    assert times == sorted(times, key=lambda when: when or Fraction(0))
    half = len(heard) // 2
    assert [sound.data for sound in heard[:half]] == [sound.data for sound in heard[half:]]
    assert (times[half] or 0) >= packets[9].time


def test_a_recording_that_is_gone_when_it_begins_again_is_an_error(clock: Clock) -> None:
    def gone() -> ListSource:
        raise SourceError("the file was removed")

    with pytest.raises(SourceError, match="removed"):
        list(Paced(source([0, 40]), gone))


def test_an_empty_round_is_the_end(clock: Clock) -> None:
    assert len(list(Paced(source([0, 40]), lambda: source([])))) == 2


def test_stop_ends_the_wait() -> None:
    paced = Paced(source([0, 3_600_000]))
    came: list[Packet] = []

    def read() -> None:
        came.extend(paced)

    thread = threading.Thread(target=read)
    thread.start()
    while not came:
        time.sleep(0.001)
    paced.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert len(came) == 1


def test_closing_closes_every_round(clock: Clock) -> None:
    rounds: list[ListSource] = []

    def again() -> ListSource:
        rounds.append(source([0, 40]))
        return rounds[-1]

    def packets(paced: Paced) -> Iterator[Packet]:
        return islice(paced, 7)

    paced = Paced(again(), again)
    list(packets(paced))
    paced.close()
    assert len(rounds) == 4
    assert all(one.closed for one in rounds)
