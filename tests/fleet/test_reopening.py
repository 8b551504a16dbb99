"""An output that fails is opened again, and what it cannot take is nobody's trouble."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from mjpeg_restore.errors import Hint, MjpegRestoreError, OutputExists, SinkError
from mjpeg_restore.fleet.reopening import Opened, Reopening
from mjpeg_restore.frames import Frame
from mjpeg_restore.retries import Delays
from mjpeg_restore.testing import Collect
from tests.sinks.conftest import flat

FRAME = Frame(flat())
DELAYS = Delays(shortest=1.0, longest=4.0, share=1.0, steady=60.0, chance=0.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Disk:
    """Opens sinks, or fails as it is told."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.error: MjpegRestoreError | None = None
        self.fail_at: int | None = None
        self.instead = ""
        self.opened: list[Collect] = []
        self.tries: list[float] = []

    def open(self) -> Opened:
        self.tries.append(self._clock.now)
        if self.error:
            raise self.error
        self.opened.append(Collect(fixed_size=True, original=True, fail_at=self.fail_at))
        return Opened(self.opened[-1], self.instead)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk(clock: Clock) -> Disk:
    return Disk(clock)


Make = Callable[[], Reopening]


@pytest.fixture
def make(disk: Disk, clock: Clock) -> Make:
    return lambda: Reopening("door", "door.mp4", disk.open, DELAYS, clock)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_sink_that_works_is_written_and_finished(make: Make, disk: Disk) -> None:
    sink = make()
    assert sink.fixed_size and sink.sound and sink.original
    sink.write(FRAME)
    sink.close()
    sink.discard()
    assert [(len(one.pictures), one.ended) for one in disk.opened] == [(1, ["closed"])]


def test_a_failure_is_discarded_and_begun_anew_after_a_while(make: Make, disk: Disk, clock: Clock) -> None:
    disk.fail_at = 2
    sink = make()
    for _ in range(5):
        sink.write(FRAME)
    assert sink.failure == "the disk is full"
    disk.fail_at = None
    clock.now += 0.9
    sink.write(FRAME)
    assert len(disk.opened) == 1
    clock.now += 0.2
    sink.write(FRAME)
    sink.close()
    assert [(len(one.pictures), one.ended) for one in disk.opened] == [(2, ["discarded"]), (1, ["closed"])]


def test_an_output_that_cannot_be_opened_is_tried_with_growing_delays(
    make: Make, disk: Disk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    disk.error = OutputExists("door.mp4 exists", Hint("{overwrite} replaces it", overwrite=True))
    sink = make()
    for _ in range(30):
        clock.now += 1
        sink.write(FRAME)
    assert disk.tries == [100, 101, 102, 104, 108, 112, 116, 120, 124, 128]
    assert said(caplog) == ["door: door.mp4: exists: overwrite = true replaces it; trying again"]
    assert {(record.event, record.source) for record in caplog.records} == {("output_failed", "door")}  # pyright: ignore[reportAttributeAccessIssue]
    sink.close()
    assert not disk.opened


@pytest.mark.parametrize("message", ["door.mp4: no room", "no room", "door.mp4 no room", "door.mp4/ no room"])
def test_a_line_names_the_output_once(message: str, make: Make, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    disk.error = SinkError(message)
    assert make().failure == "no room"
    assert said(caplog) == ["door: door.mp4: no room; trying again"]


def test_it_is_well_again_once_it_has_held_for_a_while(
    make: Make, disk: Disk, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    disk.fail_at = 0
    sink = make()
    sink.write(FRAME)
    disk.fail_at = None
    clock.now += 2
    sink.write(FRAME)
    assert sink.failure  # on a full disk, the first pictures may fit into the encoder
    clock.now += 10
    sink.write(FRAME)
    assert sink.failure is None
    assert said(caplog)[-1] == "door: door.mp4: is written again"


def test_sound_that_cannot_be_written_is_a_failure_too(make: Make, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(packet: object) -> None:
        raise SinkError("no room for sound")

    sink = make()
    monkeypatch.setattr(disk.opened[0], "write_sound", fail)
    sink.write_sound(None)  # pyright: ignore[reportArgumentType]
    assert sink.failure == "no room for sound"
    assert disk.opened[0].ended == ["discarded"]
    sink.write_sound(None)  # pyright: ignore[reportArgumentType]


def test_a_consumer_that_has_gone_may_come_back(make: Make, disk: Disk, clock: Clock) -> None:
    sink = make()
    disk.opened[0]._leave_at = 1
    sink.write(FRAME)
    assert sink.failure == "whoever took it has gone"
    assert not sink.closed
    clock.now += 1
    sink.write(FRAME)
    assert [(len(one.pictures), one.ended) for one in disk.opened] == [(1, ["closed"]), (1, [])]


def test_an_end_that_fails_is_told(make: Make, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise SinkError("cannot rename the file")

    sink = make()
    monkeypatch.setattr(disk.opened[0], "close", fail)
    sink.close()
    assert sink.failure == "cannot rename the file"


def test_a_file_in_place_of_another_is_told_of_when_it_is_there(
    make: Make, disk: Disk, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    disk.fail_at = 0
    sink = make()
    sink.write(FRAME)
    for number in range(3):
        disk.instead = f"{tmp_path}/door-{number}.mp4"
        clock.now += 10
        sink.write(FRAME)
    assert len(disk.opened) == 4
    disk.fail_at, disk.instead = None, f"{tmp_path}/door-3.mp4"
    clock.now += 10
    sink.write(FRAME)
    Path(disk.instead).touch()
    sink.write(FRAME)
    sink.write(FRAME)
    found = [line for line in said(caplog) if "what follows" in line]
    assert found == [f"door: door.mp4: is kept, what follows is {disk.instead}"]
