"""What happened in a run: counted while it goes on, and summed up at any time."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from copy import copy
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from itertools import accumulate
from typing import Any, Literal, get_args

from mjpeg_restore.frames import Packet, Picture
from mjpeg_restore.histogram import Histogram
from mjpeg_restore.sources import LiveStatus
from mjpeg_restore.verification import Verification

_RECENT = 4096
"""Latencies kept for the percentiles: the most recent ones, so that a run may last for weeks."""
_RECENT_IN_COPIES = 256
"""Likewise, in a copy that is sent each second."""

_MOST_WARNINGS = 256
"""Kinds of warnings that are counted apart. Some state a number of bytes, and a run may last for weeks."""

Stage = Literal["read", "restore", "write"]
"""A stage whose time is measured for each picture: "read" reads its coefficients, "restore" is the network, "write" is
a sink. Restoring begins when the picture is handed to the network, and both it and writing include waiting."""

STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(slots=True)
class OutputReport:
    """What became of one output of a run."""

    name: str
    frames: int = 0
    """Frames that it took, and delivered as far as it knows."""
    lost: int = 0
    """Frames that it took and could not deliver, as while a server was away."""
    dropped: int = 0
    """Frames that came while it was busy, and were replaced by newer ones."""
    missed: int = 0
    """Frames that came after its consumer had gone, or after it had failed."""
    left: bool = False
    """Whether its consumer went before the end. If it was the last one, the run ended with that: no frames came that it
    could have missed."""
    error: str | None = None
    """Why it was given up, in one line, if it was."""


@dataclass(slots=True)
class Report:
    """What happened in a run so far. Each count is written by one thread, and may be read from others.

    `run` sets `model`, `runtime`, `reader`, `truncated`, `remarks`, `connection` and `outputs`, and stops the clock at
    the end.
    """

    frames: int = 0
    """Pictures handed to the outputs, held ones included."""
    packets: int = 0
    """Packets that arrived, but those under way when the run was stopped. After a run it is
    `frames - held + dropped + unreadable`."""
    damaged: int = 0
    """Coded pictures with blocks missing."""
    repaired: int = 0
    """Damaged pictures whose missing rows were taken from the picture before."""
    unreadable: int = 0
    """Packets of which nothing could be read."""
    held: int = 0
    """Times that the picture before was shown again, or a black one, because there was no other to show."""
    dropped: int = 0
    """Packets whose picture was not shown though something of it could be read: it was damaged, a fragment, or late."""
    late: int = 0
    """Dropped packets that had waited too long for the network."""
    extra: int = 0
    """Further pictures in a packet, or in the file of a picture, that were no second field; they are not restored."""
    resized: int = 0
    """Pictures scaled to the size of the first."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the last picture, pixels."""
    sampling: str = ""
    """Of the last picture in the stream: "4:2:0", ..., or "gray"."""
    model: str = ""
    """The network, by its name in the catalogue."""
    runtime: str = ""
    """What ran the network: "OpenVINO 2026.4, CPU, bf16"; empty before the first picture."""
    reader: str = ""
    """What read the coefficients."""
    truncated: str | None = None
    """How the source broke off, if it did."""
    remarks: tuple[str, ...] = ()
    """Further remarks on the source, a sentence each; see `Source.remarks`."""
    connection: LiveStatus | None = None
    """How the connection of a live source fared; None of a recording."""
    outputs: tuple[OutputReport, ...] = ()
    """What became of each output."""
    interrupted: bool = False
    """True where the run was stopped before the source's end."""
    first_trouble: str | None = None
    """The first thing that was wrong with a packet, and where."""
    warnings: Counter[str] = field(default_factory=Counter[str])
    """Harmless oddities of the coded pictures, in words, and how many pictures have them."""
    qualities: Counter[int] = field(default_factory=Counter[int])
    """Estimated IJG qualities of the coded pictures, and how many pictures have them."""
    verified: Verification | None = None
    """Where the coefficients of the restored pictures lie, if that was asked for."""
    computed: float | None = None
    """Share of the pictures handed to the outputs that the network computed, 0..1: the mean of `Picture.computed`. The
    rest agreed with the pictures before, or was shown again. None with models that restore each picture alone."""
    stage_times: dict[Stage, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    """How long the stages took for each picture."""
    latencies: Histogram = field(default_factory=Histogram)
    """All latencies of the run; see `latency_ms`."""
    _shares: int = 0
    _begun: float = field(default_factory=time.monotonic)
    _ended: float | None = None
    _first_time: Fraction | None = None
    _last_time: Fraction = Fraction(0)
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    @property
    def seconds(self) -> float:
        """Wall-clock time so far, or of the whole run: the network loaded and the output finished. More than 0."""
        return max((self._ended or time.monotonic()) - self._begun, 1e-9)

    @property
    def video_seconds(self) -> Fraction:
        """Time from the first picture's stamp to the last one's."""
        return Fraction(0) if self._first_time is None else self._last_time - self._first_time

    @property
    def fps(self) -> float:
        """Pictures handed to the outputs in a second of wall-clock time, to two decimals."""
        return round(self.frames / self.seconds, 2)

    @property
    def speed(self) -> float | None:
        """Seconds of video in a second of wall-clock time, to three decimals; None with fewer than two pictures."""
        return round(float(self.video_seconds) / self.seconds, 3) if self.video_seconds else None

    @property
    def latency_ms(self) -> dict[str, float]:
        """Percentiles "p50", "p95" and "p99" of the latest 4,096 latencies, milliseconds; empty before the first one.

        A latency begins when the last byte of the coded picture arrives, and ends when a sink has taken the restored
        one; of several sinks each counts. Of a recording it begins when the source yields the packet, and most of it is
        waiting: packets are read ahead.
        """
        delays = sorted(self._latencies)
        shares = (50, 95, 99) if delays else ()
        return {f"p{share}": round(1000 * delays[share * (len(delays) - 1) // 100], 1) for share in shares}

    @property
    def quality(self) -> dict[str, int]:
        """Estimated IJG quality of the coded pictures: "min", "median" and "max"; empty where none came."""
        counts = Counter(self.qualities)  # the run goes on counting
        if not counts:
            return {}
        values = sorted(counts)
        upto = list(accumulate(counts[value] for value in values))
        median = values[bisect_right(upto, upto[-1] // 2)]
        return {"min": values[0], "median": median, "max": values[-1]}

    def note_warnings(self, warnings: Iterable[str]) -> None:
        """Count the harmless oddities of one picture."""
        for words in warnings:
            known = words in self.warnings or len(self.warnings) < _MOST_WARNINGS
            self.warnings[words if known else "others"] += 1

    def note_trouble(self, packet: Packet, what: str) -> None:
        """Remember the first packet that something is wrong with, and what."""
        where = packet.name or f"packet {packet.index}" + (f", byte {packet.offset}" if packet.offset else "")
        self.first_trouble = self.first_trouble or f"{where}: {what}"

    def taken(self, arrived: float | None, seconds: float) -> None:
        """Note that a sink has taken a picture.

        Args:
            arrived: when its packet arrived, `time.monotonic()`; None where it is shown again, which is no latency.
            seconds: how long the sink took.
        """
        self.stage_times["write"].observe(seconds)
        if arrived is not None:
            latency = time.monotonic() - arrived
            self._latencies.append(latency)
            self.latencies.observe(latency)

    def delivered(self, picture: Picture) -> None:
        """Count a picture that is handed to the sink."""
        self.frames += 1
        self._first_time = picture.time if self._first_time is None else self._first_time
        self._last_time = picture.time
        self.size, self.sampling = (picture.width, picture.height), picture.source_sampling.label
        self.qualities[picture.quality] += 1
        if picture.computed is not None:
            self._shares += 1
            mean = self.computed or 0.0
            self.computed = mean + (picture.computed - mean) / self._shares

    def end(self, *, cut_off: bool = False) -> None:
        """Stop the clock.

        Args:
            cut_off: the run ended before all pictures were written: packets that are still under way do not count.
        """
        if cut_off:
            self.packets = self.frames - self.held + self.dropped + self.unreadable
        self._ended = time.monotonic()

    def snapshot(self) -> Report:
        """A copy for another process: its clock stands still, and it has the latest 256 latencies."""
        copied = copy(self)
        copied.warnings, copied.qualities = Counter(self.warnings), Counter(self.qualities)
        copied.connection = copy(self.connection)
        copied.outputs = tuple(map(copy, self.outputs))
        copied.stage_times = {stage: copy(times) for stage, times in self.stage_times.items()}
        copied.latencies = copy(self.latencies)
        copied._latencies = deque([*self._latencies][-_RECENT_IN_COPIES:])
        copied._ended = self._ended or time.monotonic()
        return copied

    def replace(self, other: Report) -> None:
        """Take over all that another one says."""
        for one in fields(self):
            setattr(self, one.name, getattr(other, one.name))

    def as_dict(self) -> dict[str, Any]:
        """The whole as JSON's types."""
        return {
            "frames": self.frames,
            "packets": self.packets,
            "seconds": round(self.seconds, 3),
            "fps": self.fps,
            "speed": self.speed,
            **{name: getattr(self, name) for name in COUNTS},
            "latency_ms": self.latency_ms,
            "quality": self.quality,
            "size": list(self.size),
            "sampling": self.sampling,
            "model": self.model,
            "runtime": self.runtime,
            "reader": self.reader,
            "truncated": self.truncated,
            "remarks": list(self.remarks),
            "connection": asdict(self.connection) if self.connection else None,
            "outputs": [asdict(output) for output in self.outputs],
            "interrupted": self.interrupted,
            "first_trouble": self.first_trouble,
            "warnings": dict(self.warnings),
            "verified": asdict(self.verified) if self.verified else None,
            "computed": None if self.computed is None else round(self.computed, 4),
        }


COUNTS = ("damaged", "repaired", "unreadable", "held", "dropped", "late", "extra", "resized")
"""The fields of a `Report` that count what did not go as usual."""
