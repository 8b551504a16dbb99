"""The stages joined: packets are read, damage is dealt with, pictures are restored and handed to the outlets.

    source -> header walk -> coefficient readers -> damage policy -> drop late -> restorers -> times -> outlets
              in order       a pool                 in order         live only    a pool       in order a thread each

The stages run at the same time behind bounded queues, and deliver in order. The policies for damage (`damage.py`), late
pictures (`latency.py`), silence and changing sizes are applied here. Sources skip packets without a picture, and the
header walk those of tables alone. Sound passes with the packets that it came with, and leaves before their pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from threading import Event
from typing import Literal, cast, get_args

from mjpeg_restore.damage import DamagePolicy, OnCorrupt
from mjpeg_restore.delivery import Delivery
from mjpeg_restore.errors import Hint, SourceError
from mjpeg_restore.frames import Frame, Picture, SoundPacket
from mjpeg_restore.jpeg import reader_name
from mjpeg_restore.latency import drop_late
from mjpeg_restore.ordered import Halt, Workers, in_order, in_turn
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.showing import OnStall, Sizes, shown
from mjpeg_restore.sinks import Sink
from mjpeg_restore.sources import Source
from mjpeg_restore.stages import Restoration, read_coefficients, read_jobs, walk_headers

Drop = Literal["oldest", "never"]
OnResize = Literal["scale", "letterbox"]


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """The choices of a run."""

    on_corrupt: OnCorrupt | None = None
    """What becomes of a damaged picture: "repair" takes its missing rows from the picture before, "hold" shows the
    picture before again, "drop" leaves it out, "pass" shows it as it is. A picture that cannot be repaired is held; one
    that cannot be held is dropped, up to five times in a run; later ones are shown as they are (S8). None: "repair" for
    videos; for pictures in files of their own, which need have nothing in common, "pass" without holding."""
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
            ValueError: a policy of no such name, or a number out of its range.
        """
        choices = {"on_corrupt": OnCorrupt, "drop": Drop}
        for name, known in {**choices, "on_stall": OnStall, "on_resize": OnResize}.items():
            value = getattr(self, name)
            if value not in get_args(known) and not (value is None and name in choices):
                raise ValueError(f"{name} {value!r}: there are {', '.join(get_args(known))}")
        if self.frames is not None and self.frames < 1:
            raise ValueError(f"frames {self.frames}: 1 or more")
        if self.waiting < 1 or not self.max_latency > 0:  # so that NaN is refused, too
            raise ValueError(f"waiting {self.waiting}, max_latency {self.max_latency}: 1 or more, more than 0 seconds")


def restore_pictures(
    source: Source,
    restorer: Restorer,
    settings: PipelineSettings | None = None,
    report: Report | None = None,
    halt: Halt | None = None,
    *,
    pool: Executor | None = None,
) -> Generator[Picture]:
    """The pictures of `restore_frames` alone."""
    frames = restore_frames(source, restorer, settings, report, halt, pool=pool)
    try:
        for item in frames:
            if isinstance(item, Frame):
                yield item.picture
    finally:
        frames.close()


