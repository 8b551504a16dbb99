"""`mjpeg-restore inspect`: what is in a stream, in lines or as JSON."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterator

from mjpeg_restore.cli import wording
from mjpeg_restore.cli.streams import logged, write
from mjpeg_restore.inspection import Inspection, survey
from mjpeg_restore.sources import LiveSettings, SourceInfo, open_source

LIVE_PICTURES = 100
"""Pictures of a camera that are looked at, unless the user wants more or fewer: it has no end."""
PATIENCE = 20.0
"""Seconds without a picture after which a camera is given up: nobody waits for days to see what is in a stream."""


def command(options: argparse.Namespace) -> int:
    """Read a source through and print what is in it; the result is the exit code."""
    camera = LiveSettings(give_up=PATIENCE)
    opened = open_source(options.input, fps=options.fps, track=options.track, camera=camera)
    with logged(logging.WARNING), opened as source:
        found = survey(source, options.frames or (LIVE_PICTURES if source.info.live else None))
    write(json.dumps(found.as_dict(), indent=2) if options.json else "\n".join(described(found)), sys.stdout)
    return 0


def described(found: Inspection) -> list[str]:
    """The lines of an inspection."""
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
    """The container's field order, and its tracks where there is a choice."""
    if info.fields:
        yield f"  fields       {info.fields.stored} field stored first, {info.fields.shown} field shown first"
    kinds = Counter(track.kind for track in info.tracks)
    for track in info.tracks:
        if kinds[track.kind] == 1:
            continue
        number = f" {track.number}" if track.number else ""
        yield f"  {track.kind + number:12} {wording.described(track)}{' (taken)' if track.chosen else ''}"


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
    origins = {"container": "the container's", "assumed": "none: assumed", "file order": "none: file order"}
    origin = origins.get(found.info.origin, found.info.origin)
    span = f"{float(found.first_time):.3f} s to {float(found.last_time):.3f} s"
    if not found.steps:
        return f"{origin}, {span}"
    if found.info.live:  # no two steps are equal
        seconds = float(found.last_time - found.first_time)
        return f"{origin}, {span}, {found.steps.total() / seconds:.3f} frames/s on average"
    step, count = found.steps.most_common(1)[0]
    rate = f"{float(1 / step):.3f} frames/s" if step else "irregular"
    steady = "constant" if count == sum(found.steps.values()) else "variable, mostly"
    return f"{origin}, {span}, {steady} {rate}"
