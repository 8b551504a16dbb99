"""What all tasks do with a recording: open it, load the network, choose the encoder, and describe the result."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from typing import Any

from mjpeg_restore.archive.jobs import Job
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.archive.store import checksum
from mjpeg_restore.errors import SourceError
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.report import COUNTS, Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import OutputSettings
from mjpeg_restore.sources import Source, SourceInfo, open_source


@contextlib.contextmanager
def opened(job: Job, path: Path) -> Generator[Source]:
    """The recording. Messages name its location, and not the copy on this machine."""
    settings = job.settings
    try:
        source = open_source(str(path), audio_track=settings.audio_track)
        if settings.fps is not None and source.info.origin == "assumed":
            source.close()
            source = open_source(str(path), fps=settings.fps, audio_track=settings.audio_track)
        with source:
            yield source
    except SourceError as error:
        if str(path) not in str(error) or str(path) == job.recording.location:
            raise
        raise type(error)(error.message.replace(str(path), job.recording.location), error.hint) from None


@lru_cache(maxsize=1)
def _restorer(model: str, device: str, engine_cache: str | None) -> Restorer:
    # One thread: there are as many workers as cores.
    return Restorer(model, device, threads=1, engine_cache=engine_cache)


def restorer_of(settings: ArchiveSettings) -> Restorer:
    """The worker's network."""
    return _restorer(settings.model, settings.device, settings.engine_cache)


def output_settings(settings: ArchiveSettings, info: SourceInfo) -> OutputSettings:
    """Those of an archive for one recording."""
    return settings.output_for(info.fps, upright_aspect(info.sample_aspect, info.rotation))


def describe_output(path: Path) -> dict[str, Any]:
    """A restored file's fields of the manifest."""
    return {"output_size": path.stat().st_size, "output_sha256": checksum(path)}


def counts_of(report: Report) -> dict[str, int]:
    """A run's counts, as fields of the manifest."""
    return {name: getattr(report, name) for name in ("frames", "packets", *COUNTS) if name != "late"}
