"""The clips that are measured on: drawn by `make_sample.py`, a few pictures played to and fro."""

from __future__ import annotations

from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path

import make_sample

FPS = Fraction(25)
DRAWN = 16
"""Pictures that are really drawn."""

Size = tuple[int, int]


def pictures(size: Size, quality: int, count: int = DRAWN) -> list[bytes]:
    """Successive coded pictures, 4:2:0."""
    from street import frames

    return [make_sample.encode(picture, quality, "420") for picture in frames(*size, FPS, count)]


def draw(folder: Path, size: Size, quality: int, name: str) -> Path:
    """Draw pictures once for all clips of a size; returns the folder that `clip` takes, a new one in `folder`."""
    drawn = folder / f"{name}-{size[0]}x{size[1]}"
    drawn.mkdir()
    for number, data in enumerate(pictures(size, quality)):
        (drawn / f"{number:03}.jpg").write_bytes(data)
    return drawn


def clip(drawn: Path, size: Size, count: int) -> Path:
    """An AVI of so many pictures, forth and back: no sudden change that the encoder would have to pay for."""
    path = drawn.with_name(f"{drawn.name}-{count}.avi")
    if not path.exists():
        forth = [file.read_bytes() for file in sorted(drawn.glob("*.jpg"))]
        make_sample.write(path, islice(cycle(forth + forth[-2:0:-1]), count), size, FPS)
    return path
