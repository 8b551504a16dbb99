"""The stages of the pipeline for a stream whose packets are pushed, as GStreamer does it, and not pulled.

    packet -> header walk -> coefficients -> damage policy -> restoration -> hold

It has no feeder: each step is a call, so that the caller decides what runs on which thread, and what is late.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

from mjpeg_restore.damage import DamagePolicy, OnCorrupt
from mjpeg_restore.frames import Frame, Packet, Picture
from mjpeg_restore.jpeg import HeaderWalk
from mjpeg_restore.ordered import Halt, Workers
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import SourceInfo
from mjpeg_restore.stages import Job, Restoration, read_coefficients, walk_header

Restored = tuple[Job, Frame | None]
"""A packet that has been read, and its frame; None where there was nothing to restore."""


class PushedStream:
    """One stream: `read` and `restore` for each packet, in order, and `shown` for each result, in the same order.

    `read` and `restore` belong to one thread. The restored pictures have no times.
    """

    def __init__(self, restorer: Restorer, info: SourceInfo, halt: Halt, *, on_corrupt: OnCorrupt) -> None:
        """Begin a stream.

        Args:
            restorer: the network; it works on as many pictures at the same time as it has streams.
            info: the stream's height, field order and rotation, as far as they are known.
            halt: ends also the wait for a network that is made ready.
            on_corrupt: what becomes of damaged pictures; see `PipelineSettings`.
        """
        self._walk = HeaderWalk(info.height, info.codec_tag)
        self._policy = DamagePolicy(on_corrupt, Report(), independent=False)
        self._pool = Workers(restorer.streams, "restore", halt)
        self._restoration = Restoration(restorer, info, self._pool, halt, original=lambda: False)
        self._discontinuity = False
        self._previous: Picture | None = None

    def read(self, packet: Packet) -> Job | None:
        """Read the coefficients of the next packet and apply the damage policy; None if it holds tables alone."""
        job = walk_header(self._walk, packet)
        if job is None:
            return None
        if self._discontinuity:  # set behind the header walk, which keeps the tables (Q5)
            job = replace(job, packet=replace(job.packet, discontinuity=True))
            self._discontinuity = False
        return self._policy.apply(read_coefficients(job))

    def restore(self, job: Job) -> Future[Restored]:
        """Begin to restore what has been read; return as soon as the next may begin.

        Raises:
            RuntimeUnavailable, ModelError: the network cannot be run. The future raises them, too.
        """
        return self._restoration.submit(job)

    def shown(self, restored: Restored) -> Picture | None:
        """The picture to show for a packet: its own, or in place of one that cannot be shown the one before."""
        job, frame = restored
        if frame:
            self._previous = frame.picture
            return frame.picture
        return self._previous if self._policy.holds and not job.fragment else None

    def restart(self) -> None:
        """Forget the pictures before: the next one does not continue them. Tables stay valid."""
        self._discontinuity, self._previous = True, None

    def close(self) -> None:
        """Wait for the pictures under way on the device, and free the memory there."""
        try:
            self._restoration.close()
        finally:
            self._pool.close()
