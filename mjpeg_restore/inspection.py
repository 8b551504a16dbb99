"""What is in a stream: its sizes, samplings, tables, qualities, oddities, times and tracks, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

from mjpeg_restore.errors import SourceError
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import Parts, estimate_quality
from mjpeg_restore.jpeg.segments import DHT, latest_tables
from mjpeg_restore.jpeg.tables import CHROMA, LUMA
from mjpeg_restore.ordered import Halt
from mjpeg_restore.sources import Source, SourceInfo
from mjpeg_restore.stages import Job, read_jobs


@dataclass(slots=True)
class Inspection:
    """The summary of a stream. Each counter holds the number of packets with a property; two fields count as one."""

    info: SourceInfo
    pictures: int = 0
    """Number of packets, those without a readable picture included."""
    size_bytes: int = 0
    sizes: Counter[str] = field(default_factory=Counter[str])
    samplings: Counter[str] = field(default_factory=Counter[str])
    qualities: Counter[int] = field(default_factory=Counter[int])
    chroma_qualities: Counter[int] = field(default_factory=Counter[int])
    table_sets: set[bytes] = field(default_factory=set[bytes])
    restart_intervals: Counter[int] = field(default_factory=Counter[int])
    properties: Counter[str] = field(default_factory=Counter[str])
    """Missing Huffman tables, progressive, interlaced marks, ..."""
    warnings: Counter[str] = field(default_factory=Counter[str])
    damage: Counter[str] = field(default_factory=Counter[str])
    unreadable: Counter[str] = field(default_factory=Counter[str])
    first_tables: list[list[int]] = field(default_factory=list[list[int]])
    """Luma and chroma table of the first picture: 64 steps each, row by row."""
    first_time: Fraction | None = None
    last_time: Fraction | None = None
    steps: Counter[Fraction] = field(default_factory=Counter[Fraction])
    """Seconds from one picture to the next."""
    audio: bool = False
    """Whether the source has sound."""
    truncated: str | None = None
    remarks: tuple[str, ...] = ()
    """Further remarks on the source, a sentence each; see `Source.remarks`."""

    def as_dict(self) -> dict[str, Any]:
        """The whole as JSON's types."""
        return {
            "name": self.info.name,
            "format": self.info.format,
            "timestamps": self.info.origin,
            "time_base": str(self.info.time_base),
            "pictures": self.pictures,
            "bytes": self.size_bytes,
            "sizes": dict(self.sizes),
            "rotation": self.info.rotation,
            "samplings": dict(self.samplings),
            "quality_luma": dict(sorted(self.qualities.items())),
            "quality_chroma": dict(sorted(self.chroma_qualities.items())),
            "table_sets": len(self.table_sets),
            "first_tables": self.first_tables,
            "restart_intervals": dict(self.restart_intervals),
            "properties": dict(self.properties),
            "warnings": dict(self.warnings),
            "damage": dict(self.damage),
            "unreadable": dict(self.unreadable),
            "first_time": None if self.first_time is None else float(self.first_time),
            "last_time": None if self.last_time is None else float(self.last_time),
            "intervals": {str(step): count for step, count in self.steps.most_common(8)},
            "audio": self.audio,
            "tracks": [asdict(track) for track in self.info.tracks],
            "field_order": asdict(self.info.fields) if self.info.fields else None,
            "sample_aspect": str(self.info.sample_aspect),
            "truncated": self.truncated,
            "remarks": list(self.remarks),
        }


def survey(source: Source, frames: int | None = None) -> Inspection:
    """Read a source through, every coefficient of it.

    Args:
        source: read to its end; not closed.
        frames: read at most that many packets.

    Raises:
        SourceError: the source cannot be read, or not one picture of it.
    """
    found = Inspection(source.info, audio=bool(source.sound))
    first_trouble = ""
    for job in read_jobs(source, frames, Halt(source.stop)):
        if job.packet.silent:
            continue
        if job.trouble and not first_trouble:
            first_trouble = f"{job.packet.name or f'packet {job.packet.index}'}: {job.trouble}"
        _count(found, job)
    found.truncated = source.truncated
    found.remarks = tuple(source.remarks)
    if not found.sizes:
        reason = f"; {first_trouble}" if first_trouble else ""
        raise SourceError(f"{source.info.name}: no picture could be read{reason}")
    return found


def _count(found: Inspection, job: Job) -> None:
    packet = job.packet
    found.pictures += 1
    found.size_bytes += len(packet.data)
    if found.last_time is not None:
        found.steps[packet.time - found.last_time] += 1
    found.first_time = packet.time if found.first_time is None else found.first_time
    found.last_time = packet.time
    if job.parts is not None:
        found.restart_intervals[job.parts.pictures[0].header.restart_interval] += 1
        found.properties.update(_properties(job.parts))
    if job.trouble:
        found.unreadable[job.trouble] += 1
    if job.coded:
        _count_coded(found, job.coded)


def _count_coded(found: Inspection, coded: tuple[CodedPicture, ...]) -> None:
    """Count the first field or the only picture, and damage and oddities of both fields."""
    first = coded[0]
    found.sizes[f"{first.width}x{first.height}"] += 1
    found.samplings[first.sampling.label] += 1
    luma, *chroma = first.tables
    found.qualities[estimate_quality(luma, LUMA)] += 1
    if chroma:
        found.chroma_qualities[estimate_quality(chroma[0], CHROMA)] += 1
    found.table_sets.update(b"".join(table.tobytes() for table in picture.tables) for picture in coded)
    found.first_tables = found.first_tables or [table.tolist() for table in (luma, *chroma[:1])]
    found.warnings.update({warning for picture in coded for warning in picture.warnings})
    damage = next((picture.damage for picture in coded if picture.damage), None)
    if damage:
        found.damage[damage.reason] += 1


def _properties(parts: Parts) -> Iterator[str]:
    """The remarkable properties of a packet and its first header, in words."""
    header = parts.pictures[0].header
    earlier = any(marker == DHT for marker, _ in latest_tables(parts.pictures[0].tables))
    facts = (
        (len(parts.pictures) == 2, "two fields, each a picture of the size above"),
        (parts.extra == 1, "a second picture after it, not restored"),
        (parts.extra > 1, "further pictures after it, not restored"),
        (header.missing_huffman and not earlier, "no Huffman tables (the standard ones are meant)"),
        (header.missing_huffman and earlier, "Huffman tables missing (those of a picture before are meant)"),
        (header.missing_tables, "quantisation tables missing (those of the picture before are meant)"),
        (header.progressive, "progressive"),
        (header.arithmetic, "arithmetic coding"),
        (header.wide_tables, "16-bit quantisation tables"),
        (header.zero_steps, "a quantisation step of 0"),
        (not header.has_eoi, "no end marker"),
        (header.avi1_polarity is not None, "AVI1 segment"),
        (header.orientation != 1, f"EXIF orientation {header.orientation}: turned upright"),
        (not header.colour.full_range, "limited range"),
    )
    return (words for holds, words in facts if holds)
