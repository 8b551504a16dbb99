"""A camera as the server sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from mjpeg_restore.report import Report
from mjpeg_restore.serve.sink import WebSink

_STALL = 10.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def without_folders(path: str) -> str:
    """The last part of a path: the folders of this machine are nobody's business."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def stall_of(stall_timeout: float | None, fps: Fraction | None) -> float:
    """The `ServedCamera.stall` of a run: ten seconds, or more where its own settings let pictures take longer.

    Args:
        stall_timeout: seconds after which the run takes the camera for stalled; None: the default.
        fps: pictures per second that were asked for; None: nobody asked.
    """
    return max(_STALL, stall_timeout or 0.0, float(2 / fps) if fps else 0.0)


@dataclass(frozen=True, slots=True)
class ServedCamera:
    """One run whose pictures are served."""

    name: str
    """Its name in URLs and metrics: letters, digits, `.`, `_` and `-`; the first is a letter or a digit."""
    report: Report
    """What the run counts."""
    sink: WebSink = field(default_factory=WebSink)
    """What the run writes to."""
    title: str = ""
    """Its name for people; the name if empty."""
    source: str = ""
    """Where its pictures come from, without credentials."""
    live: bool = True
    """False: a recording, which has no latency to speak of."""
    stall: float = _STALL
    """Seconds without a picture after which it is unhealthy."""
    grace: float = 60.0
    """Seconds from the start of the server for the first picture: a network may have to be made ready."""
    trouble: Callable[[], str] = lambda: ""
    """Why no pictures come, if whoever runs the camera knows more than that none do; empty if not."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a name that no URL can hold, or a time that is not positive.
        """
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"camera {self.name!r}: a name has letters, digits, '.', '_' and '-'")
        if self.stall <= 0 or self.grace <= 0:
            raise ValueError(f"stall {self.stall}, grace {self.grace}: more than 0 seconds")
