"""What is in a stream: for `mjpeg-restore inspect`."""

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
from mjpeg_restore.ordered import Halt, ordered_map
from mjpeg_restore.sources import Source, SourceInfo
from mjpeg_restore.stages import READERS, Job, read_coefficients, walk_headers


@dataclass(slots=True)
class Inspection:
    """A stream, summed up. The counters say how many packets have a property; fields are two pictures in one."""

    info: SourceInfo
    pictures: int = 0
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
    """Luma's and chroma's of the first picture: 64 steps each, row by row."""
    first_time: Fraction | None = None
    last_time: Fraction | None = None
    steps: Counter[Fraction] = field(default_factory=Counter[Fraction])
    """Seconds from one picture to the next."""
    audio: bool = False
    """Whether there is sound beside the pictures."""
    truncated: str | None = None
    remarks: tuple[str, ...] = ()
    """What else the source has to say of itself; see `Source.remarks`."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
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
        frames: look at so many pictures only.

    Raises:
        SourceError: the source cannot be read, or not one picture of it.
    """
    found = Inspection(source.info, audio=bool(source.sound))
    walked = walk_headers(source, frames)
    first_trouble = ""
    halt = Halt(source.stop)
    for job in ordered_map(read_coefficients, walked, workers=READERS, ahead=2 * READERS, name="inspect", halt=halt):
        if job.trouble and not first_trouble:
            first_trouble = f"{job.packet.name or f'packet {job.packet.index}'}: {job.trouble}"
        _take(found, job)
    found.truncated = source.truncated
    found.remarks = tuple(source.remarks)
    if not found.sizes:
        reason = f"; {first_trouble}" if first_trouble else ""
        raise SourceError(f"{source.info.name}: no picture could be read{reason}")
    return found


def _take(found: Inspection, job: Job) -> None:
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
        _take_coded(found, job.coded)


def _take_coded(found: Inspection, coded: tuple[CodedPicture, ...]) -> None:
    """What the first field, or the only picture, says; damage and oddities of both."""
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
    """What is worth saying of one packet and its first header, in words."""
    header = parts.pictures[0].header
    earlier = any(marker == DHT for marker, _ in latest_tables(parts.pictures[0].tables))
    facts = (
        (len(parts.pictures) == 2, "two fields, each a picture of the size above"),
        (parts.extra, "a second picture behind it, passed over"),
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


def describe(found: Inspection) -> list[str]:
    """An inspection for people, in lines."""
    info = found.info
    lines = [
        f"{info.name}: {info.format}, {_pictures(found.pictures)}, {found.size_bytes:,} bytes",
        f"  size         {_counted(found.sizes)}"
        + (f", samples {info.sample_aspect} as wide as high" if info.sample_aspect != 1 else ""),
        f"  sampling     {_counted(found.samplings)}",
        f"  quality      luma {_range(found.qualities)}"
        + (f", chroma {_range(found.chroma_qualities)}" if found.chroma_qualities else "")
        + " (nearest on the IJG's scale)",
        f"  tables       {len(found.table_sets)} different set{'' if len(found.table_sets) == 1 else 's'}",
    ]
    if info.rotation:
        lines.insert(2, f"  rotation     {info.rotation} degrees anticlockwise to stand upright")
    for title, table in zip(("luma table", "chroma table"), found.first_tables, strict=False):
        lines += [f"  {title if row == 0 else '':12} " + _row(table, row) for row in range(8)]
    intervals = Counter({str(count) if count else "none": n for count, n in found.restart_intervals.items()})
    lines.append(f"  restarts     {_counted(intervals)}{' MCUs' if set(intervals) - {'none'} else ''}")
    lines.append(f"  time stamps  {_times(found)}")
    lines.append(f"  sound        {'yes' if found.audio else 'none'}")
    lines += _presented(info)
    for title, counter in (
        ("headers", found.properties),
        ("warnings", found.warnings),
        ("damaged", found.damage),
        ("unreadable", found.unreadable),
    ):
        lines += [f"  {title:12} {count} x {words}" for words, count in counter.most_common(8)]
    if found.truncated:
        lines.append(f"  broken off   {found.truncated}")
    lines += [f"  remark       {remark}" for remark in found.remarks]
    return lines


def _presented(info: SourceInfo) -> Iterator[str]:
    """How the container wants its pictures shown, and its tracks where there is a choice."""
    if info.fields:
        yield f"  fields       {info.fields.stored} field stored first, {info.fields.shown} field shown first"
    kinds = Counter(track.kind for track in info.tracks)
    for track in info.tracks:
        if kinds[track.kind] == 1:
            continue
        words = ", ".join(filter(None, (track.codec, track.format, track.language, track.title)))
        number = f" {track.number}" if track.number else ""
        yield f"  {track.kind + number:12} {words}{' (taken)' if track.chosen else ''}"


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _counted(counter: Counter[str]) -> str:
    if len(counter) == 1:
        return next(iter(counter))
    return ", ".join(f"{words} ({count})" for words, count in counter.most_common(4)) or "unknown"


def _range(counter: Counter[int]) -> str:
    if not counter:
        return "unknown"
    return str(min(counter)) if len(counter) == 1 else f"{min(counter)} to {max(counter)}"


def _row(table: list[int], row: int) -> str:
    return " ".join(f"{step:3}" for step in table[8 * row : 8 * row + 8])


def _times(found: Inspection) -> str:
    if found.first_time is None or found.last_time is None:
        return "none"
    origin = {"container": "the container's", "assumed": "none: assumed", "file order": "none: file order"}
    span = f"{float(found.first_time):.3f} s to {float(found.last_time):.3f} s"
    if not found.steps:
        return f"{origin[found.info.origin]}, {span}"
    step, count = found.steps.most_common(1)[0]
    rate = f"{float(1 / step):.3f} frames/s" if step else "irregular"
    steady = "constant" if count == sum(found.steps.values()) else "variable, mostly"
    return f"{origin[found.info.origin]}, {span}, {steady} {rate}"
