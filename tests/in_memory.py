"""A source that is a list and a sink that is one: the pipeline without files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Packet, Picture, SoundPacket
from mjpeg_restore.sinks import BaseSink
from mjpeg_restore.sources import SourceInfo
from mjpeg_restore.sources.base import BaseSource

BASE = Fraction(1, 1000)


class ListSource(BaseSource):
    """Coded pictures, one a packet, at the times given, in milliseconds; every 40 of them if not."""

    def __init__(
        self,
        pictures: Iterable[bytes],
        times: Iterable[int] | None = None,
        height: int | None = None,
        tag: str = "",
        *,
        independent: bool = False,
    ) -> None:
        self.info = SourceInfo(
            "a list", "list", "container", BASE, independent=independent, height=height, codec_tag=tag
        )
        self.truncated: str | None = None
        self.yielded = 0
        self.closed = False
        self._pictures = pictures
        self._times = iter(times) if times is not None else None

    def __iter__(self) -> Iterator[Packet]:
        for index, data in enumerate(self._pictures):
            if self.stopped:
                return
            self.yielded += 1
            yield Packet(data, index, next(self._times) if self._times else 40 * index, BASE)

    def close(self) -> None:
        self.closed = True


class Collect(BaseSink):
    """Keeps the pictures, their plain decodes and the sound."""

    def __init__(
        self,
        *,
        fixed_size: bool = False,
        original: bool = False,
        fail_at: int | None = None,
        leave_at: int | None = None,
    ) -> None:
        self.fixed_size, self.original, self.sound = fixed_size, original, True
        self.pictures: list[Picture] = []
        self.originals: list[Picture | None] = []
        self.items: list[Frame | SoundPacket] = []
        self.ended: list[str] = []
        self._fail_at = fail_at
        self._leave_at = leave_at

    def write(self, frame: Frame) -> None:
        if len(self.pictures) == self._fail_at:
            raise SinkError("the disk is full")
        self.pictures.append(frame.picture)
        self.originals.append(frame.original)
        self.items.append(frame)
        self.closed = len(self.pictures) == self._leave_at

    def write_sound(self, packet: SoundPacket) -> None:
        self.items.append(packet)

    def close(self) -> None:
        self.ended.append("closed")

    def discard(self) -> None:
        self.ended.append("discarded")
