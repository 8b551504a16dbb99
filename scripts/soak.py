"""Record a camera that misbehaves for some minutes, and check that nothing is lost but what never arrived.

    python scripts/soak.py
    python scripts/soak.py --minutes 60 --every 5 --seed 2 --markdown

The camera plays numbered pictures over HTTP, with faults at random pictures. Afterwards the file is decoded from start
to end, and its pictures are compared with those that were sent. Memory is judged in runs of a minute or more. The exit
code is 1 where a check fails. Needs Pillow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from cameras.faults import KINDS, Kind
from cameras.options import add_camera_options
from installed import needed

from mjpeg_restore.errors import MissingExtra

_KINDS: list[Kind] = [kind for kind in KINDS if kind not in ("resize", "resample", "flip")]
"""Faults after which the pictures go on as they were. A flipped bit may leave a picture that looks sound."""


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="length (10)")
    add_camera_options(parser, faults=_KINDS, every=5)
    parser.add_argument("--model", default="stream-lite", help="the network (stream-lite)")
    parser.add_argument("--stall-timeout", default="2", help="seconds, of the command (2)")
    parser.add_argument("--keep", type=Path, help="a folder for the file, the camera's log and the command's")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    if min(options.minutes, options.fps, options.every) <= 0:
        parser.error("--minutes, --fps and --every are more than 0")
    return options


def main() -> int:
    """Run the soak; returns the exit code."""
    options = parse()
    try:
        with needed("Drawing pictures"):
            from measuring.endurance import Soak, soak
    except MissingExtra as error:
        sys.exit(f"soak: {error}")
    player = ["--fps", str(options.fps), "--size", options.size, "--street", "--every", str(options.every)]
    player += ["--seed", str(options.seed), "--faults", *options.faults]
    command = ["-m", options.model, "--stall-timeout", options.stall_timeout]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            result: Soak = soak(folder, options.minutes, player, command)
        except RuntimeError as error:
            sys.exit(f"soak: {error}")
    failures = result.failures()
    if options.json:
        print(json.dumps(asdict(result) | {"lost": result.lost, "failures": failures}))
    else:
        report = result.report
        rows = [
            ("length", f"{result.seconds / 60:.1f} min at {options.fps:g} pictures a second, {options.size}"),
            ("faults", ", ".join(f"{count} {kind}" for kind, count in sorted(result.faults.items())) or "none"),
            ("connections made again", str((report["connection"] or {}).get("reconnects", 0))),
            ("pictures sent whole", str(result.sent.get("whole", 0))),
            ("pictures sent damaged or in part", f"{result.sent.get('damaged', 0)} and {result.sent.get('part', 0)}"),
            ("frames in the file", f"{result.frames}, of {result.shown} pictures"),
            ("dropped because late", str(report["late"])),
            ("sent whole, neither shown nor late", str(result.lost)),
            ("out of order", str(result.disordered)),
            ("packets = frames - held + dropped + unreadable", "yes" if result.accounted else "NO"),
            ("latency p50, p95, p99", ", ".join(f"{value:g} ms" for value in report["latency_ms"].values())),
            ("memory after the start, at the end", f"{result.memory_start:.0f} MB, {result.memory_end:.0f} MB"),
        ]
        show(rows, markdown=options.markdown)
    for sentence in failures:
        print(f"soak: {sentence}", file=sys.stderr)
    return int(bool(failures))


def show(rows: list[tuple[str, str]], *, markdown: bool) -> None:
    """Print the results."""
    if markdown:
        print("| | |\n|---|---|")
        for name, value in rows:
            print(f"| {name} | {value} |")
        return
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    sys.exit(main())
