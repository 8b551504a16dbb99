"""The log of a camera's troubles: one line when one begins, one when it is over."""

from __future__ import annotations

import logging
from fractions import Fraction

import pytest

from mjpeg_restore.episodes import LiveEpisodes
from mjpeg_restore.errors import BadJpeg
from mjpeg_restore.frames import Packet
from mjpeg_restore.stages import Job

BASE = Fraction(1, 1000)


def job(seconds: float, *, damage: str = "", late: int = 0, silent: bool = False, bad: bool = False) -> Job:
    packet = Packet(b"", int(25 * seconds), int(1000 * seconds), BASE, silent=silent)
    return Job(packet, seconds, damage=damage, late=late, error=BadJpeg("no picture in it") if bad else None)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="mjpeg_restore")
    return caplog


def test_damage_in_every_other_picture_is_one_episode(log: pytest.LogCaptureFixture) -> None:
    episodes = LiveEpisodes("cam")
    for n in range(100):
        episodes.update(job(n / 25, damage="ends too early" if n % 2 else ""))
    for n in range(100, 600):
        episodes.update(job(n / 25))
    assert log.messages == [
        "cam: damaged since packet 1: ends too early",
        "cam: sound again: 50 damaged in 3.9 s",
    ]
    assert [record.__dict__["event"] for record in log.records] == ["damaged", "recovered"]
    assert [record.levelname for record in log.records] == ["WARNING", "INFO"]


def test_unreadable_pictures_are_damage(log: pytest.LogCaptureFixture) -> None:
    LiveEpisodes("cam").update(job(2, bad=True))
    assert log.messages == ["cam: damaged since packet 50: no picture in it"]


def test_trouble_that_returns_is_told_again(log: pytest.LogCaptureFixture) -> None:
    episodes = LiveEpisodes("cam")
    for seconds in (0, 20, 40):
        episodes.update(job(seconds, damage="cut off"))
        episodes.update(job(seconds + 15))
    assert [record.__dict__["event"] for record in log.records] == 3 * ["damaged", "recovered"]
    assert log.messages[1] == "cam: sound again: 1 damaged"


def test_late_pictures_are_counted(log: pytest.LogCaptureFixture) -> None:
    episodes = LiveEpisodes("cam")
    for seconds, late in ((1, 0), (2, 9), (5, 3), (6, 2), (17, 0)):
        episodes.update(job(seconds, late=late))
    assert log.messages == [
        "cam: late since packet 125: restoring or writing is slower than the camera",
        "cam: in time again: 5 dropped in 1.0 s",
    ]


def test_silence_is_no_recovery(log: pytest.LogCaptureFixture) -> None:
    episodes = LiveEpisodes("cam")
    episodes.update(job(1, damage="cut off"))
    episodes.update(job(100, silent=True))
    assert len(log.messages) == 1
