"""How far an archive is, on standard error: a bar on a terminal, or plain lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mjpeg_restore.archive import ArchiveReport
from mjpeg_restore.cli.progress import EVERY
from mjpeg_restore.cli.streams import warn

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class ArchiveProgress:
    """Shows recordings, frames, frames a second, the time that is left, and failures."""

    def __init__(self, report: ArchiveReport, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Bar | None = None
        if sys.stderr is not None and sys.stderr.isatty() and not quiet:
            self._bar = _bar()
            self._task = self._bar.add_task("", total=max(report.size, 1), words="")
        self._said = time.monotonic()

    def update(self, report: ArchiveReport) -> None:
        """Show the report; as a plain line every `EVERY` seconds only."""
        if self._bar:
            self._bar.update(self._task, completed=report.read, words=progress_words(report))
        elif not self._quiet and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            warn(progress_words(report))

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()


def progress_words(report: ArchiveReport) -> str:
    """The report so far in one line."""
    ended, todo = report.done + report.refused + report.failed, report.recordings - report.unchanged
    words = [f"{ended} of {todo} recordings", f"{report.frames} frames", f"{report.fps:.1f} frames/s"]
    words += [f"{report.refused + report.failed} refused or failed"] if report.failures else []
    words += [f"about {period(report.left)} left"] if report.left is not None else []
    return ", ".join(words)


def period(seconds: float) -> str:
    """A time in words: "40 s", "12 min", "3.5 h", "2.1 days"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} days"


def _bar() -> Bar:
    # Imported here: a tenth of the command's start, for a terminal alone.
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[words]}"))
    return Bar(SpinnerColumn(), *columns, console=Console(stderr=True), transient=True)
