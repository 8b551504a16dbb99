"""The units of work: what a worker does, in whichever process and on whichever machine it runs.

    begin --> Done                          a short recording, restored
          --> Cut --> restore_part, each    a long one
                  --> join --> Done
          --> Failure

Each is a function of values, and leaves behind nothing but files that appear when they are whole: it may be done again,
and by two workers at the same time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from mjpeg_restore.archive.destination import Destination
from mjpeg_restore.archive.listing import PICTURE, Recording
from mjpeg_restore.archive.parts import FirstPicture, PartPolicy, PartSource, Plan, cut, info_of, packets_of
from mjpeg_restore.archive.records import read_coded, read_sound, write_coded, write_packet, write_sound
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.archive.store import checksum, open_store
from mjpeg_restore.errors import MjpegRestoreError, ModelError, RuntimeUnavailable, SinkError, SourceError, reason_of
from mjpeg_restore.frames import Frame, Packet, Picture, SoundPacket
from mjpeg_restore.jpeg import HeaderWalk
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.pipeline import restore_frames, run
from mjpeg_restore.report import COUNTS, Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.showing import Sizes
from mjpeg_restore.sinks import OutputSettings, open_sink
from mjpeg_restore.sinks.joining import CodedVideo, VideoPart, join_video, origin_of
from mjpeg_restore.sources import Source, SourceInfo, open_source

Blame = Literal["input", "output", "network", "program"]
"""What a failure is due to."""


@dataclass(frozen=True, slots=True)
class Job:
    """A recording, and all that is needed to restore it."""

    recording: Recording
    destination: Destination
    settings: ArchiveSettings


@dataclass(frozen=True, slots=True)
class Done:
    """A restored recording: its fields of the manifest."""

    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task could not be done, in one line."""

    blame: Blame
    message: str
    full: bool = False
    """True: there is no room left."""
    fields: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of the manifest that are known nevertheless."""


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


Result = TypeVar("Result")


def begin(job: Job) -> Done | Cut | Failure:
    """Restore a recording or, if it is long, cut it into parts."""
    return _caught(lambda: _begin(job))


def restore_part(job: Job, folder: str, number: int, since: int) -> PartResult | Failure:
    """Restore one part of a recording that was cut.

    Args:
        job: the recording.
        folder: see `Cut`.
        number: of the part, from 0.
        since: the first part whose packets are read.
    """
    return _caught(lambda: _restore_part(job, folder, number, since))


def join(job: Job, folder: str, parts: Sequence[PartResult]) -> Done | Failure:
    """Join the parts of a recording, publish the file, and remove what lies in the folder."""
    return _caught(lambda: _join(job, folder, parts))


def _caught(work: Callable[[], Result]) -> Result | Failure:
    """The result, or why there is none. Only a bug leads to another exception than ours, and then the others go on."""
    try:
        return work()
    except Exception as error:
        message = str(error) if isinstance(error, MjpegRestoreError) else f"{type(error).__name__}: {reason_of(error)}"
        return Failure(_blame_of(error), " ".join(message.split()), _is_full(error))


def _blame_of(error: Exception) -> Blame:
    match error:
        case SourceError():
            return "input"
        case SinkError() | OSError():
            return "output"
        case RuntimeUnavailable() | ModelError():
            return "network"
        case _:
            return "program"


def _is_full(error: BaseException | None) -> bool:
    """Whether an error is due to a disk without room."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            return True
        error = error.__cause__ or error.__context__
    return False


@lru_cache(maxsize=1)
def _restorer(model: str, device: str, engine_cache: str | None) -> Restorer:
    """The worker's network. It has one thread: there are as many workers as cores."""
    return Restorer(model, device, threads=1, engine_cache=engine_cache)


def _restorer_of(settings: ArchiveSettings) -> Restorer:
    return _restorer(settings.model, settings.device, settings.engine_cache)


def _begin(job: Job) -> Done | Cut:
    recording, begun = job.recording, time.monotonic()
    store = open_store(recording.location)
    with store.fetch(recording.location) as path:
        found = store.stat(recording.location)
        if found is None:
            raise SinkError(f"{recording.location} has gone since the archive was listed")
        known: dict[str, Any] = {"size": found.size, "modified": found.modified, "sha256": checksum(path)}
        folder = _folder(job, known["sha256"])
        if left := _left_by_earlier_run(job, folder):
            return left
        with _opened(job, path) as source:
            result = _restore_or_cut(job, source, folder, known)
        again = store.stat(recording.location)
    if again is None or (again.size, again.modified) != (found.size, found.modified):
        raise SinkError(f"{recording.location} has changed while it was read")
    if isinstance(result, Cut):
        return result
    return Done({**known, **result, "seconds": round(time.monotonic() - begun, 3)})


