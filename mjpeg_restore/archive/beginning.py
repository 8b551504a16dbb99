"""The first task of a recording: restore it if it is short, cut it into parts if it is long."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

from mjpeg_restore.archive.jobs import Cut, Done, Job, Same
from mjpeg_restore.archive.listing import PICTURE
from mjpeg_restore.archive.opening import open_store
from mjpeg_restore.archive.parts import FirstPicture, PartSource, Plan, cut, info_of
from mjpeg_restore.archive.records import write_packet, write_sound
from mjpeg_restore.archive.steps import (
    check_unchanged,
    counts_of,
    describe_output,
    opened,
    output_settings,
    restorer_of,
)
from mjpeg_restore.archive.store import checksum, named
from mjpeg_restore.archive.work_folder import WorkFolder
from mjpeg_restore.errors import SinkError, SourceError
from mjpeg_restore.frames import Frame, Packet, SoundPacket
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import HeaderWalk
from mjpeg_restore.pipeline import restore_frames, run
from mjpeg_restore.sinks import OutputSettings, open_sink
from mjpeg_restore.sinks.joining import origin_of
from mjpeg_restore.sources import Source


def begin_recording(job: Job) -> Done | Same | Cut:
    """See `tasks.begin`."""
    recording, begun = job.recording, time.monotonic()
    store = open_store(recording.location)
    found = store.stat(recording.location)  # first: it may change while it is fetched
    if found is None:
        raise SinkError(f"{named(recording.location)} has gone since the archive was listed")
    with store.fetch(recording.location) as path:
        known: dict[str, Any] = {"size": found.size, "modified": found.modified, "sha256": checksum(path)}
        if known["sha256"] == job.restored:
            return Same(known)
        folder = WorkFolder.of(job, known["sha256"])
        if left := folder.left_by_earlier_run(known):
            return left
        with opened(job, path) as source:
            result = _restore_or_cut(job, source, folder, known)
    if isinstance(result, Cut):
        return result
    return Done({**known, **result, "seconds": round(time.monotonic() - begun, 3)})


def _restore_or_cut(job: Job, source: Source, folder: WorkFolder, known: dict[str, Any]) -> Cut | dict[str, Any]:
    settings, info = job.settings, source.info
    if not settings.cuts or job.recording.output.endswith(PICTURE):
        return _restore(job, source, source, known)
    walk = HeaderWalk(info.height, info.codec_tag, independent=info.independent)
    parts = cut(source, walk, settings.part)
    first = next(parts, list[Packet]())
    second = next(parts, None)
    if second is not None:
        return _cut(job, source, folder, chain((first, second), parts), known)
    return _restore(job, source, PartSource(info, first, source.sound), known)


def _restore(job: Job, source: Source, packets: Source, known: dict[str, Any]) -> dict[str, Any]:
    """Restore a recording uncut, and publish it; returns its fields of the manifest.

    Args:
        job: the recording.
        source: the recording, opened.
        packets: the same, or what was read of it already.
        known: see `check_unchanged`.
    """
    sound = source.sound if job.settings.sound else ()
    with job.destination.writing(job.recording.output) as path:
        output = output_settings(job.settings, source.info)
        if job.recording.output.endswith(PICTURE):
            output = OutputSettings(sample_aspect=output.sample_aspect)
        sink = open_sink(path, output, sound)
        report = run(packets, restorer_of(job.settings), sink, job.settings.policies, pool=INLINE)
        output_fields = describe_output(path)
        check_unchanged(job.recording, known)  # before it has its name
    return {
        **output_fields,
        **counts_of(report),
        "first_trouble": report.first_trouble,
        "truncated": source.truncated,
        "remarks": [*source.remarks, *([sink.remark] if sink.remark else [])],
    }


def _cut(job: Job, source: Source, folder: WorkFolder, parts: Iterator[list[Packet]], known: dict[str, Any]) -> Cut:
    """Write the packets of each part, then the sound, and the plan last."""
    destination, settings = job.destination, job.settings
    output = output_settings(settings, source.info)
    counts: list[int] = []
    first: FirstPicture | None = None
    early: list[SoundPacket] = []
    trouble: SourceError | None = None
    with ExitStack() as stack:
        heard = stack.enter_context(stack.enter_context(destination.writing(folder.sound)).open("wb"))
        for part in parts:
            with destination.writing(folder.packets(len(counts))) as path, path.open("wb") as file:
                for packet in part:
                    write_packet(file, packet)
                    for sound in packet.sound if settings.sound else ():
                        write_sound(heard, sound)
            counts.append(sum(not packet.preroll for packet in part))
            if first is None:
                try:
                    first = _first_picture(job, PartSource(source.info, part), early)
                except SourceError as error:
                    trouble = trouble or error
    if first is None:
        folder.remove()
        raise trouble or SourceError(f"{source.info.name}: no picture could be restored")
    try:
        check_unchanged(job.recording, known)
    except SinkError:
        folder.remove()
        raise
    origin = origin_of(job.recording.output, output, first.picture(), early if settings.sound else ())
    plan = Plan(
        info=info_of(source.info),
        fps=None if output.fps is None else str(output.fps),
        sample_aspect=str(output.sample_aspect),
        first=first,
        origin=str(origin),
        early=len(early) if settings.sound else 0,
        has_sound=bool(source.sound) and settings.sound,
        packets=tuple(counts),
        truncated=source.truncated,
        remarks=tuple(source.remarks),
        result=known,
    )
    folder.write_plan(plan)
    return Cut(folder.name, plan.packets, ())


def _first_picture(job: Job, source: PartSource, early: list[SoundPacket]) -> FirstPicture:
    """Restore the first picture of a part, and collect the sound before it in `early`.

    Raises:
        SourceError: no picture of this part could be restored.
    """
    items = restore_frames(source, restorer_of(job.settings), job.settings.policies, pool=INLINE)
    with contextlib.closing(items):
        for item in items:
            if isinstance(item, Frame):
                return FirstPicture.of(item.picture)
            early.append(item)
    raise SourceError(f"{source.info.name}: no picture could be restored")
