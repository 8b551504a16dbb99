"""Run many cameras in one process of the command, and measure its CPU time, threads, memory and late pictures.

    python scripts/measure_fleet.py --cameras 4 --size 640x480 --fps 5 --model stream
    python scripts/measure_fleet.py --cameras 16 --size 320x240 --fps 5 --model stream-lite

The cameras are threads of this script, so their cost is not the command's. CPU time is that of the process, and does
not depend on what else the machine does. Needs Pillow, and /proc.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from cameras.options import size
from installed import needed

from mjpeg_restore import catalogue
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4, help="how many (4)")
    parser.add_argument("--size", type=size, default=(640, 480), metavar="WxH", help="of their pictures (640x480)")
    parser.add_argument("--fps", type=float, default=5, help="pictures a second of each (5)")
    parser.add_argument("--model", default="stream", help="the network (stream)")
    parser.add_argument("--seconds", type=float, default=60, help="how long it is measured (60)")
    parser.add_argument("--serve", action="store_true", help="serve the cameras, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if min(options.cameras, options.fps, options.seconds) <= 0:
        parser.error("--cameras, --fps and --seconds are more than 0")
    return options


def main() -> int:
    """Measure; returns the exit code."""
    options = parse()
    try:
        with needed("Drawing pictures"):
            from cameras.http import HttpCamera
            from cameras.pictures import NumberedPictures, street
            from measuring.fleet import measure
        catalogue.find(options.model)  # before pictures are drawn
    except MjpegRestoreError as error:
        sys.exit(f"measure_fleet: {worded(error)}")
    scenes = street(options.size, 60)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as scratch:
        pictures = [NumberedPictures(options.size, scenes=scenes).jpeg(number) for number in range(60)]
        cameras = [
            stack.enter_context(HttpCamera(lambda number: pictures[number % len(pictures)], fps=options.fps))
            for _ in range(options.cameras)
        ]
        urls = [camera.url for camera in cameras]
        try:
            result = measure(Path(scratch), urls, options.model, options.seconds, serve=options.serve)
        except RuntimeError as error:
            sys.exit(f"measure_fleet: {error}")
    if options.json:
        print(json.dumps(asdict(result)))
    else:
        print(result)
    return result.exit_code != 130


if __name__ == "__main__":
    sys.exit(main())
