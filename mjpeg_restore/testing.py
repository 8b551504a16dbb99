"""Test doubles for programs that embed the package: a source that is a list, a sink that is one, and JPEGs for both.

    sink = Collect()
    run(ListSource(jpegs(10)), Restorer("decode"), sink)
    assert [picture.index for picture in sink.pictures] == [*range(10)]

They need no file, no camera and no network: "decode" is the plain JPEG decode.
"""

# PyAV's stubs leave the parameter of Packet open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Packet, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks import BaseSink
from mjpeg_restore.sources import BaseSource, SourceInfo

TIME_BASE = Fraction(1, 1000)
"""Seconds per unit of the times of a `ListSource`."""

_PIXEL_FORMATS = {
    Sampling.YUV444: "yuvj444p",
    Sampling.YUV422: "yuvj422p",
    Sampling.YUV420: "yuvj420p",
}
"""FFmpeg's names for the subsamplings that its encoder writes."""


class ListSource(BaseSource):
    """Coded pictures, one a packet.

    Attributes:
        yielded: packets that were taken so far.
        closed: True once it was closed.
    """

    def __init__(
        self,
        pictures: Iterable[bytes],
        times: Iterable[int] | None = None,
        *,
        sounds: Iterable[Sequence[SoundPacket]] = (),
        live: bool = False,
        ends: bool = True,
        **info: Any,
    ) -> None:
        """Prepare; nothing is taken yet.

        Args:
            pictures: JPEGs, or what is to be taken for one.
            times: of the pictures, in milliseconds, rising; every 40 of them if None.
            sounds: for each picture the packets of sound that come with it.
            live: it is a camera: each picture comes at its time, and is stamped on arrival.
            ends: False: after the last picture it is silent until it is stopped, as a camera may be.
            info: further fields of `SourceInfo`, such as `height=48` or `independent=True`.
        """
        origin = "arrival" if live else "container"
        self.info = replace(SourceInfo("a list", "list", origin, TIME_BASE, live=live), **info)
        self.yielded = 0
        self.closed = False
        self._pictures, self._ends = pictures, ends
        self._times = iter(times) if times is not None else None
        self._sounds = iter(sounds)
        self._stopping = threading.Event()

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets; see `Source`."""
        began = time.monotonic()
        for index, data in enumerate(self._pictures):
            pts = next(self._times) if self._times else 40 * index
            arrived = self._arrive(began + pts / 1000) if self.info.live else None
            if self.stopped:
                return
            self.yielded += 1
            yield Packet(data, index, pts, TIME_BASE, arrived=arrived, sound=tuple(next(self._sounds, ())))
        if not self._ends:
            self._stopping.wait()

    def stop(self) -> None:
        """End the iteration, even while it waits; from any thread."""
        super().stop()
        self._stopping.set()

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def _arrive(self, due: float) -> float:
        self._stopping.wait(max(due - time.monotonic(), 0))
        return time.monotonic()


class Collect(BaseSink):
    """Keeps what it is given.

    Attributes:
        pictures: the restored pictures.
        originals: beside each its plain decode; None where it was not asked for.
        items: the frames and the packets of sound, as they came.
        ended: the calls that ended it, "closed" or "discarded"; of a run that succeeds, `["closed"]`.
    """

    def __init__(
        self,
        *,
        fixed_size: bool = False,
        original: bool = False,
        sound: bool = True,
        fail_at: int | None = None,
        leave_at: int | None = None,
    ) -> None:
        """Prepare.

        Args:
            fixed_size: every picture must have the size of the first; see `Sink`.
            original: ask for the plain decode, too.
            sound: ask for the sound.
            fail_at: number of the picture, from 0, whose `write` raises `SinkError`; None: none.
            leave_at: after that many pictures the consumer has gone, as if a window was shut, and more are not kept;
                None: never.
        """
        self.fixed_size, self.original, self.sound = fixed_size, original, sound
        self.pictures: list[Picture] = []
        self.originals: list[Picture | None] = []
        self.items: list[Frame | SoundPacket] = []
        self.ended: list[Literal["closed", "discarded"]] = []
        self._fail_at = fail_at
        self._leave_at = leave_at
        self.closed = leave_at == 0

    def write(self, frame: Frame) -> None:
        """Keep a frame.

        Raises:
            SinkError: it is the one at which the sink is to fail.
        """
        if len(self.pictures) == self._fail_at:
            raise SinkError("the disk is full")
        if self.closed:
            return
        self.pictures.append(frame.picture)
        self.originals.append(frame.original)
        self.items.append(frame)
        self.closed = len(self.pictures) == self._leave_at

    def write_sound(self, packet: SoundPacket) -> None:
        """Keep a packet of sound."""
        self.items.append(packet)

    def close(self) -> None:
        """Note that it was closed."""
        self.ended.append("closed")

    def discard(self) -> None:
        """Note that it was discarded."""
        self.ended.append("discarded")


def jpegs(
    count: int,
    size: tuple[int, int] = (64, 48),
    *,
    sampling: Sampling = Sampling.YUV420,
    coarseness: int = 8,
) -> list[bytes]:
    """A short clip: JPEGs of a slope, over which a bright square moves by two pixels from each to the next.

    Joined, `b"".join(jpegs(10))`, they are a raw `.mjpeg` stream, which `open` takes as it is.

    Args:
        count: number of pictures.
        size: width and height in pixels.
        sampling: chroma subsampling; 4:4:4, 4:2:2 or 4:2:0.
        coarseness: FFmpeg's quantiser scale, 1 (fine) to 31 (coarse).

    Raises:
        ValueError: another subsampling.
    """
    if sampling not in _PIXEL_FORMATS:
        raise ValueError(f"sampling {sampling.label}: there are {', '.join(known.label for known in _PIXEL_FORMATS)}")
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = _PIXEL_FORMATS[sampling], Fraction(1, 25)
    encoder.qmin = encoder.qmax = coarseness
    width, height = size
    y, x = np.mgrid[:height, :width]
    slope = np.stack([x * 160 // width + 40, y * 160 // height + 40, (x + y) % 96 + 80], axis=-1).astype(np.uint8)
    coded: list[bytes] = []
    for number in range(count):
        image = slope.copy()
        left, top = 2 * number % width, height // 4
        image[top : top + height // 2, left : left + width // 4] = 230
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=encoder.pix_fmt)
        frame.pts = number
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    return coded + [bytes(packet) for packet in encoder.encode(None)]
