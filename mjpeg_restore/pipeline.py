"""The stages joined: packets are read, damage is dealt with, pictures are restored and written.

    source -> header walk -> coefficient readers -> damage policy -> restorers -> time stamps -> size policy -> sink
              in order       a pool                 in order         a pool       in order       in order

The stages run at the same time behind bounded queues, and deliver in order. The policies for damage (`damage.py`) and
for changing sizes are applied here. Sources skip packets without a picture, and the header walk those of tables alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from threading import Event
from typing import get_args

from mjpeg_restore.compare import Comparison
from mjpeg_restore.damage import DamagePolicy, OnCorrupt
from mjpeg_restore.errors import Hint, SourceError
from mjpeg_restore.frames import Packet, Picture
from mjpeg_restore.jpeg import reader_name
from mjpeg_restore.ordered import Halt, ordered_map
from mjpeg_restore.orientation import fit
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import Sink
from mjpeg_restore.sources import Source
from mjpeg_restore.stages import Job, Restoration, read_jobs
from mjpeg_restore.verification import Verification


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The choices of a run."""

    on_corrupt: OnCorrupt | None = None
    """What becomes of a damaged picture: "repair" takes its missing rows from the picture before, "hold" shows the
    picture before again, "drop" leaves it out, "pass" shows it as it is. A picture that cannot be repaired is held; one
    that cannot be held is dropped, up to five times in a run; later ones are shown as they are (S8). None: "repair" for
    videos; for pictures in files of their own, which need have nothing in common, "pass" without holding."""
    compare: Comparison | None = None
    """Show the plain decode too: side by side, or the left half before and the right half after."""
    frames: int | None = None
    """Stop after that many packets."""
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
    report: Report | None = None,
    halt: Halt | None = None,
) -> Generator[Picture]:
    """Restore a source's pictures, in order.

    Like every generator, it is for one thread at a time; another thread ends it with `halt`.

    Args:
        source: read to its end, or until the generator is closed or given up, which stops it.
        restorer: the network; it works on as many pictures at the same time as it has streams.
        settings: policies; the defaults if None.
        report: counts what happens, where the caller wants to know.
        halt: ends the generator at once, from any thread; `Halt(source.stop)`.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
    """
    settings = settings or PipelineSettings()
    report = report or Report()
    halt = halt or Halt(source.stop)  # a silent camera would otherwise block the end
    policy = DamagePolicy(settings.on_corrupt, report, independent=source.info.independent)
    restoration = Restoration(restorer, source.info, compare=settings.compare, verify=settings.verify)
    restored = ordered_map(
        restoration,
        policy(read_jobs(source, settings.frames)),
        # One worker more than streams keeps all streams busy while a worker waits for the encoder.
        workers=restorer.streams + 1,
        ahead=restorer.streams,
        name="restore",
        halt=halt,
    )
    try:
        any_shown = yield from _shown(restored, report, holds=policy.holds)
    finally:
        restored.close()
    if not any_shown and not halt.requested:
        trouble = f"; {report.first_trouble}" if report.first_trouble else ""
        helps = report.damaged and policy.on_corrupt != "pass"
        hint = Hint("{on_corrupt} shows damaged pictures as they are", on_corrupt="pass") if helps else None
        raise SourceError(f"{source.info.name}: no picture could be restored{trouble}", hint)


def run(
    source: Source,
    restorer: Restorer,
    sink: Sink,
    settings: PipelineSettings | None = None,
    *,
    progress: Callable[[Report], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Restore a source into a sink, and finish the sink.

    Args:
        source: where packets come from; not closed here.
        restorer: the network.
        sink: closed at the end, discarded where the run fails.
        settings: policies; the defaults if None.
        progress: called after each picture, in this thread, with the report so far.
        stop: read after each picture; once it is set, the run ends properly. To end a wait for a silent source, call
            `source.stop()` too.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
        SinkError: the output cannot be written.
        RuntimeUnavailable, ModelError: the network cannot be run.
    """
    report = Report(model=restorer.model.name, reader=reader_name())
    pictures = restore_pictures(source, restorer, settings, report)
    try:
        for picture in _sized(pictures, sink, report):
            sink.write(picture)
            if progress:
                progress(report)
            if sink.closed or (stop and stop.is_set()):
                break
        report.interrupted = sink.closed or (stop is not None and stop.is_set())
        source.stop()  # a silent camera would otherwise block the end
        pictures.close()
        sink.close()
    except BaseException:
        try:
            source.stop()
            pictures.close()
        finally:
            sink.discard()
        raise
    report.truncated, report.remarks = source.truncated, tuple(source.remarks)
    report.runtime = restorer.runtime_name
    report.end()
    return report


def _shown(
    restored: Iterable[tuple[Job, Picture | None]], report: Report, *, holds: bool
) -> Generator[Picture, None, bool]:
    """The pictures that are shown, each with its packet's time; where there is none, the one before is held.

    Returns:
        Whether there was any.
    """
    previous: Picture | None = None
    for job, made in restored:
        picture = previous if made is None and holds and not job.fragment else made
        if picture is None:
            report.dropped += 1
            continue
        report.held += made is None
        if job.verified:
            report.verified = (report.verified or Verification()) + job.verified
        previous = _stamped(picture, job.packet)
        report.delivered(previous, job.arrived)
        yield previous
    return previous is not None


def _stamped(picture: Picture, packet: Packet) -> Picture:
    return replace(picture, index=packet.index, pts=packet.pts, time_base=packet.time_base, duration=packet.duration)


def _sized(pictures: Iterable[Picture], sink: Sink, report: Report) -> Generator[Picture]:
    """The pictures, scaled to the size of the first where the sink takes one size only (B2)."""
    size: tuple[int, int] | None = None
    for picture in pictures:
        size = size or (picture.width, picture.height)
        if sink.fixed_size and (picture.width, picture.height) != size:
            report.resized += 1
            picture = fit(picture, *size)
        yield picture
