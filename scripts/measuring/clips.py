"""The clips of the benchmark: a few pictures drawn by `make_sample.py`, played forwards and backwards."""

from __future__ import annotations

from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import make_sample

FPS = Fraction(25)
DRAWN = 16
"""Number of different pictures."""

Size = tuple[int, int]


def pictures(size: Size, quality: int, count: int = DRAWN) -> list[bytes]:
    """Successive coded pictures, 4:2:0."""
    from street import frames

    return [make_sample.encode(picture, quality, "420") for picture in frames(*size, FPS, count)]


def draw(folder: Path, size: Size, quality: int, name: str) -> Path:
    """Draw the pictures for all clips of a size into a new folder in `folder`; returns it, for `clip`."""
    drawn = folder / f"{name}-{size[0]}x{size[1]}"
    drawn.mkdir()
    for number, data in enumerate(pictures(size, quality)):
        (drawn / f"{number:03}.jpg").write_bytes(data)
    return drawn


def clip(drawn: Path, size: Size, count: int) -> Path:
    """An AVI of `count` pictures, forwards and backwards, as a sudden change would slow the encoder down."""
    path = drawn.with_name(f"{drawn.name}-{count}.avi")
    if not path.exists():
        forth = [file.read_bytes() for file in sorted(drawn.glob("*.jpg"))]
        make_sample.write(path, islice(cycle(forth + forth[-2:0:-1]), count), size, FPS)
    return path