def _folder(job: Job, input_checksum: str) -> str:
    """The name of the folder for the parts of a recording: with another input or other settings it is another one."""
    words = [input_checksum, job.settings.key, job.recording.output]
    return job.destination.parts_folder(hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32])


def _left_by_earlier_run(job: Job, folder: str) -> Cut | None:
    """The recording as an earlier run has cut it, with the parts that it restored."""
    text = job.destination.read_text(_plan(folder))
    if text is None:
        return None
    packets = Plan.from_json(text).packets
    found = [job.destination.read_text(_result(folder, number)) for number in range(len(packets))]
    return Cut(folder, packets, tuple(_part_result(text) for text in found if text))


def _plan(folder: str) -> str:
    return f"{folder}/plan.json"


def _packets(folder: str, number: int) -> str:
    return f"{folder}/packets-{number:05}"


def _coded(folder: str, number: int) -> str:
    return f"{folder}/coded-{number:05}"


def _result(folder: str, number: int) -> str:
    return f"{folder}/result-{number:05}.json"


def _sound(folder: str) -> str:
    return f"{folder}/sound"


def _part_result(text: str) -> PartResult:
    fields: dict[str, Any] = json.loads(text)
    fields["remarks"] = tuple(fields["remarks"])
    return PartResult(**fields)


@contextlib.contextmanager
def _opened(job: Job, path: Path) -> Generator[Source]:
    """The recording. Messages name its location, and not the copy on this machine."""
    settings = job.settings
    try:
        source = open_source(str(path), audio_track=settings.audio_track)
        if settings.fps is not None and source.info.origin == "assumed":
            source.close()
            source = open_source(str(path), fps=settings.fps, audio_track=settings.audio_track)
        with source:
            yield source
    except SourceError as error:
        if str(path) not in str(error) or str(path) == job.recording.location:
            raise
        raise type(error)(error.message.replace(str(path), job.recording.location), error.hint) from None


def _restore_or_cut(job: Job, source: Source, folder: str, known: dict[str, Any]) -> Cut | dict[str, Any]:
    settings, info = job.settings, source.info
    if not settings.cuts or job.recording.output.endswith(PICTURE):
        return _restore(job, source)
    walk = HeaderWalk(info.height, info.codec_tag, independent=info.independent)
    parts = cut(source, walk, settings.part)
    first = next(parts)
    second = next(parts, None)
    if second is not None:
        return _cut(job, source, folder, chain((first, second), parts), known)
    return {**_restore(job, PartSource(info, first, source.sound)), **_end_of(source)}


def _end_of(source: Source) -> dict[str, Any]:
    return {"truncated": source.truncated, "remarks": [*source.remarks]}


def output_settings(chosen: OutputSettings, info: SourceInfo) -> OutputSettings:
    """Those of an archive, with a recording's frame rate and aspect.

    Encoders have one thread, so that there are no more than cores, and so that the result does not depend on their
    number.
    """
    aspect = upright_aspect(info.sample_aspect, info.rotation)
    return replace(chosen, threads=1, overwrite=True, fps=info.fps, sample_aspect=aspect)


def _restore(job: Job, source: Source) -> dict[str, Any]:
    """Restore a recording in one go, and publish it; its fields of the manifest."""
    sound = source.sound if job.settings.sound else ()
    with job.destination.writing(job.recording.output) as path:
        chosen = OutputSettings() if job.recording.output.endswith(PICTURE) else job.settings.output
        sink = open_sink(path, output_settings(chosen, source.info), sound)
        report = run(source, _restorer_of(job.settings), sink, job.settings.policies)
        written = _written(path)
    remarks = [*report.remarks, *([sink.remark] if sink.remark else [])]
    return {**written, **_counts(report), "first_trouble": report.first_trouble, **_end_of(source), "remarks": remarks}


def _written(path: Path) -> dict[str, Any]:
    return {"output_size": path.stat().st_size, "output_sha256": checksum(path)}


def _counts(report: Report) -> dict[str, int]:
    return {name: getattr(report, name) for name in ("frames", "packets", *COUNTS) if name != "late"}


def _cut(job: Job, source: Source, folder: str, parts: Iterator[list[Packet]], known: dict[str, Any]) -> Cut:
    """Write the packets of each part, the sound, and last of all the plan."""
    destination, settings = job.destination, job.settings
    output = output_settings(settings.output, source.info)
    counts: list[int] = []
    first: FirstPicture | None = None
    early: list[SoundPacket] = []
    trouble: SourceError | None = None
    with ExitStack() as stack:
        heard = stack.enter_context(stack.enter_context(destination.writing(_sound(folder))).open("wb"))
        for part in parts:
            with destination.writing(_packets(folder, len(counts))) as path, path.open("wb") as file:
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
        destination.remove(folder)
        raise trouble or SourceError(f"{source.info.name}: no picture could be restored")
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
    destination.write_text(_plan(folder), plan.as_json())
    return Cut(folder, plan.packets, ())


