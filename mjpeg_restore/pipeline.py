"""The stages joined: packets are read, damage is dealt with, pictures are restored and written.

    source -> header walk -> coefficient readers -> damage policy -> restorers -> size policy -> sink
              in order       a pool                 in order         a pool       in order

Everything runs at the same time behind bounded queues, and everything comes out in the order in which it came in. The
policies are decided here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal, get_args

from mjpeg_restore.compare import Comparison
from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.jpeg import find_dc_jump, reader_name, repair
from mjpeg_restore.ordered import Halt, ordered_map
from mjpeg_restore.orientation import fit
from mjpeg_restore.report import Report, Tally
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import Sink
from mjpeg_restore.sources import Source
from mjpeg_restore.stages import READERS, Job, Restoration, read_coefficients, walk_headers
from mjpeg_restore.verification import Verification

OnCorrupt = Literal["repair", "hold", "drop", "pass"]

START_UP_LOSSES = 5
"""S8: a camera's first pictures may be damaged; so many of them are dropped before one is shown as it is."""


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What a run does where there is a choice."""

    on_corrupt: OnCorrupt | None = None
    """What becomes of a damaged picture: "repair" takes its missing rows from the picture before, "hold" shows that
    one again, "drop" leaves it out, "pass" shows it as it is. What cannot be repaired is held; what cannot be held is
    dropped. None: "repair" for videos; "pass" without holding for pictures in files of their own, which need have
    nothing in common."""
    compare: Comparison | None = None
    """Show the plain decode too: side by side, or the left half before and the right half after."""
    frames: int | None = None
    """Stop after so many packets."""
    verify: bool = False
    """Quantise each restored picture again, and count the coefficients that are the stream's."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a policy or a comparison of no such name, or a negative number of packets.
        """
        if self.on_corrupt is not None and self.on_corrupt not in get_args(OnCorrupt):
            raise ValueError(f"on_corrupt {self.on_corrupt!r}: there are {', '.join(get_args(OnCorrupt))}")
        if self.compare is not None and self.compare not in get_args(Comparison):
            raise ValueError(f"compare {self.compare!r}: there are {', '.join(get_args(Comparison))}")
        if self.frames is not None and self.frames < 0:
            raise ValueError(f"frames {self.frames}: 0 or more")


def restore_pictures(
    source: Source,
    restorer: Restorer,
    settings: PipelineSettings | None = None,
    tally: Tally | None = None,
    halt: Halt | None = None,
) -> Generator[Picture]:
    """Restore a source's pictures, in order.

    Like every generator, it is for one thread at a time; another thread ends it with `halt`.

    Args:
        source: read to its end, or until the generator is closed or given up, which stops it.
        restorer: the network; it works on as many pictures at the same time as it has streams.
        settings: policies; the defaults if None.
        tally: counts what happens, where the caller wants to know.
        halt: ends the generator at once, from any thread; `Halt(source.stop)`.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
    """
    settings = settings or PipelineSettings()
    tally = tally or Tally()
    halt = halt or Halt(source.stop)  # or a camera that says nothing would hold up the end
    walked = walk_headers(source, settings.frames)
    read_jobs = ordered_map(read_coefficients, walked, workers=READERS, ahead=READERS, name="read")
    stills = source.info.kind == "stills"
    policy = settings.on_corrupt or ("pass" if stills else "repair")
    holds = policy in ("repair", "hold") or (policy == "pass" and not stills)
    sound = _damage_policy(read_jobs, policy, tally, stills=stills)
    restore: Callable[[Job], tuple[Job, Picture | None]] = Restoration(
        restorer, source.info, compare=settings.compare, verify=settings.verify
    )
    # One worker more than streams: while it hands a picture on, and the encoder has its core, no stream waits.
    streams = restorer.streams
    restored = ordered_map(restore, sound, workers=streams + 1, ahead=streams, name="restore", halt=halt)
    previous: Picture | None = None
    try:
        for job, made in restored:
            picture: Picture | None = made
            if picture is None and previous is not None and holds and not job.scrap:
                tally.held += 1
                picture = replace(previous, index=job.packet.index, pts=job.packet.pts, time_base=job.packet.time_base)
            if picture is None:
                tally.dropped += 1
                continue
            picture = replace(picture, duration=job.packet.duration)
            if job.verified:
                tally.verified = (tally.verified or Verification()) + job.verified
            tally.delivered(picture, job.arrived)
            yield picture
            previous = picture
    finally:
        restored.close()
    if previous is None and not halt.asked:
        trouble = f"; {tally.first_trouble}" if tally.first_trouble else ""
        if tally.damaged and policy != "pass":
            trouble += "; --on-corrupt pass keeps what there is of a damaged one"
        raise SourceError(f"{source.info.name}: no picture could be restored{trouble}")


def run(
    source: Source,
    restorer: Restorer,
    sink: Sink,
    settings: PipelineSettings | None = None,
    *,
    progress: Callable[[Tally], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Restore a source into a sink, and finish the sink.

    Args:
        source: where packets come from; not closed here.
        restorer: the network.
        sink: closed at the end, discarded where the run fails.
        settings: policies; the defaults if None.
        progress: called after each picture, in this thread.
        stop: once set, the run ends properly after the picture at hand.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
        SinkError: the output cannot be written.
        RuntimeUnavailable, ModelError: the network cannot be run.
    """
    tally = Tally()
    pictures = restore_pictures(source, restorer, settings, tally)
    size: tuple[int, int] | None = None
    try:
        for picture in pictures:
            size = size or (picture.width, picture.height)
            if sink.fixed_size and (picture.width, picture.height) != size:  # B2
                picture = fit(picture, *size)
                tally.resized += 1
            sink.write(picture)
            if progress:
                progress(tally)
            if sink.closed or (stop and stop.is_set()):
                break
        tally.interrupted = sink.closed or (stop is not None and stop.is_set())
        source.stop()  # or a camera that says nothing would hold up the end
        pictures.close()
        sink.close()
    except BaseException:
        try:
            source.stop()
            pictures.close()
        finally:
            sink.discard()
        raise
    tally.truncated = source.truncated
    tally.remarks = tuple(source.remarks)
    return tally.report(restorer.model.name, restorer.runtime_name, reader_name())