def restore_frames(
    source: Source,
    restorer: Restorer,
    settings: PipelineSettings | None = None,
    report: Report | None = None,
    halt: Halt | None = None,
    *,
    original: bool | Callable[[], bool] = False,
    pool: Executor | None = None,
    policy: DamagePolicy | None = None,
) -> Generator[Frame | SoundPacket]:
    """Restore a source's pictures, in order; its sound comes between them.

    Like every generator, it is for one thread at a time; another thread ends it with `halt`.

    Args:
        source: read to its end, or until the generator is closed or given up, which stops it.
        restorer: the network; it works on as many pictures at the same time as it has streams. At most two more are
            under way in it, of a live source none.
        settings: policies; the defaults if None.
        report: counts what happens, where the caller wants to know.
        halt: ends the generator at once, from any thread; `Halt(source.stop)`.
        original: whether frames hold the plain decode, too; a function is asked for each picture.
        pool: threads that several cameras share. Each camera has one picture in it at a time, reads its coefficients as
            its packets come, and has no threads of its own but one for the dropping of late pictures.
        policy: what is done about damage, instead of `settings.on_corrupt`.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
    """
    settings = settings or PipelineSettings()
    report = report or Report()
    halt = halt or Halt(source.stop)  # a silent camera would otherwise block the end
    live = source.info.live
    in_flight = 1 if pool else restorer.streams + (0 if live else 2)
    # One worker more than streams keeps all streams busy while a worker waits for the encoder.
    workers = pool or Workers(restorer.streams + 1, "restore", halt)
    asked = original if callable(original) else lambda: original
    restoration = Restoration(restorer, source.info, workers, halt, original=asked, verify=settings.verify)
    policy = policy or DamagePolicy(settings.on_corrupt, report, independent=source.info.independent)
    reading = Halt(source.stop)
    if pool:
        read = (read_coefficients(job) for job in walk_headers(source, settings.frames))
    else:
        read = read_jobs(source, settings.frames, reading)
    jobs = policy(read)
    dropping = None
    if settings.drop == "oldest" or (settings.drop is None and live):
        dropping = Halt(reading.request)
        waiting, max_latency = settings.waiting, settings.max_latency
        jobs = drop_late(
            jobs, waiting=waiting, max_latency=max_latency, loaded=lambda: restoration.loaded, halt=dropping
        )

    def close() -> None:
        try:
            restoration.close()
        finally:
            if workers is not pool:
                workers.shutdown(wait=False)

    if pool:
        restored = in_turn(restoration.submit, jobs, halt=halt, before=dropping, close=close)
    else:
        restored = in_order(restoration.submit, jobs, in_flight=in_flight, name="restore", halt=halt, close=close)
    try:
        any_shown = yield from shown(restored, report, source.info, settings.on_stall, holds=policy.holds)
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
    sink: Sink | Sequence[Outlet],
    settings: PipelineSettings | None = None,
    *,
    report: Report | None = None,
    progress: Callable[[Report], None] | None = None,
    stop: Event | None = None,
    pool: Executor | None = None,
) -> Report:
    """Restore a source into a sink, or into several, and finish them.

    Args:
        source: where packets come from; not closed here.
        restorer: the network.
        sink: closed at the end, discarded where the run fails. Of several outlets one that fails is discarded and
            reported, and the others go on; what is no `Exception`, as `sys.exit()` raises, ends the run.
        settings: policies; the defaults if None.
        report: counts what happens, for callers that read it meanwhile; a new one if None.
        progress: called after each picture, with the report so far; in this thread, but with an interactive sink, which
            has this thread for itself.
        stop: read after each picture; once it is set, the run ends properly. Call `source.stop()` too: it ends the wait
            for a silent source, and the run of a live one, whose last pictures are still written.
        pool: threads that several cameras share; see `restore_frames`.

    Raises:
        SourceError: the source cannot be read, or not one picture could be restored.
        SinkError: no output can be written.
        RuntimeUnavailable, ModelError: the network cannot be run.
        TypeError: `sink` is neither a sink nor a list of outlets.
        ValueError: there are no outlets, and nothing is to be verified either.
    """
    settings = settings or PipelineSettings()
    outlets = _outlets(sink, settings)
    report = report or Report()
    report.model, report.reader, report.connection = restorer.model.name, reader_name(), source.status
    delivery = Delivery(outlets, report.taken, source.stop)
    report.outputs = delivery.reports
    halt = Halt(source.stop)
    frames = restore_frames(source, restorer, settings, report, halt, original=lambda: delivery.original, pool=pool)
    sizes = Sizes(report, letterbox=settings.on_resize == "letterbox")
    # A live source has been stopped with `stop`: the few pictures under way would be lost for good.
    until = stop if stop and not source.info.live else None
    try:
        delivery.deliver(_watched(frames, report, restorer, progress, until), sizes)
        cut_off = delivery.ended or (until is not None and until.is_set())
        report.interrupted = delivery.ended or (stop is not None and stop.is_set())
    except BaseException:
        try:
            halt.request()
            halt.wait()
        finally:
            delivery.discard()
        raise
    report.truncated, report.remarks = source.truncated, tuple(source.remarks)
    report.end(cut_off=cut_off)
    return report


def _outlets(sink: object, settings: PipelineSettings) -> Sequence[Outlet]:
    """The outlets that `run` is given; see there."""
    if _is_sink(sink):  # first: it may be a list as well
        return [Outlet(cast(Sink, sink))]
    if not isinstance(sink, Sequence) or isinstance(sink, str | bytes):
        raise TypeError(f"{sink!r} is no sink: give one, such as open_sink('out.mp4'), or a list of outlets")
    outlets = cast(Sequence[object], sink)
    for outlet in outlets:
        if not (isinstance(outlet, Outlet) and _is_sink(outlet.sink)):
            raise TypeError(f"{outlet!r} is no outlet: a list holds sinks as Outlet(sink)")
    if not outlets and not settings.verify:
        raise ValueError("no outlets: there is nothing to be done with the pictures")
    return cast(Sequence[Outlet], outlets)


def _is_sink(candidate: object) -> bool:
    return hasattr(candidate, "write") and hasattr(candidate, "discard")


def _watched(
    frames: Generator[Frame | SoundPacket],
    report: Report,
    restorer: Restorer,
    progress: Callable[[Report], None] | None,
    until: Event | None,
) -> Generator[Frame | SoundPacket]:
    """The items, until the event is set; progress is told once a frame has been taken."""
    try:
        for item in frames:
            report.runtime = report.runtime or restorer.runtime_name
            yield item
            if isinstance(item, SoundPacket):
                continue
            if progress:
                progress(report)
            if until and until.is_set():
                return
    finally:
        frames.close()
