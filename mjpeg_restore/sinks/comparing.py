"""A sink that gets before and after in one picture."""

from __future__ import annotations

from dataclasses import replace

from mjpeg_restore.compare import Comparison, compose
from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.sinks.base import Sink


class Comparing:
    """Passes frames on to another sink, each with the plain decode and the restored picture in one; see `compose`."""

    original = True
    instant = False

    def __init__(self, sink: Sink, how: Comparison) -> None:
        self._sink = sink
        self._how: Comparison = how

    @property
    def fixed_size(self) -> bool:
        """Like the other sink's; see `Sink`."""
        return self._sink.fixed_size

    @property
    def sound(self) -> bool:
        """Likewise."""
        return self._sink.sound

    @property
    def interactive(self) -> bool:
        """Likewise."""
        return self._sink.interactive

    @property
    def lost(self) -> int:
        """Likewise."""
        return self._sink.lost

    @property
    def closed(self) -> bool:
        """Likewise."""
        return self._sink.closed

    @property
    def remark(self) -> str | None:
        """Likewise."""
        return self._sink.remark

    def write(self, frame: Frame) -> None:
        """Write both pictures as one."""
        assert frame.original is not None  # asked for by `original`
        self._sink.write(replace(frame, picture=compose(frame.original, frame.picture, self._how)))

    def write_sound(self, packet: SoundPacket) -> None:
        """Pass the sound on."""
        self._sink.write_sound(packet)

    def idle(self) -> None:
        """Let the other sink serve its events."""
        self._sink.idle()

    def close(self) -> None:
        """Finish the other sink's output."""
        self._sink.close()

    def discard(self) -> None:
        """Abandon the other sink's output."""
        self._sink.discard()
