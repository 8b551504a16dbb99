"""Measure what clients of `--serve` cost the pipeline: its frame rate alone and with clients, in turn.

    python scripts/measure_serving.py --clients 10 --size 640x480 --model stream

Pictures are restored as fast as it goes, and the clients run on the same machine: with a camera's pace, and clients
elsewhere, the cost is less. Needs Pillow and the extra `serve`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from cameras.options import size
from installed import needed

from mjpeg_restore import catalogue
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=10, help="connections to /stream (10)")
    parser.add_argument("--size", type=size, default=(640, 480), metavar="WxH", help="of the pictures (640x480)")
    parser.add_argument("--model", default="stream", help="the network (stream)")
    parser.add_argument("--pictures", type=int, default=300, help="in a run (300)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each kind (5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if min(options.clients, options.pictures, options.pairs) < 1:
        parser.error("--clients, --pictures and --pairs are at least 1")
    return options


def main() -> int:
    """Measure; returns the exit code."""
    options = parse()
    try:
        with needed("Drawing pictures"):
            from cameras.pictures import NumberedPictures, street
        from measuring.serving import measure

        catalogue.find(options.model)  # before pictures are drawn
        scenes = street(options.size, 60)
        pictures = [NumberedPictures(options.size, scenes=scenes).jpeg(number) for number in range(60)]
        result = measure(pictures, options.model, count=options.pictures, clients=options.clients, pairs=options.pairs)
    except MjpegRestoreError as error:
        sys.exit(f"measure_serving: {worded(error)}")
    print(json.dumps(asdict(result)) if options.json else result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
