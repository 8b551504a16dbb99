"""One camera on the event loop: its newest frame, encoded once for all who watch."""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from functools import cached_property
from types import TracebackType
from typing import Self

from mjpeg_restore.errors import reason_of
from mjpeg_restore.frames import Frame, Picture
from mjpeg_restore.serve.camera import ServedCamera
from mjpeg_restore.serve.monitor import Monitor

BOUNDARY = "mjpeg-restore-frame"
"""Stands between the parts of a multipart response."""

PREAMBLE = f"--{BOUNDARY}\r\n".encode()
"""What stands before the first part."""

_INTERVAL = 1 / 30
"""Seconds between two pictures that are sent, at least: those of a faster camera would take computing time from its
restoration, and nobody would see more."""

Encode = Callable[[Picture], bytes]

_log = logging.getLogger(__name__)


class Shot:
    """A frame as it is sent. Everything in it is made once, for all clients.

    Attributes:
        frame: what was encoded.
        tag: its entity tag, which no other shot of the server has.
        restored: JPEG.
        original: JPEG; None where the frame has no original, or nobody wanted it.
    """

    def __init__(self, frame: Frame, tag: str, restored: bytes, original: bytes | None) -> None:
        self.frame = frame
        self.tag = tag
        self.restored = restored
        self.original = original
        age = 0.0 if frame.arrived is None else time.monotonic() - frame.arrived
        self._time = time.time() - age

    @cached_property
    def part(self) -> bytes:
        """The restored picture as a part of a multipart response."""
        return self._part(self.restored)

    @cached_property
    def original_part(self) -> bytes:
        """The original as such a part; empty if there is none."""
        return self._part(self.original) if self.original else b""

    @cached_property
    def pair(self) -> bytes:
        """Both pictures: the two lengths, 32 bits each, most significant byte first, then the restored picture and the
        original, whose length is 0 if there is none."""
        original = self.original or b""
        return struct.pack(">II", len(self.restored), len(original)) + self.restored + original

    def _part(self, jpeg: bytes) -> bytes:
        header = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\nX-Timestamp: {self._time:.6f}\r\n\r\n"
        # The boundary comes at once, and not with the next picture: Chromium shows a part when it has seen its end.
        return b"".join((header.encode(), jpeg, b"\r\n", PREAMBLE))


class Broadcast:
    """Encodes a camera's newest frame while somebody watches. It belongs to one event loop.

    One frame is encoded at a time, and the next one is the newest then: however slow the encoder, nothing queues up. At
    most 30 in a second are.

    Attributes:
        monitor: how the camera fares.
        shot: the newest encoded frame; None before the first.
    """

    def __init__(self, camera: ServedCamera, pool: Executor, encode: Encode, boot: str) -> None:
        """Begin to listen to the camera.

        Args:
            camera: its sink has no other server.
            pool: its threads encode.
            encode: makes a JPEG of a picture.
            boot: a word for this server, which begins the tags.
        """
        self.monitor = Monitor(camera)
        self.shot: Shot | None = None
        self._sink = camera.sink
        self._pool, self._encode, self._boot = pool, encode, boot
        self._loop = asyncio.get_running_loop()
        self._written = asyncio.Event()
        self._changed = asyncio.Event()
        self._watches: set[Watch] = set()
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        self._due = 0.0
        """When the next picture may be sent, on the loop's clock."""
        self._refused: Frame | None = None
        self._closed = False
        self._sink.on_change = self._wake

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._watches)

    @property
    def current(self) -> bool:
        """Whether `shot` is the camera's newest frame."""
        return self.shot is not None and self.shot.frame is self._sink.latest

    @property
    def over(self) -> bool:
        """Whether no other shot will come."""
        return self._closed or (self._sink.ended and (self._sink.latest is None or self._is_done(self._sink.latest)))

    def watch(self, *, original: bool = False) -> Watch:
        """Watch the camera; use the result in a `with` statement.

        Args:
            original: shots are to have originals.
        """
        return Watch(self, original)

    async def changed(self) -> None:
        """Wait for the next shot or for the end."""
        await self._changed.wait()

    def close(self) -> None:
        """Listen no more; whoever watches sees the end."""
        self._closed = True
        self._sink.on_change = None
        self._sink.original = self._sink.watched = False
        if self._task:
            self._task.cancel()
        self._announce()

    def enter(self, watch: Watch) -> None:
        """Count one more that watches."""
        self._watches.add(watch)
        self._note_watches()
        self._task = self._task or self._loop.create_task(self._run())

    def leave(self, watch: Watch) -> None:
        """Count one less."""
        self._watches.discard(watch)
        self._note_watches()
        if not self._watches and self._task:
            self._task.cancel()
            self._task = None

    def _note_watches(self) -> None:
        if not self._closed:
            self._sink.watched = bool(self._watches)
            self._sink.original = any(watch.original for watch in self._watches)
        self._written.set()  # the newest frame may have an original that nobody wanted before

    def _wake(self) -> None:
        """Note a change of the sink's; on the run's thread."""
        if self._watches:
            with suppress(RuntimeError):  # the loop has been closed in this moment
                self._loop.call_soon_threadsafe(self._written.set)

    async def _run(self) -> None:
        while True:
            self._written.clear()
            frame = self._sink.latest
            if frame is not None and not self._is_done(frame):
                await self._wait_until_due()
                await self._publish(self._sink.latest or frame)
            elif self.over:
                self._announce()
                return
            else:
                await self._written.wait()

    async def _wait_until_due(self) -> None:
        now = self._loop.time()
        if self._due > now:
            await asyncio.sleep(self._due - now)
        # A picture that was late lets the next one be as much early: packets of a steady camera come unevenly.
        self._due = max(self._due, now - _INTERVAL) + _INTERVAL

    def _is_done(self, frame: Frame) -> bool:
        """Whether there is nothing to encode in the frame."""
        if frame is self._refused:
            return True
        if self.shot is None or self.shot.frame is not frame:
            return False
        return frame.original is None or self.shot.original is not None or not self._sink.original

    async def _publish(self, frame: Frame) -> None:
        wanted = [frame.picture]
        if self._sink.original and frame.original is not None:
            wanted.append(frame.original)
        try:
            encoded = await asyncio.gather(
                *(self._loop.run_in_executor(self._pool, self._encode, one) for one in wanted)
            )
        except Exception as error:  # of FFmpeg's; the camera's next picture may be another matter
            if self._refused is None:
                _log.warning("%s: a picture cannot be served: %s", self.monitor.camera.name, reason_of(error))
            self._refused = frame
            return
        self._number += 1
        original = encoded[1] if len(encoded) > 1 else None
        self.shot = Shot(frame, f'"{self._boot}-{self._number}"', encoded[0], original)
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Watch:
    """Somebody who watches a camera, at a pace of their own."""

    def __init__(self, broadcast: Broadcast, original: bool) -> None:
        self.original = original
        self._broadcast = broadcast
        self._seen = None if broadcast.current else broadcast.shot

    def __enter__(self) -> Self:
        self._broadcast.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._broadcast.leave(self)

    async def next(self) -> Shot | None:
        """The newest shot, once there is one that this watcher has not had; None at the end."""
        while True:
            shot = self._broadcast.shot
            if shot is not None and shot is not self._seen:
                self._seen = shot
                return shot
            if self._broadcast.over:
                return None
            await self._broadcast.changed()
