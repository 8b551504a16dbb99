"""Steps that several tasks share: open a recording, load the network, choose the encoder, describe the result."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mjpeg_restore.archive.jobs import Job
from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.archive.store import checksum, named
from mjpeg_restore.errors import SinkError, SourceError, reason_of
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.report import COUNTS, Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import OutputSettings
from mjpeg_restore.sources import Source, SourceInfo, open_source


@contextlib.contextmanager
def opened(job: Job, path: Path) -> Generator[Source]:
    """Open a recording. Error messages name its location, not the copy on this machine."""
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
        raise type(error)(error.message.replace(str(path), named(job.recording.location)), error.hint) from None


@lru_cache(maxsize=1)
def _restorer(model: str, device: str, engine_cache: str | None) -> Restorer:
    # One thread: there are as many workers as cores.
    return Restorer(model, device, threads=1, engine_cache=engine_cache)


def restorer_of(settings: ArchiveSettings) -> Restorer:
    """The network of this process, loaded once."""
    return _restorer(settings.model, settings.device, settings.engine_cache)


def output_settings(settings: ArchiveSettings, info: SourceInfo) -> OutputSettings:
    """The archive's output settings, with the frame rate and aspect ratio of a recording."""
    return settings.output_for(info.fps, upright_aspect(info.sample_aspect, info.rotation))


def check_unchanged(recording: Recording, known: Mapping[str, Any]) -> None:
    """Check that a recording is what it was when its task began: a file restored of half of it gets no name.

    Args:
        recording: the recording.
        known: its size and date then, as fields of the manifest.

    Raises:
        SinkError: it has changed or gone, or cannot be looked at.
    """
    where = recording.location
    try:
        found = open_store(where).stat(where)
    except OSError as error:
        raise SinkError(
            f"cannot read {named(where)} ({reason_of(error)}): call this again when it can be read"
        ) from error
    if found is None or (found.size, found.modified) != (known["size"], known["modified"]):
        raise SinkError(f"{named(where)} has changed while it was restored: call this again when it is complete")


def describe_output(path: Path) -> dict[str, Any]:
    """Fields of the manifest that describe a restored file."""
    return {"output_size": path.stat().st_size, "output_sha256": checksum(path)}


def counts_of(report: Report) -> dict[str, int]:
    """Counts of a report, as fields of the manifest."""
    return {name: getattr(report, name) for name in ("frames", "packets", *COUNTS) if name != "late"}
