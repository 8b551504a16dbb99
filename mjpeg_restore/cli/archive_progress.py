"""How far an archive is, on standard error: a bar on a terminal, or plain lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mjpeg_restore.archive import ArchiveReport
from mjpeg_restore.cli.progress import Shown

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class ArchiveProgress(Shown):
    """Shows recordings, frames, frames a second, the time that is left, and failures."""

    def __init__(self, report: ArchiveReport, *, quiet: bool) -> None:
        super().__init__(_bar, max(report.size, 1), quiet=quiet)

    def update(self, report: ArchiveReport) -> None:
        """Show the report."""
        self.show(report.read, lambda: progress_words(report), lambda: progress_words(report))


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
