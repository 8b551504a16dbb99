"""Speed of reading coefficients, compared with `jpeglib`."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from measuring import clips

SIZE = (1920, 1080)
QUALITIES = (30, 75, 90)
TARGET = 4.0
"""Required speed relative to `jpeglib`."""


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds per picture of 1920x1080, 4:2:0, on one thread."""

    quality: int
    kilobytes: float
    read_ms: float
    """Of `mjpeg_restore.jpeg.read`, including the marker walk."""
    jpeglib_ms: float
    """Of `jpeglib.read_dct`, from a file that is in the page cache."""
    ratio: float


def median_ms(function: Callable[[], object], seconds: float) -> float:
    """Milliseconds per call: the median of the calls within `seconds`, without the first if there are several."""
    taken: list[float] = []
    end = perf_counter() + seconds
    while not taken or perf_counter() < end:
        begun = perf_counter()
        function()
        taken.append(1000 * (perf_counter() - begun))
    return median(taken[1:] or taken)


def measure(seconds: float) -> list[Row]:
    """Time both readers on one picture per quality."""
    import jpeglib

    from mjpeg_restore.jpeg import read

    rows = []
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        path = Path(folder) / "picture.jpg"
        for quality in QUALITIES:
            (data,) = clips.pictures(SIZE, quality, 1)
            path.write_bytes(data)
            ours = median_ms(lambda data=data: read(data), seconds)
            theirs = median_ms(lambda: jpeglib.read_dct(str(path)).load(), seconds)
            rows.append(Row(quality, len(data) / 1000, ours, theirs, theirs / ours))
    return rows
