"""The stages joined: packets are read, damage is dealt with, pictures are restored and written.

    source -> header walk -> coefficient readers -> damage policy -> drop late -> restorers -> times -> size policy
              in order       a pool                 in order         live only    a pool       in order in order

The stages run at the same time behind bounded queues, and deliver in order. The policies for damage (`damage.py`), late
pictures (`latency.py`), silence and changing sizes are applied here. Sources skip packets without a picture, and the
header walk those of tables alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal, get_args

from mjpeg_restore.colour import blackened
from mjpeg_restore.compare import Comparison
from mjpeg_restore.damage import DamagePolicy, OnCorrupt
from mjpeg_restore.episodes import LiveEpisodes
from mjpeg_restore.errors import Hint, SourceError
from mjpeg_restore.frames import Packet, Picture
from mjpeg_restore.jpeg import reader_name
from mjpeg_restore.latency import drop_late
from mjpeg_restore.ordered import Halt, Workers, in_order
from mjpeg_restore.orientation import fit
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import Sink
from mjpeg_restore.sources import Source, SourceInfo
from mjpeg_restore.stages import Job, Restoration, read_jobs
from mjpeg_restore.verification import Verification

Drop = Literal["oldest", "never"]
OnStall = Literal["hold", "black", "gap"]
OnResize = Literal["scale", "letterbox"]


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
    drop: Drop | None = None
    """"oldest": of the pictures that wait for the network, the oldest are dropped; "never": the source waits. None:
    "oldest" for live sources, "never" for recordings."""
    waiting: int = 2
    """Most pictures that wait for a network that is too slow, where the oldest are dropped. A burst may be longer."""
    max_latency: float = 0.2
    """Seconds after its arrival at which a waiting picture is dropped for a newer one, where the oldest are dropped."""
    on_stall: OnStall = "gap"
    """What is delivered while a live source is silent: nothing ("gap"), the last picture again ("hold") or a black one
    ("black"), at the pace of the pictures before."""
    on_resize: OnResize = "scale"
    """A picture of another size than the first is stretched to it ("scale"), or keeps its aspect and gets black bars
    ("letterbox"), where the sink takes one size only. "scale" adds bars as well to a portrait among landscapes, and the
    reverse (B2)."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a policy or a comparison of no such name, or a number out of its range.
        """
        choices = {"on_corrupt": OnCorrupt, "compare": Comparison, "drop": Drop}
        for name, known in {**choices, "on_stall": OnStall, "on_resize": OnResize}.items():
            value = getattr(self, name)
            if value not in get_args(known) and not (value is None and name in choices):
                raise ValueError(f"{name} {value!r}: there are {', '.join(get_args(known))}")
        if self.frames is not None and self.frames < 0:
            raise ValueError(f"frames {self.frames}: 0 or more")
        if self.waiting < 1 or self.max_latency <= 0:
            raise ValueError(f"waiting {self.waiting}, max_latency {self.max_latency}: 1 or more, more than 0 seconds")


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
        restorer: the network; it works on as many pictures at the same time as it has streams. At most two more are
            under way in it, of a live source none.
        settings: policies; the defaults if None.
        report: counts what happens, where the caller wants to know.
        halt: ends the generator at once, from any thread; `Halt(source.stop)`.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
    """
    settings = settings or PipelineSettings()
    report = report or Report()
    halt = halt or Halt(source.stop)  # a silent camera would otherwise block the end
    live = source.info.live
    in_flight = restorer.streams + (0 if live else 2)
    policy = DamagePolicy(settings.on_corrupt, report, independent=source.info.independent)
    reading = Halt(source.stop)
    jobs = policy(read_jobs(source, settings.frames, reading))
    if settings.drop == "oldest" or (settings.drop is None and live):
        dropping = Halt(reading.request)
        jobs = drop_late(
            jobs, waiting=settings.waiting, max_latency=settings.max_latency, in_flight=in_flight, halt=dropping
        )
    # One worker more than streams keeps all streams busy while a worker waits for the encoder.
    pool = Workers(restorer.streams + 1, "restore", halt)
    restoration = Restoration(restorer, source.info, pool, halt, compare=settings.compare, verify=settings.verify)

    def close() -> None:
        try:
            restoration.close()
        finally:
            pool.close()

    restored = in_order(restoration.submit, jobs, in_flight=in_flight, name="restore", halt=halt, close=close)
    try:
        any_shown = yield from _shown(restored, report, source.info, settings, holds=policy.holds)
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
        stop: read after each picture; once it is set, the run ends properly. Call `source.stop()` too: it ends the wait
            for a silent source, and the run of a live one, whose last pictures are still written.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
        SinkError: the output cannot be written.
        RuntimeUnavailable, ModelError: the network cannot be run.
    """
    settings = settings or PipelineSettings()
    live = source.info.live
    report = Report(model=restorer.model.name, reader=reader_name())
    pictures = restore_pictures(source, restorer, settings, report)
    cut_off = False
    try:
        for picture in _sized(pictures, sink, report, letterbox=settings.on_resize == "letterbox"):
            sink.write(picture)
            if progress:
                progress(report)
            # A live source has been stopped with it: the few pictures under way would be lost for good.
            if sink.closed or (stop and stop.is_set() and not live):
                cut_off = True
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
    report.connection = source.status
    report.runtime = restorer.runtime_name
    report.end(cut_off=cut_off)
    return report


def _shown(
    restored: Iterable[tuple[Job, Picture | None]],
    report: Report,
    info: SourceInfo,
    settings: PipelineSettings,
    *,
    holds: bool,
) -> Generator[Picture, None, bool]:
    """The pictures that are shown, each with its packet's time; where there is none, the one before is held.

    Returns:
        Whether there was any.
    """
    previous: Picture | None = None
    episodes = LiveEpisodes(info.name) if info.live else None
    for job, made in restored:
        report.late += job.late
        report.dropped += job.late
        if episodes:
            episodes.update(job)
        if job.packet.silent:
            picture = _instead(previous, settings.on_stall)
        else:
            report.dropped += made is None and not job.error
            picture = previous if made is None and holds and not job.fragment else made
        if picture is None:
            continue
        report.held += made is None
        if job.verified:
            report.verified = (report.verified or Verification()) + job.verified
        picture = _stamped(picture, job.packet)
        if not (job.packet.silent and settings.on_stall == "black"):
            previous = picture
        report.delivered(picture)
        yield picture
        if made is not None:
            report.taken(job.arrived)
    return previous is not None


def _instead(previous: Picture | None, on_stall: OnStall) -> Picture | None:
    """What is shown while a live source is silent."""
    if previous is None or on_stall == "gap":
        return None
    return blackened(previous) if on_stall == "black" else previous


def _stamped(picture: Picture, packet: Packet) -> Picture:
    return replace(picture, index=packet.index, pts=packet.pts, time_base=packet.time_base, duration=packet.duration)


def _sized(pictures: Iterable[Picture], sink: Sink, report: Report, *, letterbox: bool) -> Generator[Picture]:
    """The pictures, scaled to the size of the first where the sink takes one size only (B2)."""
    size: tuple[int, int] | None = None
    for picture in pictures:
        size = size or (picture.width, picture.height)
        if sink.fixed_size and (picture.width, picture.height) != size:
            report.resized += 1
            picture = fit(picture, *size, letterbox=letterbox)
        yield picture
