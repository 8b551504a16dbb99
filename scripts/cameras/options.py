"""The options that choose the pictures of a camera and what goes wrong, for the programs that play one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cameras.faults import KINDS, Kind


def size(word: str) -> tuple[int, int]:
    """Parse the size of a camera's pictures: width and height."""
    width, _, height = word.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) >= 64 and int(height) >= 48):
        raise argparse.ArgumentTypeError(f"{word!r} is not a size of 64x48 or more")
    return int(width), int(height)


def add_camera_options(parser: argparse.ArgumentParser, *, faults: Sequence[Kind], every: float) -> None:
    """Add --fps, --size, --faults, --every and --seed, with the defaults for the kinds and the distance of faults."""
    parser.add_argument("--fps", type=float, default=30, help="pictures a second (30)")
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT, at least 64x48 (640x480)")
    parser.add_argument("--faults", nargs="+", choices=KINDS, default=faults, help="kinds of faults, chosen at random")
    parser.add_argument("--every", type=float, default=every, help=f"mean seconds between two faults ({every:g})")
    parser.add_argument("--seed", type=int, default=1, help="of the faults (1)")
