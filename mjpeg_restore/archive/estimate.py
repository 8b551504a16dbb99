"""Estimates for `--dry-run`: number of frames, and time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.parts import PartSource
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.archive.steps import output_settings
from mjpeg_restore.archive.store import named
from mjpeg_restore.errors import MjpegRestoreError, ModelError, RuntimeUnavailable, reason_of
from mjpeg_restore.frames import Frame
from mjpeg_restore.pipeline import restore_pictures
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.showing import Sizes
from mjpeg_restore.sinks.joining import VideoPart
from mjpeg_restore.sources import Source, open_source
from mjpeg_restore.stages import walk_headers

_TRIED = 3
"""Recordings whose first pictures are restored to measure the speed."""
_WARMING, _TIMED = 3, 8
"""Pictures before the clock starts, and those that are timed."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimate for one recording, from its header and first picture."""

    recording: Recording
    frames: int | None = None
    """Number of pictures; None if unknown."""
    size: tuple[int, int] | None = None
    """Width and height; None if unknown."""
    error: str | None = None
    """Why it will be refused, or fail; None if it is a recording."""
    fails: bool = False
    """True: it will fail, as there can be no file of its output's name."""

    @property
    def pixels(self) -> int | None:
        """Pixels of all frames; None if unknown."""
        return self.frames * self.size[0] * self.size[1] if self.frames and self.size else None


def estimate(recording: Recording, settings: ArchiveSettings) -> Estimate:
    """Estimate one recording from its beginning."""
    try:
        with (
            open_store(recording.location).peek(recording.location) as opened,
            open_source(opened, audio_track=settings.audio_track) as source,
        ):
            info = source.info
            size = (info.width, info.height) if info.width and info.height else None
            if size is None:
                size = _size_of(source)
            return Estimate(recording, info.frames, size)
    except MjpegRestoreError as error:
        return Estimate(recording, error=" ".join(str(error).split()))
    except OSError as error:
        return Estimate(recording, error=f"cannot read {named(recording.location)}: {reason_of(error)}")


def _size_of(source: Source) -> tuple[int, int] | None:
    """Width and height of the first picture; None where its header cannot be read."""
    for job in walk_headers(source, 1):
        if job.parts:
            header = job.parts.pictures[0].header
            return header.width, header.height
    return None


def expected_seconds(estimates: Sequence[Estimate], settings: ArchiveSettings, workers: int) -> float | None:
    """Estimate the time for all recordings by restoring and encoding some pictures of a few of them on this machine.

    Args:
        estimates: of all of them. Where the number of frames is not known, their bytes count.
        settings: how they are restored.
        workers: how many there are, each as fast as this machine's.

    Returns:
        Seconds; None where no picture can be restored.

    Raises:
        RuntimeUnavailable, ModelError: the network cannot be run.
    """
    known = [each for each in estimates if each.pixels and not each.error]
    rates = [*islice(filter(None, (_seconds_per_pixel(each.recording, settings) for each in known)), _TRIED)]
    pixels, size = sum(each.pixels or 0 for each in known), sum(each.recording.size for each in known)
    if not (rates and size):
        return None
    whole = sum(each.recording.size for each in estimates if not each.error)
    return sum(rates) / len(rates) * pixels * whole / size / workers


def _seconds_per_pixel(recording: Recording, settings: ArchiveSettings) -> float | None:
    """Seconds of one worker; None where the recording has too few pictures, or cannot be restored."""
    try:
        times, area = _try(recording, settings)
    except (RuntimeUnavailable, ModelError):
        raise
    except (MjpegRestoreError, OSError):
        return None
    if len(times) <= _WARMING:
        return None
    return (times[-1] - times[_WARMING - 1]) / (len(times) - _WARMING) / area


def _try(recording: Recording, settings: ArchiveSettings) -> tuple[list[float], int]:
    """Restore and encode a recording's first pictures: the time at the end of each, and its pixels."""
    restorer = Restorer(settings.model, settings.device, threads=1, engine_cache=settings.engine_cache)
    times: list[float] = []
    with (
        open_store(recording.location).peek(recording.location) as opened,
        open_source(opened) as source,
        contextlib.ExitStack() as stack,
    ):
        video: VideoPart | None = None
        area = 1
        packets = islice(source, _WARMING + _TIMED)
        sizes = Sizes(Report(), letterbox=settings.policies.on_resize == "letterbox")
        for restored in restore_pictures(PartSource(source.info, packets), restorer, settings.policies):
            picture = sizes(Frame(restored)).picture
            if video is None:
                video = VideoPart(f"tried{settings.extension}", output_settings(settings, source.info), picture)
                stack.enter_context(contextlib.closing(video))
                area = picture.width * picture.height
            video.write(picture)
            times.append(time.monotonic())
    return times, area