def _damage_policy(jobs: Generator[Job], policy: OnCorrupt, tally: Tally, *, stills: bool) -> Iterator[Job]:
    """Count damage, repair what can be repaired, and empty the jobs whose pictures are not shown."""
    previous: tuple[CodedPicture, ...] = ()
    lost = 0
    try:
        for job in jobs:
            if job.packet.discontinuity:
                previous = ()
            if job.trouble:
                tally.unreadable += not job.scrap
                tally.trouble(job.packet, str(job.error or job.trouble))
            tally.extra += job.parts is not None and job.parts.extra
            for picture in job.coded:
                tally.warnings.update(picture.warnings)
            if not stills and len(previous) == len(job.coded):
                job = replace(job, coded=tuple(map(_compared, job.coded, previous)))
            damage = next((picture.damage for picture in job.coded if picture.damage), None)
            if damage:
                tally.damaged += 1
                tally.trouble(job.packet, damage.reason)
                job = _repaired(job, previous, tally) if policy == "repair" else job
                # S8: with nothing to repair it from, a start-up loss; later on a picture that is all there is, and
                # once such a one is shown, the next one is no worse.
                start_up = not previous and lost < START_UP_LOSSES
                sound_before = previous and not _is_damaged(previous)
                if _is_damaged(job.coded) and policy != "pass" and (sound_before or start_up or policy == "drop"):
                    lost += 1
                    job = replace(job, coded=())
            previous = job.coded or previous
            yield job
    finally:
        jobs.close()


def _compared(picture: CodedPicture, previous: CodedPicture) -> CodedPicture:
    """The picture, with the damage that only shows beside the picture before (S11)."""
    found = None if picture.damage else find_dc_jump(picture, previous)
    return replace(picture, damage=found) if found else picture


def _is_damaged(coded: tuple[CodedPicture, ...]) -> bool:
    return any(picture.damage for picture in coded)


def _repaired(job: Job, previous: tuple[CodedPicture, ...], tally: Tally) -> Job:
    """The job with its missing rows filled (S2), or as it was where that is impossible."""
    if len(previous) != len(job.coded):
        return job
    fixed = [repair(picture, old) for picture, old in zip(job.coded, previous, strict=True)]
    if None in fixed:
        return job
    tally.repaired += 1
    return replace(job, coded=tuple(picture for picture in fixed if picture is not None))
