"""What happened in a run: counted while it goes on, summed up at its end."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter, deque
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate

from mjpeg_restore.frames import Packet, Picture
from mjpeg_restore.verification import Verification

_RECENT = 4096
"""Latencies kept for the percentiles: the most recent ones, so that a run may last for weeks."""


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a run, as `--json` prints it."""

    frames: int
    """Pictures written."""
    seconds: float
    """Wall-clock time of the run, loading the network and finishing the output included."""
    fps: float
    """Pictures written in a second of it."""
    speed: float | None
    """Seconds of video in a second of it; None where only one picture came."""
    damaged: int
    """Coded pictures with blocks missing."""
    repaired: int
    """Of these, the ones filled up from the picture before."""
    unreadable: int
    """Packets of which nothing could be read."""
    held: int
    """Times that the picture before was shown again instead."""
    dropped: int
    """Packets that left no picture."""
    extra: int
    """Second pictures in a packet that were no second field, passed over."""
    resized: int
    """Pictures scaled to the size of the first."""
    latency_ms: dict[str, float]
    """From the source to the sink: "p50", "p95" and "p99" in milliseconds."""
    quality: dict[str, int]
    """Estimated IJG quality of what came in: "min", "median", "max"."""
    size: tuple[int, int]
    """Width and height of the last picture, pixels."""
    sampling: str
    """Of the last picture: "4:2:0", ..., or "gray"."""
    model: str
    runtime: str
    """What ran the network."""
    reader: str
    """What read the coefficients."""
    truncated: str | None
    """How the source broke off, if it did."""
    remarks: tuple[str, ...]
    """What else there is to know of the source, a sentence each."""
    interrupted: bool
    """True where the user stopped the run."""
    first_trouble: str | None
    """The first thing that was wrong with a packet, and where."""
    warnings: dict[str, int]
    """Harmless oddities of the coded pictures, in words, and how many pictures have them."""
    verified: Verification | None
    """Where the coefficients of the restored pictures lie, where that was asked for."""


@dataclass(slots=True)
class Tally:
    """Counts of a run that is going on. Each count is written by one thread."""

    frames: int = 0
    damaged: int = 0
    repaired: int = 0
    unreadable: int = 0
    held: int = 0
    dropped: int = 0
    extra: int = 0
    resized: int = 0
    interrupted: bool = False
    truncated: str | None = None
    remarks: tuple[str, ...] = ()
    first_trouble: str | None = None
    begun: float = field(default_factory=time.monotonic)
    first_time: Fraction | None = None
    last: Picture | None = None
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    qualities: Counter[int] = field(default_factory=Counter[int])
    warnings: Counter[str] = field(default_factory=Counter[str])
    verified: Verification | None = None

    def trouble(self, packet: Packet, what: str) -> None:
        """Remember the first packet that something is wrong with, and what."""
        where = packet.name or f"packet {packet.index}" + (f", byte {packet.offset}" if packet.offset else "")
        self.first_trouble = self.first_trouble or f"{where}: {what}"

    def delivered(self, picture: Picture, arrived: float) -> None:
        """Count a picture that is on its way to the sink."""
        self.frames += 1
        self.first_time = picture.time if self.first_time is None else self.first_time
        self.last = picture
        self.latencies.append(time.monotonic() - arrived)
        self.qualities[picture.quality] += 1

    @property
    def seconds(self) -> float:
        """Wall-clock time since the run began, more than 0."""
        return max(time.monotonic() - self.begun, 1e-9)

    @property
    def video_seconds(self) -> Fraction:
        """Time from the first picture's stamp to the last one's."""
        return Fraction(0) if self.first_time is None or self.last is None else self.last.time - self.first_time

    def report(self, model: str, runtime: str, reader: str) -> Report:
        """Sum up."""
        seconds = self.seconds
        delays = sorted(self.latencies)
        last = self.last
        return Report(
            frames=self.frames,
            seconds=round(seconds, 3),
            fps=round(self.frames / seconds, 2),
            speed=round(float(self.video_seconds) / seconds, 3) if self.video_seconds else None,
            damaged=self.damaged,
            repaired=self.repaired,
            unreadable=self.unreadable,
            held=self.held,
            dropped=self.dropped,
            extra=self.extra,
            resized=self.resized,
            latency_ms={
                f"p{share}": round(1000 * delays[share * (len(delays) - 1) // 100], 1)
                for share in (50, 95, 99)
                if delays
            },
            quality=_summary(self.qualities),
            size=(last.width, last.height) if last else (0, 0),
            sampling=last.sampling.label if last else "",
            model=model,
            runtime=runtime,
            reader=reader,
            truncated=self.truncated,
            remarks=self.remarks,
            interrupted=self.interrupted,
            first_trouble=self.first_trouble,
            warnings=dict(self.warnings),
            verified=self.verified,
        )


def _summary(counts: Counter[int]) -> dict[str, int]:
    """Least, median and greatest of what was counted; nothing where nothing was."""
    if not counts:
        return {}
    values = sorted(counts)
    upto = list(accumulate(counts[value] for value in values))
    median = values[bisect_right(upto, counts.total() // 2)]
    return {"min": values[0], "median": median, "max": values[-1]}
