"""What each stage does to one packet: header walk, coefficient reading, restoration. `pipeline` joins them.

A `Job` carries a packet from stage to stage. `read_jobs` joins the first two stages, which inspection needs too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from mjpeg_restore.errors import JpegError
from mjpeg_restore.frames import CodedPicture, Frame, Packet, Picture
from mjpeg_restore.futures import done, gather
from mjpeg_restore.interlace import resolve_layout, weave
from mjpeg_restore.jpeg import HeaderWalk, Parts, is_fragment, is_tables_only, read
from mjpeg_restore.ordered import Halt, ordered_map
from mjpeg_restore.orientation import orientation_of, upright
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sources import Source, SourceInfo
from mjpeg_restore.verification import Verification, verify

UNPAIRED = "a field is missing or unreadable, and the other one's lines are used for both"
"""The warning on a frame of two fields of which one is missing or unreadable (S6)."""
READERS = 2
"""B3: threads that read coefficients; one alone is enough for most streams, two for large pictures of high quality."""


@dataclass(frozen=True, slots=True)
class Job:
    """A packet on its way."""

    packet: Packet
    arrived: float
    """When its last byte arrived or, of a recording, when the source yielded it; `time.monotonic()` seconds."""
    fragment: bool = False
    """S10: it holds no picture, and the picture before is not shown again for it."""
    parts: Parts | None = None
    """The headers; None before they are walked, and where they cannot be."""
    coded: tuple[CodedPicture, ...] = ()
    """The coefficients of its picture or two fields, of a lone field twice; empty where they cannot be read."""
    error: JpegError | None = None
    """Why the headers or the coefficients cannot be read."""
    late: int = 0
    """Packets before it that were dropped because they waited too long for the network."""
    damage: str = ""
    """What was wrong with its picture, in words, even if it was repaired; empty where nothing was."""
    verified: Verification | None = None
    """Where the restored coefficients lie, if that is asked for."""
    read_seconds: float = 0.0
    """How long the reading of its coefficients took."""
    restore_seconds: float = 0.0
    """How long it was with the network, waiting included."""

    @property
    def nbytes(self) -> int:
        """Bytes of its coefficients, which are most of its memory."""
        return sum(blocks.nbytes for picture in self.coded for blocks in picture.coefficients)

    @property
    def trouble(self) -> str:
        """Why there is no picture in it, without the byte offset; empty where there is one."""
        if self.fragment:
            return self.packet.fault or f"only {len(self.packet.data)} bytes"
        return self.error.reason if self.error else ""


def walk_headers(source: Source, packets: int | None = None) -> Iterator[Job]:
    """Walk the headers of a source's packets, in order: a picture may use tables of a picture before (Q5).

    Args:
        source: read to its end.
        packets: take at most that many.
    """
    walk = HeaderWalk(source.info.height, source.info.codec_tag, independent=source.info.independent)
    for packet in _first(source, packets):
        if job := walk_header(walk, packet):
            yield job


def walk_header(walk: HeaderWalk, packet: Packet) -> Job | None:
    """Walk the headers of the next packet of a stream; None if it holds tables and nothing else.

    Args:
        walk: what is remembered of the packets before.
        packet: the next one.
    """
    if packet.silent:
        return Job(packet, time.monotonic())
    job = Job(packet, packet.arrived or time.monotonic(), fragment=is_fragment(packet.data))
    if packet.discontinuity:
        walk.forget()
    walk.remember(packet.tables)
    if is_tables_only(packet.data):
        walk.pass_over(packet.data)
        return Job(replace(packet, data=b"", silent=True), time.monotonic()) if packet.sound else None
    if job.fragment:
        return job
    try:
        return replace(job, parts=walk(packet.data))
    except JpegError as error:
        return replace(job, error=error)


def _first(source: Source, packets: int | None) -> Iterator[Packet]:
    """That many packets of a source, silences not counted; all if None."""
    if packets == 0:
        return
    for packet in source:
        yield packet
        if packets is not None and not packet.silent:
            packets -= 1
            if not packets:
                return


def read_coefficients(job: Job) -> Job:
    """Read the coefficients of all parts, or note why none can be read; a lone readable field counts as both (S6)."""
    if job.parts is None:
        return job
    begun = time.monotonic()
    coded: list[CodedPicture] = []
    errors: list[JpegError] = []
    for part in job.parts.pictures:
        try:
            coded.append(read(part.data, header=part.header, tables=part.tables))
        except JpegError as error:
            errors.append(error)
    if not coded:
        return replace(job, error=errors[0])
    if job.parts.unpaired or errors:
        (field,) = coded
        coded = [replace(field, warnings=(*field.warnings, UNPAIRED)), replace(field, warnings=())]
    return replace(job, coded=tuple(coded), read_seconds=time.monotonic() - begun)


def read_jobs(source: Source, packets: int | None = None, halt: Halt | None = None) -> Generator[Job]:
    """Walk the headers of a source's packets and read their coefficients, in order, on `READERS` threads.

    Args:
        source: read to its end.
        packets: take at most that many.
        halt: ends the generator at once, from any thread.
    """
    walked = walk_headers(source, packets)
    return ordered_map(read_coefficients, walked, workers=READERS, in_flight=READERS + 2, name="read", halt=halt)


class Restoration:
    """Coefficients to a frame: restored, verified, woven of its fields, turned upright; the plain decode beside it.

    Attributes:
        loaded: when the network was seen to be loaded, by its first picture; `time.monotonic()` seconds, infinity
            before.
    """

    def __init__(
        self,
        restorer: Restorer,
        info: SourceInfo,
        pool: Executor,
        halt: Halt,
        *,
        original: Callable[[], bool],
        verify: bool = False,
    ) -> None:
        """Prepare for the packets of one source.

        Args:
            restorer: the network.
            info: the source's field order and rotation.
            pool: its threads compute.
            halt: ends also the wait for a network that is made ready.
            original: asked for each picture: whether its plain decode is wanted, too.
            verify: count the restored coefficients that quantise back to the stream's.
        """
        # The lines of the two fields differ (S6): each field is a stream of its own.
        self._streams = tuple(restorer.stream(pool, halt.check) for _ in range(2))
        self.loaded = math.inf
        self._info = info
        self._verify = verify
        self._original = original
        self._decoder = Restorer("decode", threads=1)  # nothing is loaded before it is needed

    def submit(self, job: Job) -> Future[tuple[Job, Frame | None]]:
        """Begin to restore the picture of the next job.

        Returns:
            The job, and its frame without its time; None where there is nothing to restore.
        """
        if not job.coded:
            return done((job, None))
        if job.packet.discontinuity:
            for stream in self._streams:
                stream.restart()
        begun = time.monotonic()
        pairs = zip(self._streams, job.coded, strict=False)
        evidence = not job.damage and not self._info.independent
        fields = [stream.submit(coded, evidence=evidence) for stream, coded in pairs]
        return gather(fields, lambda restored: self._finish(job, restored, begun))

    def close(self) -> None:
        """Wait for the pictures under way on the device, and free the memory there."""
        for stream in self._streams:
            stream.close()

    def _finish(self, job: Job, restored: list[Picture], begun: float) -> tuple[Job, Frame | None]:
        """A job without its coefficients, and its frame as it is shown."""
        now = time.monotonic()
        seconds = now - begun
        self.loaded = min(self.loaded, now)
        original = None
        if self._original():
            original = self._shown([self._decoder.restore(coded) for coded in job.coded], job)
        verified = sum(map(verify, restored, job.coded), Verification()) if self._verify else None
        frame = Frame(self._shown(restored, job), original, job.arrived)
        # Coefficients are large, and pictures that wait for the sink no longer need them.
        return replace(job, parts=None, coded=(), verified=verified, restore_seconds=seconds), frame

    def _shown(self, pictures: list[Picture], job: Job) -> Picture:
        """The picture as it is shown: its fields woven (S6), turned upright (H5)."""
        assert job.parts is not None
        header = job.parts.pictures[0].header
        whole = pictures[0]
        if len(pictures) == 2:
            whole = weave(whole, pictures[1], resolve_layout(header.field_order, self._info.fields))
        return upright(whole, orientation_of(self._info.rotation, header.orientation))
