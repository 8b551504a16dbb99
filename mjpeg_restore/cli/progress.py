"""The progress of a run, and of what comes before it, on standard error: a bar on a terminal, or plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mjpeg_restore.cli.streams import warn
from mjpeg_restore.report import Report
from mjpeg_restore.sources import SourceInfo

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

EVERY = 10.0
"""Seconds between two plain lines."""


class Shown:
    """How far something is, on standard error: a bar on a terminal, or a plain line every `EVERY` seconds."""

    def __init__(self, make: Callable[[], Bar], total: float | None, *, quiet: bool, lines: bool = True) -> None:
        """Prepare.

        Args:
            make: makes the bar, whose columns may have the field `words`.
            total: what is done at the end; None if that is not known.
            quiet: show nothing.
            lines: whether there are lines where there is no terminal.
        """
        self._lines = lines and not quiet
        self._bar: Bar | None = None
        if sys.stderr is not None and sys.stderr.isatty() and not quiet:
            self._bar = make()
            self._task = self._bar.add_task("", total=total, words="")
        self._said = time.monotonic()

    def show(self, completed: float, words: Callable[[], str], line: Callable[[], str]) -> None:
        """Show how far it is.

        Args:
            completed: of the total.
            words: makes the bar's.
            line: makes the plain line.
        """
        if self._bar:
            self._bar.update(self._task, completed=completed, words=words())
        elif self._lines and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            warn(line())

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()


class Progress(Shown):
    """Shows a report as it grows."""

    def __init__(self, info: SourceInfo, frames: int | None, *, quiet: bool) -> None:
        self._total = info.frames if frames is None else min(frames, info.frames or frames)
        # A camera's log has a line when something changes, for days.
        super().__init__(_bar, self._total, quiet=quiet, lines=not info.live)

    def update(self, report: Report) -> None:
        """Show the report."""
        total = f" of about {self._total}" if self._total else ""
        self.show(report.frames, lambda: _rate(report), lambda: f"frame {report.frames}{total}, {_rate(report)}")


class Preparing:
    """Shows a network that is being made ready, such as an engine that is built, where that takes long.

    Attributes:
        stop: once it is set, the work ends as by Ctrl-C.
    """

    def __init__(self, *, quiet: bool, at_once: bool = True) -> None:
        """Prepare.

        Args:
            quiet: show nothing.
            at_once: begin with a line; False: only what takes longer than `EVERY` is worth one.
        """
        self.stop: Event | None = None
        self._quiet = quiet
        self._said: float | None = None if at_once else time.monotonic()

    def __call__(self, what: str, share: float) -> None:
        """Show a share of the work, 0..1, as a plain line every `EVERY` seconds; see `Restorer`'s `progress`.

        Raises:
            KeyboardInterrupt: the run is to stop.
        """
        if self.stop and self.stop.is_set():
            raise KeyboardInterrupt
        now = time.monotonic()
        if not self._quiet and (self._said is None or now - self._said >= EVERY):
            self._said = now
            warn(f"{what}: {share:.0%}")


def _rate(report: Report) -> str:
    speed = f", {report.speed:.2f}x" if report.speed else ""
    return f"{report.fps:.1f} frames/s{speed}"


def _bar() -> Bar:
    # Imported here: a tenth of the command's start, for a terminal alone.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[words]}"), TextColumn("ETA"))
    return Bar(SpinnerColumn(), *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
