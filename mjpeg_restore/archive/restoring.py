"""The task that restores one part of a recording."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction

from mjpeg_restore.archive.jobs import Job, PartResult
from mjpeg_restore.archive.parts import PartPolicy, PartSource, packets_of
from mjpeg_restore.archive.records import write_coded
from mjpeg_restore.archive.steps import counts_of, restorer_of
from mjpeg_restore.archive.work_folder import WorkFolder
from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import Frame, Picture
from mjpeg_restore.futures import INLINE
from mjpeg_restore.pipeline import restore_frames
from mjpeg_restore.report import Report
from mjpeg_restore.showing import Sizes
from mjpeg_restore.sinks.joining import VideoPart


def restore_range(job: Job, folder: str, number: int, since: int) -> PartResult:
    """See `tasks.restore_part`."""
    work, destination, report = WorkFolder(job.destination, folder), job.destination, Report()
    plan = work.plan()
    info, output = plan.source_info, plan.output_settings(job.settings)
    first = plan.first.picture()
    with ExitStack() as stack:
        files = [stack.enter_context(destination.reading(work.packets(each))) for each in range(since, number + 1)]
        source = PartSource(info, packets_of(files, info.time_base))
        policy = PartPolicy(job.settings.policies.on_corrupt, report, independent=info.independent)
        video = stack.enter_context(
            contextlib.closing(VideoPart(job.recording.output, output, first, Fraction(plan.origin)))
        )
        parameter_sets, times = video.parameter_sets.hex(), video.memory
        path = stack.enter_context(destination.writing(work.coded(number)))
        file = stack.enter_context(path.open("wb"))
        for frame in _frames(job, source, report, policy, first):
            if frame.preroll:
                video.pass_over(frame.picture)
                times = video.memory
            else:
                write_coded(file, video.write(frame.picture))
        write_coded(file, video.finish())
        result = PartResult(
            number,
            since,
            f"{policy.before} {times}",
            f"{policy.memory} {video.memory}",
            parameter_sets,
            video.shown_until,
            counts_of(report),
            report.first_trouble,
            tuple(video.remarks),
        )
    work.write_result(result)
    return result


def _frames(job: Job, source: PartSource, report: Report, policy: PartPolicy, first: Picture) -> Iterator[Frame]:
    """Yield the frames of a part, scaled to the size of the recording's first frame; perhaps none."""
    letterbox = job.settings.policies.on_resize == "letterbox"
    preroll, shown = Sizes(Report(), letterbox=letterbox), Sizes(report, letterbox=letterbox)
    for sizes in (preroll, shown):
        sizes(Frame(first))
    items = restore_frames(source, restorer_of(job.settings), job.settings.policies, report, pool=INLINE, policy=policy)
    with contextlib.closing(items):
        try:
            for item in items:
                if isinstance(item, Frame):
                    yield preroll(item) if item.preroll else shown(item)
        except SourceError:
            if report.frames:
                raise
            # No picture of this part can be restored; other parts are not affected.
