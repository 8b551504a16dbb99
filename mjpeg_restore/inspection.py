"""What is in a stream: for `mjpeg-restore inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any

from mjpeg_restore.errors import JpegError, SourceError
from mjpeg_restore.frames import CodedPicture, Packet
from mjpeg_restore.jpeg import JpegHeader, estimate_quality, known_tables, read, scan
from mjpeg_restore.jpeg.tables import CHROMA, LUMA
from mjpeg_restore.ordered import ordered_map
from mjpeg_restore.sources import Source, SourceInfo

READERS = 2


@dataclass(slots=True)
class Inspection:
    """A stream, summed up. The counters say how many pictures have a property."""

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
    first_table: list[int] = field(default_factory=list[int])
    first_time: Fraction | None = None
    last_time: Fraction | None = None
    steps: Counter[Fraction] = field(default_factory=Counter[Fraction])
    """Seconds from one picture to the next."""
    audio: bool = False
    """Whether there is sound beside the pictures."""
    truncated: str | None = None

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
            "samplings": dict(self.samplings),
            "quality_luma": dict(sorted(self.qualities.items())),
            "quality_chroma": dict(sorted(self.chroma_qualities.items())),
            "table_sets": len(self.table_sets),
            "first_luma_table": self.first_table,
            "restart_intervals": dict(self.restart_intervals),
            "properties": dict(self.properties),
            "warnings": dict(self.warnings),
            "damage": dict(self.damage),
            "unreadable": dict(self.unreadable),
            "first_time": None if self.first_time is None else float(self.first_time),
            "last_time": None if self.last_time is None else float(self.last_time),
            "intervals": {str(step): count for step, count in self.steps.most_common(8)},
            "audio": self.audio,
            "truncated": self.truncated,
        }


def survey(source: Source, frames: int | None = None) -> Inspection:
    """Read a source through, every coefficient of it.

    Args:
        source: read to its end; not closed.
        frames: look at so many pictures only.

    Raises:
        SourceError: the source cannot be read, or holds not one picture.
    """
    found = Inspection(source.info, audio=source.audio is not None)
    walked = _walk(source, frames)
    for packet, header, result in ordered_map(_read, walked, workers=READERS, ahead=2 * READERS, name="inspect"):
        _take(found, packet, header, result)
    found.truncated = source.truncated
    if not found.pictures:
        raise SourceError(f"{source.info.name}: no pictures")
    return found


_Walked = tuple[Packet, JpegHeader | JpegError, bytes]


def _walk(source: Source, frames: int | None) -> Iterator[_Walked]:
    dqt = b""
    for packet in islice(source, frames):
        try:
            header = scan(packet.data, height=source.info.height or 0, codec_tag=source.info.codec_tag)
        except JpegError as error:
            yield packet, error, b""
            continue
        yield packet, header, dqt
        dqt = known_tables(dqt, header.dqt)


def _read(walked: _Walked) -> tuple[Packet, JpegHeader | None, CodedPicture | JpegError]:
    packet, header, dqt = walked
    if isinstance(header, JpegError):
        return packet, None, header
    try:
        return packet, header, read(packet.data, header=header, dqt=dqt)
    except JpegError as error:
        return packet, header, error


def _take(found: Inspection, packet: Packet, header: JpegHeader | None, result: CodedPicture | JpegError) -> None:
    found.pictures += 1
    found.size_bytes += len(packet.data)
    if found.last_time is not None:
        found.steps[packet.time - found.last_time] += 1
    found.first_time = packet.time if found.first_time is None else found.first_time
    found.last_time = packet.time
    if header is not None:
        found.restart_intervals[header.restart_interval] += 1
        found.properties.update(_properties(header))
    if isinstance(result, JpegError):
        found.unreadable[str(result)] += 1
        return
    found.sizes[f"{result.width}x{result.height}"] += 1
    found.samplings[result.sampling.label] += 1
    luma, *chroma = result.tables
    found.qualities[estimate_quality(luma, LUMA)] += 1
    if chroma:
        found.chroma_qualities[estimate_quality(chroma[0], CHROMA)] += 1
    found.table_sets.add(b"".join(table.tobytes() for table in result.tables))
    found.first_table = found.first_table or [int(step) for step in luma]
    found.warnings.update(result.warnings)
    if result.damage:
        found.damage[result.damage.reason] += 1


def _properties(header: JpegHeader) -> Iterator[str]:
    """What is worth saying of one header, in words."""
    facts = (
        (not header.has_dht, "no Huffman tables (the standard ones are meant)"),
        (header.missing_tables, "quantisation tables missing (those of the picture before are meant)"),
        (header.progressive, "progressive"),
        (header.arithmetic, "arithmetic coding"),
        (header.wide_tables, "16-bit quantisation tables"),
        (header.zero_steps, "a quantisation step of 0"),
        (not header.has_eoi, "no end marker"),
        (header.avi1_polarity is not None, "AVI1 segment"),
        (header.orientation != 1, f"EXIF orientation {header.orientation}"),
        (not header.colour.full_range, "limited range"),
    )
    return (words for holds, words in facts if holds)


def describe(found: Inspection) -> list[str]:
    """An inspection for people, in lines."""
    info = found.info
    lines = [
        f"{info.name}: {info.format}, {found.pictures} pictures, {found.size_bytes:,} bytes",
        f"  size         {_counted(found.sizes)}",
        f"  sampling     {_counted(found.samplings)}",
        f"  quality      luma {_range(found.qualities)}"
        + (f", chroma {_range(found.chroma_qualities)}" if found.chroma_qualities else "")
        + " (nearest on the IJG's scale)",
        f"  tables       {len(found.table_sets)} different set(s)",
    ]
    lines += [
        f"  {'luma table' if row == 0 else '':12} " + _row(found.first_table, row)
        for row in range(8)
        if found.first_table
    ]
    intervals = Counter({str(count) if count else "none": n for count, n in found.restart_intervals.items()})
    lines.append(f"  restarts     {_counted(intervals)}{' MCUs' if set(intervals) - {'none'} else ''}")
    lines.append(f"  time stamps  {_times(found)}")
    for title, counter in (
        ("headers", found.properties),
        ("warnings", found.warnings),
        ("damaged", found.damage),
        ("unreadable", found.unreadable),
    ):
        lines += [f"  {title:12} {count} x {words}" for words, count in counter.most_common(8)]
    if found.truncated:
        lines.append(f"  broken off   {found.truncated}")
    return lines


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
