"""The last task of a recording that was cut: its parts and its sound become one file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import chain

from mjpeg_restore.archive.jobs import Done, Job, PartResult
from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.records import read_sound
from mjpeg_restore.archive.steps import check_unchanged, describe_output, opened
from mjpeg_restore.archive.work_folder import WorkFolder
from mjpeg_restore.sinks.joining import join_video


def join_parts(job: Job, folder: str, parts: Sequence[PartResult]) -> Done:
    """See `tasks.join`."""
    begun = time.monotonic()
    work, destination, recording = WorkFolder(job.destination, folder), job.destination, job.recording
    plan = work.plan()
    output = plan.output_settings(job.settings)
    with ExitStack() as stack:
        tracks, sound = (), iter(())
        store = open_store(recording.location)
        path = stack.enter_context(store.fetch(recording.location)) if plan.has_sound else None
        check_unchanged(recording, plan.result)  # the parts and the sound are of that file
        if path:
            tracks = stack.enter_context(opened(job, path)).sound
            sound = read_sound(stack.enter_context(destination.reading(work.sound)))
        target = stack.enter_context(destination.writing(recording.output))
        remark = join_video(
            target,
            output,
            plan.first.picture(),
            work.coded_parts(len(parts)),
            tracks,
            sound,
            early=plan.early,
            parameter_sets=bytes.fromhex(parts[0].parameter_sets),
            shown_until=parts[-1].shown_until,
        )
        output_fields = describe_output(target)
        check_unchanged(recording, plan.result)
    work.remove()
    counts = {name: sum(part.counts[name] for part in parts) for name in parts[0].counts}
    remarks = dict.fromkeys([*plan.remarks, *chain.from_iterable(part.remarks for part in parts)])
    return Done(
        {
            **plan.result,
            **output_fields,
            **counts,
            "first_trouble": next((part.first_trouble for part in parts if part.first_trouble), None),
            "truncated": plan.truncated,
            "remarks": [*remarks, *([remark] if remark else [])],
            "parts": len(parts),
            "seconds": round(time.monotonic() - begun, 3),
        }
    )
