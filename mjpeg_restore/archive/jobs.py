"""What tasks are given and what they give back: values that pass between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mjpeg_restore.archive.destination import Destination
from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.errors import MjpegRestoreError

Blame = Literal["input", "output", "network", "program"]
"""What a failure is due to."""


@dataclass(frozen=True, slots=True)
class Job:
    """A recording, and all that is needed to restore it."""

    recording: Recording
    destination: Destination
    settings: ArchiveSettings
    restored: str = ""
    """Checksum of the input from which the file in the destination was made with these settings; empty where none."""


@dataclass(frozen=True, slots=True)
class Same:
    """A recording that was restored before, and has a new date alone."""

    fields: dict[str, Any]
    """Of the manifest: those of the input."""


@dataclass(frozen=True, slots=True)
class Done:
    """A restored recording: its fields of the manifest."""

    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task could not be done."""

    blame: Blame
    error: MjpegRestoreError
    """One line, and perhaps a hint."""
    full: bool = False
    """True: there is no room left."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """A restored part."""

    number: int
    since: int
    """The first part whose packets were read with it: its own number where the usual preroll was enough."""
    before: str
    """What was remembered of earlier pictures when it began, a checksum."""
    after: str
    """The same when it ended. If the next part's `before` is another, that one did not read enough before it."""
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
    """In the destination, where its parts are."""
    packets: tuple[int, ...]
    """Number of packets of each part."""
    restored: tuple[PartResult, ...]
    """Parts that an earlier run has left."""
