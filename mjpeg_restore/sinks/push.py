"""Pictures encoded and sent to another program while they are restored."""

# PyAV's stubs leave types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import av
from av.error import FFmpegError

from mjpeg_restore.errors import SinkError, is_broken_pipe, reason_of
from mjpeg_restore.frames import Frame, Picture, Sampling, SoundPacket
from mjpeg_restore.retries import Delays, Retries
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import BaseSink, OutputSettings, check_size
from mjpeg_restore.sinks.containers import check_codec
from mjpeg_restore.sinks.encoder import find_encoder
from mjpeg_restore.sinks.links import Link
from mjpeg_restore.sinks.pace import Pace
from mjpeg_restore.sinks.timing import Timeline, container_time_base, guess_rate, start_time
from mjpeg_restore.sinks.writer import VideoWriter
from mjpeg_restore.sound import SoundTrack

_DELAYS = Delays(steady=10.0)
"""A server that accepts and hangs up is not there for longer."""
_EARLY = 64
"""Packets of sound that are kept for the first connection: a second or more."""

_FAILURES = (FFmpegError, OSError, ValueError)

_log = logging.getLogger(__name__)


class Push(BaseSink):
    """A live stream to a server, a player or a pipe.

    *Samples* are 4:2:0, which all decoders take. *The encoder* holds no picture back and codes a key frame, with its
    parameters, every two seconds and at each new connection.

    *A recording* is sent at its own pace, and a connection that cannot be made, or breaks, is an error.

    *A camera's* run goes on: the sink connects again, with back-off, from the beginning and for as long as it takes.
    Pictures that come meanwhile are lost, and counted. What no further attempt can help, such as a wrong password, is
    an error only before the first connection. The log has a line when the connection changes.

    No call takes longer than some seconds, but those to a pipe whose reader does not read.
    """

    fixed_size = True

    def __init__(
        self,
        link: Link,
        settings: OutputSettings | None = None,
        sound: Sequence[SoundTrack] = (),
        *,
        source: str = "",
        paced: bool = True,
    ) -> None:
        """Prepare; the connection is made with the first picture.

        Args:
            link: the way to the other program.
            settings: `codec`, `crf`, `preset`, `range`, `options`, `fps`, `sample_aspect`, and `live`; the defaults if
                None.
            sound: tracks of sound, for links that can carry it.
            source: whose pictures they are, in the log; empty: it does not say.
            paced: send a recording at its own pace; False where the reader has its own.

        Raises:
            SinkError: the encoder is unknown, or its codec not one that the peer takes.
        """
        settings = settings or OutputSettings()
        self._link = link
        self._source = source
        self._settings = settings
        self._encoder = find_encoder(settings.codec or "h264", replace(settings, live=True))
        check_codec(self._encoder, link.name, link.codecs)
        self._full_range = self._encoder.is_full_range(link.format, settings.range)
        self._pace = Pace() if paced and not settings.live else None
        self._skipped = Fraction(0)
        self._reconnects = settings.live and link.reconnects
        self._retries = Retries(_DELAYS)
        self._writer: VideoWriter | None = None
        self._finished = False
        self.sound = bool(sound) and link.sound
        self._tracks = sound if link.sound else ()
        self._early = deque[SoundPacket](maxlen=_EARLY)
        """The sound before the first connection."""

    def write(self, frame: Frame) -> None:
        """Send one picture, or lose it.

        Raises:
            SinkError: the encoder cannot be opened, the size changed, or there is no connection and none is to come.
        """
        if self.closed:
            return
        picture = pixels.convert(frame.picture, Sampling.YUV420, self._full_range)
        if self._pace:
            self._pace.wait(picture.time)
            self._skipped = self._pace.skipped
            picture = replace(picture, pts=picture.pts - round(self._skipped / picture.time_base))
        if self._writer is None and not self._connect(picture):
            self.lost += 1
            return
        assert self._writer
        check_size(picture, self._writer.size, self._link.name)
        try:
            self._writer.write(picture)
        except _FAILURES as error:
            self.lost += 1
            self._failed("the connection broke", error)

    def write_sound(self, packet: SoundPacket) -> None:
        """Send sound, while there is a connection; what comes before the first one is sent then.

        Raises:
            SinkError: see `write`.
        """
        if self._writer is None:
            if not self._retries.ever_succeeded:
                self._early.append(packet)
            return
        try:
            self._writer.write_sound(packet.moved(-round(self._skipped / packet.time_base)))
        except _FAILURES as error:
            self._failed("the connection broke", error)

    def close(self) -> None:
        """Send what the encoder holds, and end the connection.

        Raises:
            SinkError: that failed, unless another attempt would have been made; or there never was a connection.
        """
        if self._finished:
            return
        self._finished = True
        try:
            if self._writer:
                self._writer.finish()
        except _FAILURES as error:
            self._failed("the connection broke", error)
        finally:
            self._hang_up()
        if self.lost and not self._retries.ever_succeeded and self._retries.reason:
            raise SinkError(f"{self._link.name}: {self._retries.reason}")

    def discard(self) -> None:
        """End the connection."""
        self._finished = True
        self._hang_up()

    def _connect(self, picture: Picture) -> bool:
        """Make an attempt if it is time for one; whether there is a connection now."""
        if self._retries.wait:
            return False
        try:
            self._link.connect()
            self._writer = self._open(picture)
            self._link.describe(self._writer.parameter_sets)
        except SinkError as error:
            self._hang_up()
            if not (self._reconnects and self._retries.ever_succeeded):
                raise
            self._note_failure(error.message)
            return False
        except _FAILURES as error:
            self._failed("no connection", error)
            return False
        self._note_connection()
        while self._early and self._is_connected:
            self.write_sound(self._early.popleft())
        return self._is_connected

    @property
    def _is_connected(self) -> bool:
        return self._writer is not None

    def _open(self, picture: Picture) -> VideoWriter:
        rate = self._settings.fps or guess_rate(picture.time_base)
        origin = start_time(self._link.format, picture, rate, ())
        timeline = Timeline(container_time_base(self._link.format, picture.time_base, rate), rate, origin)
        container = av.open(self._link, "w", format=self._link.format, container_options=dict(self._link.options))
        return VideoWriter(container, self._encoder, picture, timeline, self._settings.sample_aspect, self._tracks)

    def _failed(self, what: str, error: Exception) -> None:
        """Give a connection up.

        Raises:
            SinkError: it is not to be made again.
        """
        self._hang_up()
        if is_broken_pipe(error) and not self._link.reconnects:
            self.closed = True
            return
        reason = f"{what} ({reason_of(error)})"
        if not self._reconnects:
            raise SinkError(f"{self._link.name}: {reason}") from None
        self._note_failure(reason)

    def _note_connection(self) -> None:
        again = " again" if self._retries.ever_succeeded else ""
        losses = f"; {self.lost} pictures are lost so far" if self.lost else ""
        if self._retries.succeeded() and self._link.reconnects:
            self._note(logging.INFO, "output_connected", f"connected{again}{losses}")

    def _note_failure(self, reason: str) -> None:
        if self._retries.failed(reason):
            self._note(logging.WARNING, "output_reconnecting", f"{reason}; connecting again")

    def _note(self, level: int, event: str, message: str) -> None:
        name = self._link.name
        _log.log(level, "%s: %s", name, message, extra={"event": event, "source": self._source, "output": name})

    def _hang_up(self) -> None:
        """Close the connection, then the muxer, whose last words go nowhere."""
        self._link.close()
        if self._writer:
            self.remark = self._writer.remark
            self._writer.discard()
            self._writer = None
