"""Print when something begins to move in front of a camera, and when it stops.

python examples/detector_loop.py cam.mjpeg
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

import mjpeg_restore

LEVELS = 25
"""Grey levels by which a pixel of something that moves differs from the background."""
SHARE = 0.01
"""Share of such pixels from which on a picture counts as motion."""
ADAPTATION = 0.02
"""How much of each picture the background takes over: changes of light are no motion."""


def watch(path: str) -> None:
    """Print the events of one recording."""
    background: NDArray[np.float32] | None = None
    moving = False
    with mjpeg_restore.open(path, "stream-lite") as pictures:
        for picture in pictures:
            gray = picture.to_ndarray("gray").astype(np.float32)
            if background is None or background.shape != gray.shape:  # the first picture, or another size
                background = gray
            difference = gray - background
            background += ADAPTATION * difference
            if (np.mean(np.abs(difference) > LEVELS) > SHARE) != moving:
                moving = not moving
                print(f"{float(picture.time):.3f} s: {'motion' if moving else 'quiet'}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: detector_loop.py RECORDING")
    try:
        watch(sys.argv[1])
    except mjpeg_restore.MjpegRestoreError as error:
        sys.exit(f"detector_loop: {error}")
