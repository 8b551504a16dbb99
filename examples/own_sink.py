"""A sink of one's own: a contact sheet, one small picture for each second of a recording.

python examples/own_sink.py cam.avi sheet.ppm 1     # one picture a second; any viewer opens PPM
"""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import BaseSink, Frame, MjpegRestoreError, Restorer, SinkError, open_source, run

ACROSS = 4
MOST = 40
"""Pictures on a sheet: when it is full, the run ends."""
SCALE = 4
"""Every fourth row and column of a picture is kept."""


class ContactSheet(BaseSink):
    """Pictures side by side; `run` calls `write` with each frame, then `close`, or after an error `discard`."""

    fixed_size = True  # the pipeline scales pictures to the size of the first

    def __init__(self, path: Path, interval: Fraction) -> None:
        self._path = path
        self._interval = interval
        self._due: Fraction | None = None
        self._small: list[NDArray[np.uint8]] = []

    def write(self, frame: Frame) -> None:
        """Keep a small copy of the restored picture if one is due; skip the others."""
        picture = frame.picture
        if self._due is None or picture.time >= self._due:
            self._small.append(picture.to_ndarray("rgb")[::SCALE, ::SCALE].copy())  # a view would keep the whole
            self._due = picture.time + self._interval
            self.closed = len(self._small) == MOST  # True ends the run

    def close(self) -> None:
        """Write the sheet under a temporary name and rename it: a file with its name is complete."""
        small = self._small + [np.zeros_like(self._small[0])] * (-len(self._small) % ACROSS)
        sheet = np.vstack([np.hstack(small[first : first + ACROSS]) for first in range(0, len(small), ACROSS)])
        part = self._path.with_name(f"{self._path.name}.part")
        try:
            part.write_bytes(b"P6 %d %d 255\n" % (sheet.shape[1], sheet.shape[0]) + sheet.tobytes())
            os.replace(part, self._path)
        except OSError as error:
            raise SinkError(f"cannot write {self._path}: {error.strerror}") from error
        self.remark = f"{self._path}: {len(self._small)} pictures"  # one line for the user


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: own_sink.py RECORDING SHEET.ppm SECONDS")
    try:
        sink = ContactSheet(Path(sys.argv[2]), Fraction(sys.argv[3]))
        with open_source(sys.argv[1]) as source:
            run(source, Restorer("stream-lite", streams=2), sink)
    except (MjpegRestoreError, ValueError, ZeroDivisionError) as error:
        sys.exit(f"own_sink: {error}")
    print(sink.remark)
