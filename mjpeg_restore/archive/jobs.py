"""Arguments and results of tasks: values that pass between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mjpeg_restore.archive.destination import Destination
from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.errors import MjpegRestoreError

Blame = Literal["input", "output", "network", "program"]
"""Cause of a failure."""


@dataclass(frozen=True, slots=True)
class Job:
    """Arguments of all tasks: a recording and how it is restored."""

    recording: Recording
    destination: Destination
    settings: ArchiveSettings
    restored: str = ""
    """Checksum of the input that the file in the destination was restored from with these settings; empty if none."""


@dataclass(frozen=True, slots=True)
class Same:
    """A recording whose date alone has changed since it was restored."""

    fields: dict[str, Any]
    """Fields of the manifest that describe the input."""


@dataclass(frozen=True, slots=True)
class Done:
    """A restored recording: its fields of the manifest."""

    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed."""

    blame: Blame
    error: MjpegRestoreError
    """One line, and perhaps a hint."""
    full: str = ""
    """Folder in which there is no room left; empty: it has another cause."""
    foreign: bool = False
    """True: the archive has made no file of the output's name; what is there, if anything, is somebody else's."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """A restored part."""

    number: int
    since: int
    """First part whose packets were read as preroll; its own number if the usual preroll was enough."""
    before: str
    """Checksum of the decoder's and time line's state at its first packet, after the preroll."""
    after: str
    """The same after its last packet. A next part with another `before` needs a longer preroll."""
    parameter_sets: str
    """See `VideoPart`, in hexadecimal."""
    shown_until: int | None
    """See `VideoPart`."""
    counts: dict[str, int]
    """`frames`, `packets` and the counts of `report.COUNTS`."""
    first_trouble: str | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """A long recording, cut into parts."""

    folder: str
    """Folder of its parts, relative to the destination."""
    packets: tuple[int, ...]
    """Number of packets of each part."""
    restored: tuple[PartResult, ...]
    """Parts that an earlier run has left."""
