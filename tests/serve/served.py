"""Cameras for the server's tests: frames of two flat colours, written by hand or at a pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np

from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.report import Report
from mjpeg_restore.serve import ServedCamera

SIZE = (64, 48)
RESTORED, ORIGINAL = 200, 60
"""Luma of the two pictures of a frame."""


def picture(luma: int, index: int = 0, size: tuple[int, int] = SIZE) -> Picture:
    """A grey picture whose shade is exact after JPEG."""
    width, height = size
    planes = (np.full((height, width), luma, np.uint8), *(np.full((height // 2, width // 2), 128, np.uint8),) * 2)
    return Picture(planes, Sampling.YUV420, index=index, pts=index, time_base=Fraction(1, 25), quality=40)


def write(camera: ServedCamera, index: int = 0, *, size: tuple[int, int] = SIZE, luma: int | None = None) -> None:
    """Deliver one frame as a run does, with an original where one is asked for."""
    restored = picture(RESTORED if luma is None else luma, index, size)
    original = picture(ORIGINAL, index, size) if camera.sink.original else None
    camera.report.packets += 1
    camera.report.delivered(restored)
    camera.sink.write(Frame(restored, original, time.monotonic()))
    camera.report.taken(time.monotonic() - 0.01, 0.001)


@contextmanager
def playing(camera: ServedCamera, fps: float = 50, *, size: tuple[int, int] = SIZE) -> Generator[None]:
    """Deliver frames at a pace meanwhile."""
    ended = threading.Event()

    def play() -> None:
        index = 0
        while not ended.wait(1 / fps):
            write(camera, index, size=size)
            index += 1

    thread = threading.Thread(target=play, name="camera")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def camera(name: str = "door", **settings: float) -> ServedCamera:
    """A camera without frames."""
    return ServedCamera(name, Report(model="stream", reader="libjpeg-turbo"), **settings)  # pyright: ignore[reportArgumentType]
