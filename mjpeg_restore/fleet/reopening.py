"""A sink that outlives its failures: what a full disk or a server's restart has ended is begun anew."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from mjpeg_restore.errors import MjpegRestoreError, SinkError, without_name
from mjpeg_restore.fleet.keys import worded
from mjpeg_restore.frames import Frame, SoundPacket
from mjpeg_restore.retries import Delays, Retries
from mjpeg_restore.sinks import BaseSink, Sink

_SETTLED = 10.0
"""Seconds without a failure after which an output is well again: on a full disk the first pictures may still fit."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """An output that was opened."""

    sink: Sink
    instead: str = ""
    """Path of the file that is written in place of the output's own, which is kept; empty if there is none."""


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
        open: Callable[[], Opened],
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
        self._instead = ""
        """See `Opened`; empty once that has been told."""
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
            self._tell_instead()
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
        self._tell_instead()
        if sink.remark:
            self._note(logging.INFO, "output_remark", sink.remark)

    def discard(self) -> None:
        """Abandon the output."""
        if self._sink is not None:
            self._sink.discard()
            self._sink = None
            self._tell_instead()

    def _open(self) -> None:
        self._opened = self._clock()
        try:
            opened = self._open_sink()
        except MjpegRestoreError as error:
            self._fail(error)
        else:
            sink = opened.sink
            self._sink, self._instead = sink, opened.instead
            self.fixed_size, self.sound = sink.fixed_size, sink.sound

    def _tell_instead(self) -> None:
        """Tell of the file that is written in place of another one, once it is there: on a full disk none may be."""
        if self._instead and os.path.lexists(self._instead):
            self._note(logging.INFO, "output_renamed", f"is kept, what follows is {self._instead}")
            self._instead = ""

    def _fail(self, error: MjpegRestoreError) -> None:
        self._tell_instead()  # what a live file has is kept
        self._sink, self._instead, self.failure = None, "", without_name(worded(error), self.name)
        if self._retries.failed(self.failure, self._clock() - self._opened):
            self._note(logging.ERROR, "output_failed", f"{self.failure}; trying again")

    def _note(self, level: int, event: str, message: str) -> None:
        extra = {"event": event, "source": self._camera}
        _log.log(level, "%s: %s: %s", self._camera, self.name, message, extra=extra)
