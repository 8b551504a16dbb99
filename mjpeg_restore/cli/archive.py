"""`mjpeg-restore archive SOURCE... -o DESTINATION`: many recordings, on all cores or on a cluster."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from threading import Event
from typing import Any

from mjpeg_restore.archive import (
    Archive,
    ArchiveReport,
    ArchiveSettings,
    Destination,
    ProcessWorkers,
    Recording,
    Workers,
    list_recordings,
)
from mjpeg_restore.archive.estimate import Estimate, estimate, expected_seconds
from mjpeg_restore.archive.manifest import MANIFEST
from mjpeg_restore.archive.on_ray import find_workers
from mjpeg_restore.cli.archive_progress import ArchiveProgress, period
from mjpeg_restore.cli.exit_codes import exit_code
from mjpeg_restore.cli.restore import INTERRUPTED
from mjpeg_restore.cli.signals import stopping
from mjpeg_restore.cli.streams import logged, one_line, set_log_format, warn, write
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import SinkError
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.runtime import usable_cores
from mjpeg_restore.sinks import OutputSettings

MOST_FAILURES = 10
"""Failures that are named at the end; the manifest has them all."""

_LOOKING = 8
"""Recordings that `--dry-run` looks at at the same time."""


def command(options: argparse.Namespace) -> int:
    """Restore an archive, or say what would be done; the result is the exit code."""
    set_log_format(options.log_format)
    with logged(logging.ERROR if options.quiet else logging.INFO):
        return _archive(options)


def _archive(options: argparse.Namespace) -> int:
    settings = _settings(options)
    recordings = list_recordings(options.sources, options.output, settings.extension)
    archive = Archive(recordings, Destination(options.output), settings)
    if options.dry_run:
        return _tell_plan(options, archive, settings)
    if not archive.todo:
        return _tell(options, archive.report)
    stop = Event()
    with ExitStack() as stack:
        workers = stack.enter_context(closing(_workers(options)))
        stack.enter_context(
            stopping(stop, (signal.SIGINT, signal.SIGTERM), partial(_say_stopping, quiet=options.quiet))
        )
        progress = stack.enter_context(ArchiveProgress(archive.report, quiet=options.quiet))
        archive.run(workers, stop, progress.update)
    return _tell(options, archive.report)


def _settings(options: argparse.Namespace) -> ArchiveSettings:
    output = OutputSettings(
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        range=options.range,
        options=dict(options.encoder_option),
    )
    return ArchiveSettings(
        model=options.model,
        device=options.device,
        engine_cache=str(options.engine_cache.absolute()) if options.engine_cache else None,
        extension=f".{options.format}",
        output=output,
        policies=PipelineSettings(on_corrupt=options.on_corrupt, on_resize=options.on_resize),
        fps=options.fps,
        audio_track=options.audio_track,
        sound=not options.no_audio,
        part=options.part,
    )


def _workers(options: argparse.Namespace) -> Workers:
    return find_workers(
        options.ray, options.device, options.workers, lambda: ProcessWorkers(options.workers or usable_cores())
    )


def _tell_plan(options: argparse.Namespace, archive: Archive, settings: ArchiveSettings) -> int:
    """Say what would be done, how many frames that is, and about how long it takes."""
    with ThreadPoolExecutor(_LOOKING) as pool:
        found = list(pool.map(partial(_foreseen, archive, settings), archive.todo))
    workers = options.workers or usable_cores()
    seconds = expected_seconds(found, settings, workers)
    frames = sum(each.frames or 0 for each in found)
    if options.json:
        rest = {"unchanged": archive.report.unchanged, "frames": frames, "seconds": seconds and round(seconds, 1)}
        write(json.dumps({"recordings": [_planned(each) for each in found], **rest}), sys.stdout)
        return 0
    for each in found:
        write(one_line(_plan_line(each)), sys.stdout)
    time = f"about {period(seconds)} with {_counted(workers, 'worker')} like this machine's" if seconds else ""
    write(", ".join(_plan_words(found, time, archive.report.unchanged)), sys.stdout)
    return 0


def _foreseen(archive: Archive, settings: ArchiveSettings, recording: Recording) -> Estimate:
    obstacle = archive.obstacle(recording)
    return Estimate(recording, error=str(obstacle), fails=True) if obstacle else estimate(recording, settings)


def _plan_words(found: Sequence[Estimate], time: str, unchanged: int) -> Iterator[str]:
    """The last line of `--dry-run`, in parts."""
    whole = [each for each in found if each.error is None]
    yield f"{_counted(len(whole), 'recording')} to restore" if whole else "nothing to restore"
    if frames := sum(each.frames or 0 for each in whole):
        yield f"about {frames:,} frames"
    if unknown := sum(each.frames is None for each in whole):
        yield f"an unknown number of frames in {unknown}"
    if time:
        yield time
    failing = sum(each.fails for each in found)
    if refused := len(found) - len(whole) - failing:
        yield f"{refused} to refuse"
    if failing:
        yield f"{failing} that will fail"
    if unchanged:
        yield f"{unchanged} unchanged"


def _planned(each: Estimate) -> dict[str, Any]:
    recording = each.recording
    names = {"name": recording.name, "output": recording.output, "bytes": recording.size}
    return {**names, "frames": each.frames, "size": each.size, "error": each.error}


def _plan_line(each: Estimate) -> str:
    recording = each.recording
    if each.error:
        return f"{recording.name}: {each.error}"
    frames = f"about {each.frames:,} frames" if each.frames else "an unknown number of frames"
    size = f" of {each.size[0]}x{each.size[1]}" if each.size else ""
    return f"{recording.name} -> {recording.output}: {frames}{size}"


def _tell(options: argparse.Namespace, report: ArchiveReport) -> int:
    if options.json:
        write(json.dumps(report.as_dict()), sys.stdout)
    if not options.quiet:
        for name, error in report.failures[:MOST_FAILURES]:
            warn(f"{name}: {worded(error)}", "warning")
        if len(report.failures) > MOST_FAILURES:
            warn(f"{len(report.failures) - MOST_FAILURES} more are named in {MANIFEST}")
        warn(_summary(report))
    if report.full:
        warn(f"there is no room left in {report.full}: make some, and call this again to go on", "error")
    if report.interrupted:
        return INTERRUPTED
    return exit_code(SinkError) if report.failed else 0


def _summary(report: ArchiveReport) -> str:
    counts = [(report.done, "restored"), (report.unchanged, "unchanged"), (report.refused, "refused")]
    counts += [(report.failed, "failed"), (report.todo, "left")]
    words = [f"{count} {what}" for count, what in counts if count]
    rate = f"; {report.frames} frames, {report.fps:.1f} frames/s" if report.frames else ""
    return f"{_counted(report.recordings, 'recording')}: {', '.join(words) or 'none'}{rate}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _say_stopping(*, quiet: bool) -> None:
    if not quiet:
        warn("stopping when the parts at hand are finished; once more to stop at once")
