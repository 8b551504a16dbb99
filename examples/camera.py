"""Watch a camera for days: pictures as they arrive, late ones left out, and a line when something changes.

python examples/camera.py http://cam/video
"""

from __future__ import annotations

import logging
import sys

import mjpeg_restore
from mjpeg_restore import LiveSettings, PipelineSettings, Restorer

EVERY = 1.0
"""Seconds between two lines about the pictures."""


def watch(camera: str, give_up: float | None) -> None:
    """Print the brightness of a camera's pictures until nothing has come for `give_up` seconds."""
    restorer = Restorer("stream-lite", streams=2)  # one network, for as many cameras as you like
    policies = PipelineSettings(max_latency=0.1)
    patience = LiveSettings(stall_timeout=5, give_up=give_up)
    told = -EVERY
    with mjpeg_restore.open(camera, restorer, settings=policies, camera=patience) as pictures:
        for picture in pictures:
            if picture.time - told >= EVERY:
                told = float(picture.time)
                brightness = picture.to_ndarray("gray").mean()
                print(f"{told:.0f} s: {picture.width}x{picture.height}, brightness {brightness:.0f}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: camera.py CAMERA [SECONDS]")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout, force=True)
    try:
        watch(sys.argv[1], float(sys.argv[2]) if len(sys.argv) == 3 else None)
    except (mjpeg_restore.MjpegRestoreError, ValueError) as error:
        sys.exit(f"camera: {error}")
