"""Make a sample clip in the style of a surveillance camera: a street with traffic, noise and a clock.

    python scripts/make_sample.py sample.avi
    python scripts/make_sample.py sample.mjpeg --seconds 10 --size 1280x720 --quality 40 --sampling 422

Everything is drawn: no picture is needed. The same arguments make the same clip. `.avi`, `.mkv`, `.mov` and `.mp4` are
containers with time stamps; any other name is a raw stream of concatenated JPEGs. Needs Pillow.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from installed import needed

from mjpeg_restore.errors import MissingExtra

if TYPE_CHECKING:  # Pillow is imported only to draw: --help works without it
    from PIL import Image

CONTAINERS = (".avi", ".mkv", ".mov", ".mp4")
MOST_FPS = 1000
SIDES = range(64, 8193)
"""Widths and heights: drawing takes a hundred bytes and more for each pixel."""
SAMPLINGS = {"444": 0, "422": 1, "420": 2}  # Pillow's numbers


def encode(picture: Image.Image, quality: int, sampling: str) -> bytes:
    """One baseline JPEG with the standard's tables scaled to `quality`."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=SAMPLINGS[sampling])
    return buffer.getvalue()


def write(path: Path, pictures: Iterator[bytes], size: tuple[int, int], fps: Fraction) -> None:
    """Write coded pictures to the container that the file name selects, or concatenated: a whole clip or none."""
    if path.exists() and not path.is_file():  # a device, or a pipe
        _write(path, pictures, size, fps)
        return
    part = path.with_name(f".part-{path.name}")  # the ending selects the container
    try:
        _write(part, pictures, size, fps)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write(path: Path, pictures: Iterator[bytes], size: tuple[int, int], fps: Fraction) -> None:
    if path.suffix.lower() not in CONTAINERS:
        with path.open("wb") as file:
            file.writelines(pictures)
        return
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream("mjpeg", rate=fps, width=size[0], height=size[1])
        stream.time_base = 1 / fps  # one tick a picture, or AVI fills the gaps with empty ones
        for number, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.stream = stream
            packet.time_base = 1 / fps
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.is_keyframe = True
            container.mux(packet)


def fraction(word: str) -> Fraction:
    """Parse a number of the command line."""
    try:
        return Fraction(word)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{word!r} is no number") from error


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help=".avi, .mkv, .mov, .mp4, or .mjpeg for a raw stream")
    parser.add_argument("--seconds", type=fraction, default=Fraction(4), help="length (default 4)")
    parser.add_argument("--size", default="640x480", help="WIDTHxHEIGHT, each 64 to 8192 (default 640x480)")
    parser.add_argument("--quality", type=int, default=25, help="1 to 100, as libjpeg counts (default 25)")
    parser.add_argument("--fps", type=fraction, default=Fraction(25), help="pictures a second (default 25)")
    parser.add_argument("--sampling", choices=sorted(SAMPLINGS), default="420", help="chroma (default 420)")
    options = parser.parse_args(arguments)
    try:
        options.width, options.height = map(int, options.size.lower().split("x"))
    except ValueError:
        parser.error(f"--size {options.size}: give it as 640x480")
    if not {options.width, options.height} <= {*SIDES} or not 1 <= options.quality <= 100:
        parser.error("width and height are 64 to 8192, the quality is 1 to 100")
    if options.seconds <= 0 or not 0 < options.fps <= MOST_FPS:
        parser.error(f"--seconds and --fps are more than 0, --fps at most {MOST_FPS}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Make the clip; returns the exit code."""
    options = parse(arguments)
    count = max(1, round(options.seconds * options.fps))
    try:
        with needed("Drawing a clip"):
            from street import frames
    except MissingExtra as error:
        sys.exit(f"make_sample: {error}")
    drawn = frames(options.width, options.height, options.fps, count)
    coded = (encode(picture, options.quality, options.sampling) for picture in drawn)
    try:
        write(options.out, coded, (options.width, options.height), options.fps)
    except OSError as error:
        print(f"make_sample: cannot write {options.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    size = options.out.stat().st_size
    print(f"{options.out}: {count} pictures of {options.width}x{options.height}, {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
