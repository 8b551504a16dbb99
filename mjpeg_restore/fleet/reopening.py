"""A sink that outlives its failures: what a full disk or a server's restart has ended is begun anew."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mjpeg_restore.errors import MjpegRestoreError, SinkError, without_name
from mjpeg_restore.fleet.keys import worded
from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.retries import Delays, Retries
from mjpeg_restore.sinks import BaseSink, Sink

_SETTLED = 10.0
"""Seconds without a failure after which an output is well again: on a full disk the first pictures may still fit."""

_log = logging.getLogger(__name__)


class Reopening(BaseSink):
    """Writes to a sink that it opens, and opens again after a while if it fails. It never fails itself.

    Frames that come in between are not written, and the camera's other outputs do not notice.

    Attributes:
        name: of the output, in messages.
        failure: why it is not written, or was not until a moment ago; None where all is well.
    """

    def __init__(
        self,
        camera: str,
        name: str,
        open: Callable[[], Sink],
        delays: Delays,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the sink for the first time.

        Args:
            camera: its name, for messages.
            name: see above.
            open: opens the output; called again after each failure.
            delays: when that is.
            clock: seconds.
        """
        self.failure: str | None = None
        self.name = name
        self._camera, self._open_sink, self._clock = camera, open, clock
        self._retries = Retries(delays, clock)
        self._sink: Sink | None = None
        self._opened = clock()
        self._open()

    @property
    def original(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]  it may change
        """Whether the sink wants the plain decode of the next picture."""
        return self._sink is not None and self._sink.original

    def write(self, frame: Frame) -> None:
        """Write the frame if the output can be written."""
        if self._sink is None and not self._retries.wait:
            self._open()
        if (sink := self._sink) is None:
            self.lost += 1
            return
        lost = sink.lost
        try:
            sink.write(frame)
            self.lost += sink.lost - lost
            if sink.closed:
                sink.close()
                self._fail(SinkError("whoever took it has gone"))
        except SinkError as error:
            sink.discard()
            self._fail(error)
        if self.failure and self._sink and self._clock() - self._opened >= _SETTLED:
            self.failure = None
            if self._retries.succeeded():
                self._note(logging.INFO, "output_recovered", "is written again")

    def write_sound(self, packet: SoundPacket) -> None:
        """Write the sound if the output can be written."""
        if (sink := self._sink) is None:
            return
        try:
            sink.write_sound(packet)
        except SinkError as error:
            sink.discard()
            self._fail(error)

    def close(self) -> None:
        """Finish the output."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            sink.close()
        except SinkError as error:
            self.failure = without_name(worded(error), self.name)
            self._note(logging.ERROR, "output_failed", self.failure)
        if sink.remark:
            self._note(logging.INFO, "output_remark", sink.remark)

    def discard(self) -> None:
        """Abandon the output."""
        if self._sink is not None:
            self._sink.discard()
            self._sink = None

    def _open(self) -> None:
        self._opened = self._clock()
        try:
            self._sink = sink = self._open_sink()
        except MjpegRestoreError as error:
            self._fail(error)
        else:
            self.fixed_size, self.sound = sink.fixed_size, sink.sound

    def _fail(self, error: MjpegRestoreError) -> None:
        self._sink, self.failure = None, without_name(worded(error), self.name)
        if self._retries.failed(self.failure, self._clock() - self._opened):
            self._note(logging.ERROR, "output_failed", f"{self.failure}; trying again")

    def _note(self, level: int, event: str, message: str) -> None:
        extra = {"event": event, "source": self._camera}
        _log.log(level, "%s: %s: %s", self._camera, self.name, message, extra=extra)
