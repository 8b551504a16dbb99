"""Measure the cost of restoration on this machine: reading, the networks, the whole command, its memory and latency.

    python scripts/benchmark.py
    python scripts/benchmark.py --peers DATA/peers               # AR-CNN and DnCNN-3 too
    python scripts/benchmark.py --only command memory --long 10000 --json

The clips are drawn, at 4:2:0. Each measurement runs in its own process, as often as --seconds allow; results are
medians. The targets printed with the results are for two otherwise idle cores with AVX-512. Needs Pillow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from installed import needed
from measuring import command, latency, network, reading
from measuring.clips import Size
from measuring.machine import machine
from measuring.processes import isolated

from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError

PARTS = ("reading", "network", "command", "memory", "latency")
REAL_TIME = ["decode", "stream", "stream-lite"]
SIZES: tuple[Size, ...] = ((640, 480), (1280, 720), (1920, 1080))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (all)")
    parser.add_argument("--model", nargs="+", default=REAL_TIME, help="networks of the catalogue (the real-time ones)")
    parser.add_argument("--sizes", nargs="+", type=_size, default=list(SIZES), metavar="WxH", help="of the pictures")
    parser.add_argument("--quality", type=int, default=50, help="of the clips' JPEGs (50)")
    parser.add_argument("--seconds", type=float, default=10.0, help="minimum duration of a run of the command (10)")
    parser.add_argument("--device", default="auto", help="runtime of the command (auto)")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="weights of AR-CNN and DnCNN-3: measure them too")
    parser.add_argument("--long", type=int, default=2000, metavar="N", help="pictures of the long run (2000)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    if options.long < 1:
        parser.error("--long is at least 1")
    return options


def _size(word: str) -> Size:
    width, _, height = word.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 64):
        raise argparse.ArgumentTypeError(f"{word!r} is not a size of 64x64 or more")
    return int(width), int(height)


def show(title: str, header: Sequence[str], rows: list[list[str]]) -> None:
    """Print a table: first column aligned left, the others right."""
    cells = [list(header), *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    print(f"\n{title}")
    for row in cells:
        first, *others = (
            f"{cell:<{w}}" if n == 0 else f"{cell:>{w}}" for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join([first, *others]).rstrip())


def verdict(reached: bool, target: str) -> str:
    """A target with "reached" or "MISSED"."""
    return f"{target} {'reached' if reached else 'MISSED'}"


def by(size: Size) -> str:
    """A size as text: "640x480"."""
    return f"{size[0]}x{size[1]}"


def show_reading(rows: list[reading.Row]) -> None:
    show(
        "Reading coefficients, 1920x1080 4:2:0, one thread, ms a picture",
        ("quality", "kB", "ours", "jpeglib", "ratio", "target"),
        [
            [
                f"Q{row.quality}",
                f"{row.kilobytes:.0f}",
                f"{row.read_ms:.2f}",
                f"{row.jpeglib_ms:.2f}",
                f"{row.ratio:.1f}",
                verdict(row.ratio >= reading.TARGET, f">= {reading.TARGET:.0f}"),
            ]
            for row in rows
        ],
    )


def show_network(rows: list[network.Row]) -> None:
    show(
        "The network alone, one picture at a time on all cores",
        ("model", "kMAC/pixel", "size", "ms", "frames/s", "peak MB", "runtime"),
        [
            [
                row.model,
                f"{row.kmac_per_pixel:.2f}",
                by(row.size),
                "-" if row.ms is None else f"{row.ms:.1f}",
                "-" if row.ms is None else f"{1000 / row.ms:.1f}",
                "-" if row.peak_mb is None else f"{row.peak_mb:.0f}",
                row.remark or row.runtime,
            ]
            for row in rows
        ],
    )


def show_command(rows: list[command.Row]) -> None:
    show(
        f"The whole command, AVI in, MP4 with H.264 out; median of {command.RUNS} runs",
        ("model", "size", "frames", "frames/s", "target", "start-up s", "CPU ms/frame", "peak MB", "below 700"),
        [
            [
                row.model,
                by(row.size),
                str(row.frames),
                f"{row.fps:.1f}",
                "" if row.target is None else verdict(row.fps >= row.target, f">= {row.target:.0f}"),
                f"{row.start_up:.2f}",
                f"{row.cpu_ms:.2f}",
                f"{row.peak_mb:.0f}",
                "" if row.model == "FFmpeg" else verdict(row.peak_mb < command.MOST_MEMORY_MB, ""),
            ]
            for row in rows
        ],
    )
    speed = {(row.model, row.size): row.fps for row in rows}
    for size in [size for model, size in speed if model == "FFmpeg"]:
        ratio = speed["decode", size] / speed["FFmpeg", size]
        print(f"  decode at {by(size)} runs at {100 * ratio:.0f} % of the speed of FFmpeg's own decoder")


def show_growth(rows: list[command.Length]) -> None:
    show(
        f"Peak memory by length, {rows[0].model} at {by(rows[0].size)}",
        ("frames", "peak MB"),
        [[str(row.frames), f"{row.peak_mb:.0f}"] for row in rows],
    )


def show_latency(rows: list[latency.Row]) -> None:
    def shown(values: latency.Percentiles | None) -> list[str]:
        return ["-"] * 3 if values is None else [f"{value:.1f}" for value in values]

    show(
        f"A camera over HTTP, {by(latency.SIZE)}, {latency.FPS} pictures a second: ms by the report, and from outside",
        ("model", "output", "frames", "late", "p50", "p95", "p99", "outside p50", "p95", "p99", "targets"),
        [
            [
                row.model,
                row.output,
                str(row.frames),
                str(row.late),
                *shown(row.reported_ms),
                *shown(row.outside_ms),
                _latency_verdict(row),
            ]
            for row in rows
        ],
    )


def _latency_verdict(row: latency.Row) -> str:
    if row.model != "stream-lite":
        return ""
    median, _, tail = row.outside_ms or row.reported_ms
    most_median, most_tail = latency.TARGETS_MS
    return verdict(median <= most_median and tail <= most_tail, f"<= {most_median:.0f}, <= {most_tail:.0f}")


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure the requested parts, printing each table once it is complete; returns all results for JSON."""
    figures: dict[str, Any] = {}

    def keep(part: str, rows: Callable[[], Iterable[Any]], show_rows: Callable[[list[Any]], None]) -> None:
        if part not in options.only:
            return
        found = []
        for row in rows():
            found.append(row)
            print(f"benchmark: {part}: {len(found)} done", file=sys.stderr)
        figures[part] = [asdict(row) for row in found]
        if not options.json:
            show_rows(found)
            sys.stdout.flush()

    what = (options.model, options.sizes)
    quality, seconds, device = options.quality, options.seconds, options.device
    keep("reading", lambda: isolated(reading.measure, min(seconds, 2.0)), show_reading)
    keep("network", lambda: network.measure(*what, options.peers, folder, quality, min(seconds, 3.0)), show_network)
    keep("command", lambda: command.measure(*what, folder, quality, seconds, device), show_command)
    keep("memory", lambda: command.growth(folder, options.long, quality, device), show_growth)
    keep("latency", lambda: latency.measure(options.model, folder, quality, seconds, device), show_latency)
    return figures


def main() -> int:
    options = arguments()
    here = machine()
    if not options.json:
        print("\n".join(here.describe()))
    try:
        with needed("Benchmarking"), tempfile.TemporaryDirectory(prefix="mjpeg-restore-") as folder:
            figures = measure(options, Path(folder))
    except (MjpegRestoreError, RuntimeError, OSError) as error:
        sys.exit(f"benchmark: {worded(error)}")
    if options.json:
        print(json.dumps({"machine": asdict(here), **figures}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