def _first_picture(job: Job, source: PartSource, early: list[SoundPacket]) -> FirstPicture:
    """The first restored picture; the sound before it is added to the list.

    Raises:
        SourceError: no picture of this part could be restored.
    """
    items = restore_frames(source, _restorer_of(job.settings), job.settings.policies)
    with contextlib.closing(items):
        for item in items:
            if isinstance(item, Frame):
                return FirstPicture.of(item.picture)
            early.append(item)
    raise SourceError(f"{source.info.name}: no picture could be restored")


def _planned(job: Job, folder: str) -> tuple[Plan, OutputSettings]:
    text = job.destination.read_text(_plan(folder))
    if text is None:
        raise SinkError(f"{job.destination.path(folder)} has gone: was it removed? Begin anew")
    plan = Plan.from_json(text)
    fps = None if plan.fps is None else Fraction(plan.fps)
    aspect = Fraction(plan.sample_aspect)
    return plan, replace(job.settings.output, threads=1, overwrite=True, fps=fps, sample_aspect=aspect)


def _restore_part(job: Job, folder: str, number: int, since: int) -> PartResult:
    plan, output = _planned(job, folder)
    destination, report, info = job.destination, Report(), plan.source_info
    first = plan.first.picture()
    with ExitStack() as stack:
        files = [stack.enter_context(destination.reading(_packets(folder, each))) for each in range(since, number + 1)]
        source = PartSource(info, packets_of(files, info.time_base))
        policy = PartPolicy(job.settings.policies.on_corrupt, report, independent=info.independent)
        video = stack.enter_context(
            contextlib.closing(VideoPart(job.recording.output, output, first, Fraction(plan.origin)))
        )
        parameter_sets, times = video.parameter_sets.hex(), video.memory
        path = stack.enter_context(destination.writing(_coded(folder, number)))
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
            _counts(report),
            report.first_trouble,
            tuple(video.remarks),
        )
    destination.write_text(_result(folder, number), json.dumps(asdict(result)))
    return result


def _frames(job: Job, source: PartSource, report: Report, policy: PartPolicy, first: Picture) -> Iterator[Frame]:
    """The frames of a part, at the size of the recording's first one. There may be none."""
    letterbox = job.settings.policies.on_resize == "letterbox"
    preroll, shown = Sizes(Report(), letterbox=letterbox), Sizes(report, letterbox=letterbox)
    for sizes in (preroll, shown):
        sizes(Frame(first))
    items = restore_frames(source, _restorer_of(job.settings), job.settings.policies, report, policy=policy)
    with contextlib.closing(items):
        try:
            for item in items:
                if isinstance(item, Frame):
                    yield preroll(item) if item.preroll else shown(item)
        except SourceError:
            if report.frames:
                raise
            # No picture of this part can be shown: those of others can.


def _join(job: Job, folder: str, parts: Sequence[PartResult]) -> Done:
    begun = time.monotonic()
    plan, output = _planned(job, folder)
    destination, recording = job.destination, job.recording
    with ExitStack() as stack:
        tracks, sound = (), iter(())
        if plan.has_sound:
            path = stack.enter_context(open_store(recording.location).fetch(recording.location))
            tracks = stack.enter_context(_opened(job, path)).sound
            sound = read_sound(stack.enter_context(destination.reading(_sound(folder))))
        target = stack.enter_context(destination.writing(recording.output))
        remark = join_video(
            target,
            output,
            plan.first.picture(),
            _coded_parts(destination, folder, len(parts)),
            tracks,
            sound,
            early=plan.early,
            parameter_sets=bytes.fromhex(parts[0].parameter_sets),
            shown_until=parts[-1].shown_until,
        )
        written = _written(target)
    destination.remove(folder)
    counts = {name: sum(part.counts[name] for part in parts) for name in parts[0].counts}
    remarks = dict.fromkeys([*plan.remarks, *chain.from_iterable(part.remarks for part in parts)])
    return Done(
        {
            **plan.result,
            **written,
            **counts,
            "first_trouble": next((part.first_trouble for part in parts if part.first_trouble), None),
            "truncated": plan.truncated,
            "remarks": [*remarks, *([remark] if remark else [])],
            "parts": len(parts),
            "seconds": round(time.monotonic() - begun, 3),
        }
    )


def _coded_parts(destination: Destination, folder: str, count: int) -> Iterator[Sequence[CodedVideo]]:
    for number in range(count):
        with destination.reading(_coded(folder, number)) as path:
            yield read_coded(path)
