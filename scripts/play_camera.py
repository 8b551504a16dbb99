"""Play a camera that misbehaves: numbered pictures over HTTP, in a dialect and with faults of your choice.

    python scripts/play_camera.py --dialect "no leading boundary"
    python scripts/play_camera.py --street --faults close break stall truncate --every 10 --log sent.jsonl

It prints the address, and plays until it is ended or its standard input is closed. Each picture shows its number as a
pattern of cells, which `cameras.pictures.read_number` reads. `--log` has a line of JSON for each picture that was sent.
Needs Pillow.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from cameras.dialects import DIALECTS
from cameras.faults import random_faults
from cameras.options import add_camera_options
from installed import needed

from mjpeg_restore.errors import MissingExtra, reason_of

_DAY = 24 * 60 * 60
_LOOP = 60
"""Pictures after which the street begins anew."""


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialect", choices=sorted(DIALECTS), default="standard", help="of multipart (standard)")
    parser.add_argument("--snapshot", action="store_true", help="one picture for each request")
    parser.add_argument("--seconds", type=float, default=_DAY, help="the stream ends after so long (a day)")
    parser.add_argument("--sampling", choices=("4:4:4", "4:2:2", "4:2:0", "gray"), default="4:2:0", help="(4:2:0)")
    parser.add_argument("--quality", type=int, default=50, help="of the JPEGs (50)")
    parser.add_argument("--street", action="store_true", help="a street with traffic instead of one scene")
    add_camera_options(parser, faults=(), every=10)
    parser.add_argument("--log", type=Path, help="a file for what was sent")
    options = parser.parse_args()
    try:
        options.width, options.height = map(int, options.size.lower().split("x"))
    except ValueError:
        parser.error(f"--size {options.size}: give it as 640x480")
    if options.width < 64 or options.height < 48 or not 1 <= options.quality <= 100:
        parser.error("the size is at least 64x48, the quality 1 to 100")
    if min(options.fps, options.seconds, options.every) <= 0:
        parser.error("--fps, --seconds and --every are more than 0")
    return options


def main() -> int:
    """Play the camera; returns the exit code."""
    options = parse()
    try:
        with needed("Drawing pictures"):
            from cameras.http import HttpCamera
            from cameras.pictures import NumberedPictures, street
    except MissingExtra as error:
        sys.exit(f"play_camera: {error}")
    size = options.width, options.height
    scenes = street(size, _LOOP) if options.street else ()
    count = round(options.seconds * options.fps)
    faults = random_faults(options.faults, count, options.every * options.fps, options.seed) if options.faults else []
    with ExitStack() as stack:
        try:
            log = stack.enter_context(options.log.open("w")) if options.log else None
        except OSError as error:
            sys.exit(f"play_camera: cannot write {options.log} ({reason_of(error)})")
        camera = HttpCamera(
            NumberedPictures(size, options.sampling, options.quality, scenes=scenes),
            dialect=DIALECTS[options.dialect],
            fps=options.fps,
            count=count,
            snapshot=options.snapshot,
            faults=faults,
            log=log,
        )
        with camera:
            print(camera.url, flush=True)
            try:
                sys.stdin.read()
            except KeyboardInterrupt:
                return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
