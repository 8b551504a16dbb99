"""Restores an archive: hands tasks to workers, keeps the manifest, and knows what is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any

from mjpeg_restore import catalogue
from mjpeg_restore.archive.destination import WORK, Destination, cannot_write
from mjpeg_restore.archive.jobs import Cut, Done, Failure, Job, PartResult, Same
from mjpeg_restore.archive.listing import Recording
from mjpeg_restore.archive.manifest import FOREIGN, Manifest, Status
from mjpeg_restore.archive.report import ArchiveReport
from mjpeg_restore.archive.seams import Seams
from mjpeg_restore.archive.settings import ArchiveSettings, model_checksum
from mjpeg_restore.archive.store import named
from mjpeg_restore.archive.tasks import begin, join, restore_part
from mjpeg_restore.archive.workers import Workers
from mjpeg_restore.errors import RuntimeUnavailable, SinkError, WorkerLost

_POLL = 0.2
"""Seconds between two looks at `stop`, and two calls of `progress`."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A task that can be handed in, of one recording."""

    job: Job
    submit: Callable[[], Future[Any]]


class Archive:
    """A run over the recordings of an archive.

    1. Each recording is begun: a short one is restored by that task, a long one is cut into parts.
    2. Parts come before new recordings, so that few recordings are under way at the same time.
    3. When the parts of a recording are there and fit, they are joined.

    A task that fails ends its recording; only a network that cannot be run and a full disk end the run.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        destination: Destination,
        settings: ArchiveSettings,
        report: ArchiveReport | None = None,
    ) -> None:
        """Compare the recordings with the manifest; nothing is done yet.

        Args:
            recordings: see `list_recordings`.
            destination: where the restored files go.
            settings: how they are restored.
            report: counts what happens; a new one if None.

        Raises:
            SinkError: the manifest cannot be read, or an earlier run has restored another recording under a name that
                one of these would have.
        """
        self._recordings, self._destination, self._settings = recordings, destination, settings
        self._key = settings.key
        self.todo: Sequence[Recording] = recordings
        """The recordings for which there is something to do."""
        self.report = report or ArchiveReport()
        self._compare()
        self._seams: dict[str, Seams] = {}
        self._ready: deque[_Step] = deque()
        self._given_up: set[str] = set()
        """Recordings of which a task has failed; others may still be under way."""

    def run(
        self, workers: Workers, stop: Event | None = None, progress: Callable[[ArchiveReport], None] | None = None
    ) -> ArchiveReport:
        """Restore what is missing or has changed. May be called again, as after a stop: each call counts anew.

        Args:
            workers: do the tasks; not closed here.
            stop: once it is set, no more tasks are begun, and those at hand are finished.
            progress: called several times a second.

        Raises:
            RuntimeUnavailable, ModelError: the network cannot be run.
            SinkError: the manifest cannot be written, another run is at work there, or one has meanwhile restored
                another recording under a name that one of these would have.
        """
        with self._destination.locked():
            self._destination.remove_unfinished()
            self._compare()  # again: another run may have been at work
            self._seams.clear()
            self._ready.clear()
            self._given_up.clear()
            self._run(workers, stop or Event(), progress)
            if not (self.report.todo or self.report.failed):
                self._destination.remove(WORK)
        return self.report

    def _compare(self) -> None:
        """Compare the recordings with the manifest, and count from the beginning."""
        self._manifest = Manifest(self._destination)
        self.todo = [each for each in self.todo if not self._manifest.is_current(each, self._key)]
        size = sum(recording.size for recording in self.todo)
        self.report.begin(len(self._recordings), len(self._recordings) - len(self.todo), size)
        self._manifest.refuse_replaced(self.todo, self._recordings)

    def _run(self, workers: Workers, stop: Event, progress: Callable[[ArchiveReport], None] | None) -> None:
        report = self.report
        new = iter(self.todo)
        running: dict[Future[Any], _Step] = {}
        try:
            while True:
                while len(running) < workers.slots and not (stop.is_set() or report.full):
                    step = self._next(workers, new)
                    if step is None:
                        break
                    running[step.submit()] = step
                if not running:
                    break
                ended, _ = wait(running, _POLL, FIRST_COMPLETED)
                for future in ended:
                    self._take(workers, running.pop(future), future)
                if progress:
                    progress(report)
        finally:
            report.end()
            self._manifest.write()
        report.interrupted = stop.is_set() and report.todo > 0

    def _next(self, workers: Workers, new: Iterator[Recording]) -> _Step | None:
        """The next task, if there is one now."""
        if self._ready:
            return self._ready.popleft()
        for recording in new:
            restored = self._manifest.restored(recording, self._key)
            job = Job(recording, self._destination, self._settings, restored)
            if self._claim(job):
                return _Step(job, lambda job=job: workers.submit(begin, job))
        return None

    def _claim(self, job: Job) -> bool:
        """Note that a recording is begun, unless its output's name is somebody else's, or can be no file's."""
        if error := self.obstacle(job.recording):
            self._fail(job, Failure("output", error, foreign=True))
            return False
        if not self._manifest.is_begun(job.recording):
            self._note(job, "begun", {})
        return True

    def obstacle(self, recording: Recording) -> SinkError | None:
        """Why a recording will fail, as no file can have its output's name; None if one can, as far as is known."""
        where = self._destination.path(recording.output)
        try:
            if not self._manifest.is_foreign(recording):
                return None
        except OSError as error:
            return cannot_write(where, error)
        return SinkError(
            f"{named(where)} is there, and was not restored by this archive: move it, or give another destination"
        )

    def _take(self, workers: Workers, step: _Step, future: Future[Any]) -> None:
        """Take a task's result, and prepare what follows from it."""
        job = step.job
        try:
            result = future.result()
        except WorkerLost as error:
            result = Failure("program", error)
        if job.recording.name in self._given_up:
            return
        match result:
            case Done():
                self._done(job, result)
            case Same():
                self.report.unchanged += 1
                self.report.read += job.recording.size
                self._manifest.add({**self._manifest.lines[job.recording.name], **result.fields})
            case Cut():
                self._seams[job.recording.name] = Seams(result)
                for part in result.restored:
                    self._count_part(job, part, new=False)
                self._go_on(workers, job)
            case PartResult():
                self._seams[job.recording.name].add(result)
                self._count_part(job, result)
                self._go_on(workers, job)
            case Failure():
                self._fail(job, result)
            case _:
                raise TypeError(f"no result of a task: {result!r}")

    def _go_on(self, workers: Workers, job: Job) -> None:
        """Prepare the parts of a recording that are to be restored, or their joining."""
        seams = self._seams[job.recording.name]
        folder = seams.cut.folder
        for number, since in seams.next():
            self._ready.append(
                _Step(job, lambda number=number, since=since: workers.submit(restore_part, job, folder, number, since))
            )
        if seams.complete:
            parts = seams.parts
            self._ready.appendleft(_Step(job, lambda: workers.submit(join, job, folder, parts)))

    def _count_part(self, job: Job, part: PartResult, *, new: bool = True) -> None:
        seams = self._seams[job.recording.name]
        if seams.is_first(part):
            self.report.frames += part.counts["frames"] if new else 0
            self.report.read += job.recording.size * seams.share(part)

    def _done(self, job: Job, done: Done) -> None:
        report, recording = self.report, job.recording
        seams = self._seams.pop(recording.name, None)
        report.done += 1
        if seams is None:
            report.frames += done.fields["frames"]
            report.read += recording.size
        self._note(job, "done", done.fields)

    def _fail(self, job: Job, failure: Failure) -> None:
        if failure.blame == "network":
            raise RuntimeUnavailable(failure.error.message, failure.error.hint)
        name, report = job.recording.name, self.report
        seams = self._seams.pop(name, None)
        self._given_up.add(name)
        self._ready = deque(step for step in self._ready if step.job.recording.name != name)
        report.read += job.recording.size * (1 - (seams.restored if seams else 0.0))
        report.full = report.full or failure.full
        refused = failure.blame == "input"
        report.refused += refused
        report.failed += not refused
        report.failures.append((name, failure.error))
        known = {"size": job.recording.size, "modified": job.recording.modified}
        why = {FOREIGN: True} if failure.foreign else {}
        self._note(job, "refused" if refused else "failed", {**known, **why, "error": str(failure.error)})

    def _note(self, job: Job, status: Status, fields: dict[str, Any]) -> None:
        """Write the recording's line of the manifest."""
        settings = job.settings
        model = {"name": settings.model, "sha256": model_checksum(catalogue.find(settings.model))}
        self._manifest.add(
            {
                "name": job.recording.name,
                "status": status,
                "source": named(job.recording.location),
                "output": job.recording.output,
                **fields,
                "model": model,
                "settings": settings.described(),
                "key": self._key,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
