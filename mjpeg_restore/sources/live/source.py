"""One source for every camera: a reader thread, arrival times, a watchdog, and reconnection with back-off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from mjpeg_restore.errors import ConnectionFailed, NotMjpeg, SourceError, reason_of, without_name
from mjpeg_restore.frames import Packet
from mjpeg_restore.retries import Retries
from mjpeg_restore.sources.base import BaseSource, LiveStatus, SourceInfo
from mjpeg_restore.sources.live.attempt import Attempt
from mjpeg_restore.sources.live.clock import TIME_BASE, ArrivalClock
from mjpeg_restore.sources.live.connection import Capture, Connection
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.timing import TimeWindow

_POLL = 0.05
"""Poll interval of the wait for another attempt, seconds."""
_MIN_SILENCE = 1.0
"""Seconds without a picture after which the source says that it is silent, at the pace of the pictures before."""
_SEVERAL = 16
"""Pictures that tell their pace."""
_PATIENCE = 0.5
"""Seconds that `close` waits for the connection to be released: a device that is open is busy for the next one."""

_log = logging.getLogger(__name__)


class LiveSource(BaseSource):
    """A camera's pictures, for days: whatever ends a connection, another one is made.

    Each connection is read on a daemon thread of its own, so that one that cannot be interrupted delays nothing.
    Pictures get rising time stamps by their arrival (quirks T1, T2). The first one of each connection is a
    discontinuity. While nothing arrives, packets that are `silent` keep the time. Each change of state is one line in
    the log.
    """

    def __init__(
        self,
        name: str,
        format: str,
        connect: Callable[[], Connection],
        settings: LiveSettings | None = None,
        *,
        fps: Fraction | None = None,
        start: Fraction | None = None,
        duration: Fraction | None = None,
        reconnects: bool = True,
    ) -> None:
        """Prepare to connect; nothing is connected yet.

        Args:
            name: the source's name in messages, without credentials.
            format: a name of the format: "multipart MJPEG", "RTP/JPEG", ...
            connect: makes the connection for the next attempt.
            settings: the defaults if None.
            fps: nominal frames per second, if they are known.
            start: seconds to skip.
            duration: seconds to keep.
            reconnects: False where the end of the connection is the end of the source.
        """
        self.info = SourceInfo(name, format, "arrival", TIME_BASE, live=True, fps=fps, duration=duration)
        self.status = self._status = LiveStatus()
        self._connect = connect
        self._settings = settings or LiveSettings()
        # A camera that is polled every minute is not stalled after ten seconds.
        self._stall_timeout = max(self._settings.stall_timeout, float(2 / fps) if fps else 0.0)
        self._window = TimeWindow.from_seconds(TIME_BASE, start, duration)
        self._reconnects = reconnects
        self._clock = ArrivalClock()
        self._attempt: Attempt | None = None
        self._retries = Retries()
        self._connected_at = 0.0
        self._any = False
        """Whether a picture has arrived."""
        self._index = 0
        self._step = float(1 / fps) if fps else 1.0
        """Seconds between pictures, on average."""
        self._steps = _SEVERAL if fps else 1
        """Steps that it is the average of, `_SEVERAL` at most: the first one is assumed, as two pictures may come at
        once."""
        self._heard = self._taken = self._shown = time.monotonic()
        """Arrival of the latest picture; when it was taken, which may be later; and of the latest silence."""
        self._ended = False

    def __iter__(self) -> Iterator[Packet]:
        """Yield the pictures; see `Source`."""
        self._heard = self._taken = self._shown = time.monotonic()
        for packet in self._stream():
            if self._window.is_past(packet.pts):
                return
            if self._window.contains(packet.pts):
                yield replace(packet, index=self._index, pts=packet.pts - self._window.shift)
                self._index += not packet.silent

    def stop(self) -> None:
        """End the iteration, even while it waits for a picture; from any thread."""
        self.stopped = True
        if attempt := self._attempt:
            attempt.abandon()

    def close(self) -> None:
        """End the iteration, and wait half a second at most until the connection is released."""
        self.stop()
        if attempt := self._attempt:
            attempt.wait(_PATIENCE)

    def _stream(self) -> Iterator[Packet]:
        """Connect again and again, and yield the pictures and the silences of all connections."""
        while not (self.stopped or self._ended):
            self._attempt = attempt = Attempt(self._connect())
            try:
                yield from self._receive(attempt)
            finally:
                attempt.abandon()
            if not (self.stopped or self._ended):
                yield from self._wait(self._retries.delay)

    def _receive(self, attempt: Attempt) -> Iterator[Packet]:
        """Yield the pictures of one connection, until it ends or stalls."""
        first = True
        while not (self.stopped or self._ended):
            entry = attempt.next()
            if isinstance(entry, Capture):
                if first:
                    self._connected(entry.arrived)
                yield self._packet(entry, discontinuity=first or entry.lost)
                first = False
            elif entry is not None:
                self._lost(entry.error)
                return
            elif self._reconnects and time.monotonic() - attempt.heard > self._stall_timeout:
                self._status.stalls += 1
                self._failed("stalled", f"nothing came for {self._stall_timeout:g} s")
                return
            else:
                yield from self._silence()

    def _packet(self, capture: Capture, *, discontinuity: bool) -> Packet:
        pts = self._clock.stamp(capture.arrived, capture.stamp)
        if self._any and not discontinuity:
            self._steps = min(self._steps + 1, _SEVERAL)
            self._step += (min(capture.arrived - self._heard, 1.0) - self._step) / self._steps
        self._heard = self._shown = capture.arrived
        self._taken = time.monotonic()
        discontinuity, self._any = discontinuity and self._any, True
        return Packet(capture.data, 0, pts, TIME_BASE, discontinuity=discontinuity, arrived=capture.arrived)

    def _silence(self) -> Iterator[Packet]:
        """Say that nothing arrived, at the pace of the pictures before; and give up after long enough."""
        now = time.monotonic()
        give_up = self._settings.give_up
        if give_up is not None and now - self._taken > give_up:
            self._end(f"nothing came for {give_up:g} s, gave up")
        elif self._any and now >= (due := max(self._shown, self._heard + _MIN_SILENCE - self._step) + self._step):
            self._shown = max(due, now - self._step)  # it is looked at from time to time, and so a little late
            yield Packet(b"", 0, self._clock.tick(now), TIME_BASE, silent=True)

    def _wait(self, delay: float) -> Iterator[Packet]:
        """Wait before the next attempt."""
        until = time.monotonic() + delay
        while not (self.stopped or self._ended) and time.monotonic() < until:
            time.sleep(min(_POLL, delay))
            yield from self._silence()

    def _connected(self, arrived: float) -> None:
        again = self._any or self._retries.reason
        silence = arrived - self._heard
        self._connected_at = arrived  # not now: a connection of one picture lasted 0 s, and no negative time
        self._status.connected = True
        self._status.reconnects += self._any
        if self._retries.succeeded():
            self._note(logging.INFO, "connected", f"connected again after {silence:.1f} s" if again else "connected")

    def _lost(self, error: Exception | None) -> None:
        """The connection has ended: decide whether to try again.

        Raises:
            SourceError: trying again would not help.
        """
        name, hopeless = self.info.name, isinstance(error, SourceError) and not isinstance(error, ConnectionFailed)
        if error and not self._any and (hopeless or not isinstance(error, SourceError | OSError)):
            raise error
        if self._reconnects:
            reason = without_name(reason_of(error), name) if error else "the camera ended the stream"
            self._failed("reconnecting", reason)
            return
        self._status.connected = False
        if error and self._any:
            self.truncated = f"{name} could not be read to its end: {reason_of(error)}"
        elif not self._any:
            raise error or NotMjpeg(f"{name} holds no whole JPEG picture")
        self._ended = True

    def _failed(self, event: str, reason: str) -> None:
        """Note a failure, and log it if it is worth a line."""
        lasted = self._heard - self._connected_at if self._status.connected else None
        self._status.connected = False
        if self._retries.failed(reason, lasted):
            self._note(logging.WARNING, event, f"{reason}; connecting again")

    def _end(self, reason: str) -> None:
        """Give up.

        Raises:
            SourceError: there was not a single picture.
        """
        self._status.gave_up, self._ended = True, True
        if not self._any:
            why = f" ({self._retries.reason})" if self._retries.reason else ""
            raise SourceError(f"{self.info.name}: {reason}{why}")
        self.truncated = f"{self.info.name}: {reason}"
        self._note(logging.ERROR, "gave_up", reason)

    def _note(self, level: int, event: str, message: str) -> None:
        name = self.info.name
        _log.log(level, "%s: %s", name, message, extra={"event": event, "source": name})
