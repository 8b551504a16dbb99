"""What many cameras take: the arithmetic of docs/scale.md, with numbers of your own.

    python scripts/scale.py --cameras 4000 --size 1920x1080 --fps 10 --model stream-lite --node-cores 64
    python scripts/scale.py --cameras 4000 --gpus 1 --node-cores 16 --model stream --node-price 900 --terabyte-price 20
    python scripts/scale.py --write    # the tables of docs/scale.md

Prices are in any currency, for whatever time you pay a node and a terabyte.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measuring_video.page import write_page
from scaling import figures
from scaling.city import Camera, City, Node, carried
from scaling.tables import tables

from mjpeg_restore.errors import MjpegRestoreError

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--size", default="1280x720", help="of their pictures (1280x720)")
    parser.add_argument("--fps", type=float, default=10, help="frames a second of each (10)")
    parser.add_argument(
        "--model", choices=[*figures.TWO_CORES], default="stream-lite", help="the network (stream-lite)"
    )
    parser.add_argument("--node-cores", type=int, default=32, help="cores of a node (32)")
    parser.add_argument("--gpus", type=int, default=0, help=f"GPUs of a node, each like an {figures.GPU} (0)")
    parser.add_argument("--node-price", type=float, help="of a node")
    parser.add_argument("--terabyte-price", type=float, help="of a terabyte that is kept")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/scale.md")
    return parser.parse_args()


def main() -> int:
    """Print what it takes, or write the page; returns the exit code."""
    options = parse()
    if options.write:
        try:
            write_page(PAGE, tables())
        except MjpegRestoreError as error:
            sys.exit(f"scale: {error}")
        return 0
    width, _, height = options.size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        sys.exit(f"scale: --size {options.size}: such as 1280x720")
    if options.cameras < 1 or options.node_cores < 1 or options.gpus < 0 or not options.fps > 0:
        sys.exit("scale: cameras, cores and frames: more than none")
    if options.gpus and options.model not in figures.GPU_CAMERAS:
        sys.exit(f"scale: --model {options.model}: on a GPU there are figures of {', '.join(figures.GPU_CAMERAS)}")
    camera = Camera(int(width), int(height), options.fps, options.model, "gpu" if options.gpus else "cpu")
    node = Node(options.node_cores, options.gpus)
    if not carried(node, camera):
        sys.exit("scale: such a node does not carry a single one of these cameras")
    print(City(options.cameras, camera, node).described(options.node_price, options.terabyte_price))
    return 0


if __name__ == "__main__":
    sys.exit(main())
