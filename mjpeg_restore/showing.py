"""What is shown, and when: time stamps, pictures that are shown again, silence, and one size for those that need it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import Literal

from mjpeg_restore.colour import blackened
from mjpeg_restore.episodes import LiveEpisodes
from mjpeg_restore.frames import Frame, Packet, Picture, SoundPacket, shown_again
from mjpeg_restore.orientation import fit
from mjpeg_restore.report import Report
from mjpeg_restore.sources import SourceInfo
from mjpeg_restore.stages import Job
from mjpeg_restore.verification import Verification

OnStall = Literal["hold", "black", "gap"]
"""What is delivered while a live source is silent; see `PipelineSettings.on_stall`."""


def shown(
    restored: Iterable[tuple[Job, Frame | None]],
    report: Report,
    info: SourceInfo,
    on_stall: OnStall,
    *,
    holds: bool,
) -> Generator[Frame | SoundPacket, None, bool]:
    """The frames that are shown, each with its packet's time; where there is none, the one before is held.

    Returns:
        Whether there was any.
    """
    previous: Frame | None = None
    episodes = LiveEpisodes(info.name) if info.live else None
    counts = report
    for job, made in restored:
        report = Report() if job.packet.preroll else counts
        report.late += job.late
        report.dropped += job.late
        if episodes:
            episodes.update(job)
        yield from job.packet.sound
        if job.packet.silent:
            frame = _instead(previous, on_stall) if info.live else None
        else:
            report.dropped += made is None and not job.error
            frame = previous if made is None and holds and not job.fragment else made
        if frame is None:
            continue
        report.held += made is None
        if made is not None:
            report.stage_times["read"].observe(job.read_seconds)
            report.stage_times["restore"].observe(job.restore_seconds)
        if job.verified:
            report.verified = (report.verified or Verification()) + job.verified
        if made is None:
            frame = _each(frame, shown_again)
        frame = _stamped(frame, job.packet, None if made is None else job.arrived)
        if not (job.packet.silent and on_stall == "black"):
            previous = frame
        report.delivered(frame.picture)
        yield frame
    return previous is not None


def _instead(previous: Frame | None, on_stall: OnStall) -> Frame | None:
    """What is shown while a live source is silent."""
    if previous is None or on_stall == "gap":
        return None
    return _each(previous, blackened) if on_stall == "black" else previous


def _stamped(frame: Frame, packet: Packet, arrived: float | None) -> Frame:
    """The frame with a packet's time; `arrived` is None where it is shown again."""

    def stamp(picture: Picture) -> Picture:
        time = {"pts": packet.pts, "time_base": packet.time_base, "duration": packet.duration}
        return replace(picture, index=packet.index, **time)

    return replace(_each(frame, stamp), arrived=arrived, preroll=packet.preroll)


def _each(frame: Frame, change: Callable[[Picture], Picture]) -> Frame:
    """The frame with both of its pictures changed."""
    original = frame.original and change(frame.original)
    return replace(frame, picture=change(frame.picture), original=original)


class Sizes:
    """Scales frames to the size of the first one, for sinks that take one size only (B2)."""

    def __init__(self, report: Report, *, letterbox: bool) -> None:
        self._report, self._letterbox = report, letterbox
        self._size: tuple[int, int] | None = None

    def __call__(self, frame: Frame) -> Frame:
        """The frame at the first one's size."""
        size = frame.picture.width, frame.picture.height
        self._size = first = self._size or size
        if size == first:
            return frame
        self._report.resized += 1
        return _each(frame, lambda picture: fit(picture, *first, letterbox=self._letterbox))
