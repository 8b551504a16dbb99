"""A long recording in parts: ranges of packets, each with a few packets before it.

Motion-JPEG's pictures are coded one by one, but what is done with them is not quite: tables may stand in earlier
packets (Q5), damaged rows are taken from the picture before (S2), and a picture that cannot be read is replaced by the
last one. So a part begins with some packets of the part before it, its preroll, which are read and not shown. Whether
they were enough is checked afterwards: a part says what it remembered when it began, and the one before it what it
remembered when it ended; see `PartResult`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from mjpeg_restore.archive.records import read_packets
from mjpeg_restore.archive.settings import ArchiveSettings
from mjpeg_restore.damage import DamagePolicy
from mjpeg_restore.frames import FieldLayout, Packet, Picture, Sampling
from mjpeg_restore.jpeg import HeaderWalk
from mjpeg_restore.sinks import OutputSettings
from mjpeg_restore.sound import SoundTrack
from mjpeg_restore.sources import BaseSource, SourceInfo
from mjpeg_restore.stages import Job

PREROLL = 8
"""Packets that are read before a part. One is enough unless it, or the one before it, is damaged."""
_MAX_BYTES = 64 << 20
"""Bytes of coded pictures after which a part ends early: a part is held in memory while it is written."""


def cut(packets: Iterable[Packet], walk: HeaderWalk, length: int) -> Iterator[list[Packet]]:
    """Cut a recording into parts, each with its preroll in front.

    Args:
        packets: of the whole recording; read one packet ahead of what is yielded.
        walk: of the source, from its beginning.
        length: packets of a part, preroll not counted. Large ones are fewer.
    """
    part: list[Packet] = []
    before: deque[tuple[Packet, bytes]] = deque(maxlen=PREROLL)
    count = size = 0
    for packet in packets:
        if count == length or size >= _MAX_BYTES:
            yield part
            part, count, size = _preroll(before), 0, 0
        if packet.discontinuity:
            walk.forget()
        walk.remember(packet.tables)
        before.append((packet, walk.tables))
        walk.pass_over(packet.data)
        part.append(packet)
        count, size = count + 1, size + len(packet.data)
    if part:
        yield part


def _preroll(before: Iterable[tuple[Packet, bytes]]) -> list[Packet]:
    """The preroll of a part; its first packet carries the tables of all packets before it."""
    packets = [replace(packet, preroll=True, sound=()) for packet, _ in before]
    tables = next((tables for _, tables in before), b"")
    return [replace(packet, tables=tables) for packet in packets[:1]] + packets[1:]


class PartSource(BaseSource):
    """A source of packets that were read before."""

    def __init__(self, info: SourceInfo, packets: Iterable[Packet], sound: tuple[SoundTrack, ...] = ()) -> None:
        """Take them.

        Args:
            info: of the recording.
            packets: in order; the first ones may be preroll.
            sound: tracks of sound, if the packets bring any.
        """
        self.info, self.sound = info, sound
        self._packets = packets

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets; see `Source`."""
        for packet in self._packets:
            if self.stopped:
                return
            yield packet


def packets_of(files: Iterable[Path], time_base: Fraction) -> Iterator[Packet]:
    """Read the packets of a part from files; those of all files but the last become preroll."""
    paths = [*files]
    for number, path in enumerate(paths):
        for packet in read_packets(path, time_base):
            if number and packet.preroll:
                continue  # they are in the file before
            yield packet if number == len(paths) - 1 else replace(packet, preroll=True)


class PartPolicy(DamagePolicy):
    """The damage policy of a part.

    Attributes:
        before: checksum of its state at the first packet after the preroll; empty until then.
    """

    before = ""

    def apply(self, job: Job) -> Job:
        """See `DamagePolicy`."""
        if not self.before and not job.packet.preroll:
            self.before = self.memory
        return super().apply(job)


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """Properties of a recording's first picture, to which all parts conform."""

    planes: tuple[tuple[int, int], ...]
    """Height and width of each."""
    fields: dict[str, Any]

    @classmethod
    def of(cls, picture: Picture) -> Self:
        """That of a picture."""
        coded = picture.coded_sampling
        fields = {
            "sampling": picture.sampling.name,
            "coded_sampling": coded.name if coded else None,
            "time_base": str(picture.time_base),
            **{name: getattr(picture, name) for name in ("full_range", "index", "pts", "field_order", "duration")},
        }
        return cls(tuple((plane.shape[0], plane.shape[1]) for plane in picture.planes), fields)

    def picture(self) -> Picture:
        """A black picture of that kind."""
        coded = self.fields["coded_sampling"]
        changed: dict[str, Any] = {
            "sampling": Sampling[self.fields["sampling"]],
            "coded_sampling": Sampling[coded] if coded else None,
            "time_base": Fraction(self.fields["time_base"]),
        }
        return Picture(tuple(np.zeros(size, np.uint8) for size in self.planes), **(self.fields | changed))


@dataclass(frozen=True, slots=True)
class Plan:
    """How a recording was cut: what its parts and their joining need besides the packets."""

    info: dict[str, Any]
    """See `info_of`."""
    fps: str | None
    sample_aspect: str
    first: FirstPicture
    origin: str
    """See `sinks.joining.origin_of`."""
    early: int
    """Number of sound packets before the first picture."""
    has_sound: bool
    packets: tuple[int, ...]
    """Number of packets of each part."""
    truncated: str | None
    """See `Source`, and so are the remarks."""
    remarks: tuple[str, ...]
    result: dict[str, Any]
    """Fields of the manifest that describe the input: size, date and checksum."""

    def as_json(self) -> str:
        """The whole as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The plan that was written so."""
        found: dict[str, Any] = json.loads(text)
        found["first"] = FirstPicture(tuple(map(tuple, found["first"]["planes"])), found["first"]["fields"])
        found |= {name: tuple(found[name]) for name in ("packets", "remarks")}
        return cls(**found)

    @property
    def source_info(self) -> SourceInfo:
        """The description of the recording, with the fields that restoring needs."""
        fields = self.info["fields"]
        changed: dict[str, Any] = {
            "time_base": Fraction(self.info["time_base"]),
            "fields": FieldLayout(**fields) if fields else None,
        }
        return SourceInfo(**(self.info | changed))

    def output_settings(self, settings: ArchiveSettings) -> OutputSettings:
        """The archive's output settings, with this recording's frame rate and aspect ratio."""
        return settings.output_for(Fraction(self.fps) if self.fps else None, Fraction(self.sample_aspect))


def info_of(info: SourceInfo) -> dict[str, Any]:
    """The fields of a source's description that restoring needs, as JSON's types."""
    names = ("name", "format", "origin", "independent", "height", "rotation", "codec_tag")
    fields = asdict(info.fields) if info.fields else None
    return {**{name: getattr(info, name) for name in names}, "time_base": str(info.time_base), "fields": fields}
