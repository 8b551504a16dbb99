"""What the command's tests share: the command run in this process, and clips to run it on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.cli import main
from tests.jpeg.pictures import encode
from tests.sources.clips import mux_packet, time_of

SIZE = (64, 48)
FAST = ["-m", "decode", "--device", "onnxruntime"]
"""What has nothing to do with the network is tested without one."""
COMMAND = [sys.executable, "-m", "mjpeg_restore"]


def pictures(count: int = 6) -> list[bytes]:
    return [encode("4:2:0", SIZE, seed) for seed in range(count)]


def still(folder: Path) -> Path:
    path = folder / "still.jpg"
    path.write_bytes(encode("4:2:0", SIZE, 1))
    return path


def mux(path: Path, times: Sequence[int], codec: str = "mjpeg") -> Path:
    """A container with a picture at each time, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_mux_stream(codec, rate=25, width=SIZE[0], height=SIZE[1])
        stream.time_base = Fraction(1, 1000)
        for data, time in zip(pictures(len(times)), times, strict=True):
            mux_packet(container, stream, data, time, Fraction(1, 1000))
    return path


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [time_of(frame) for frame in container.decode(video=0)]


def picture_of(path: Path) -> tuple[str | None, NDArray[np.int16]]:
    """Format and RGB samples."""
    with Image.open(path) as image:
        return image.format, np.asarray(image.convert("RGB")).astype(np.int16)


def run(words: Sequence[object], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    capfd.readouterr()
    code = main([str(word) for word in words])
    found = capfd.readouterr()
    return code, found.out, found.err


def assert_one_line(text: str) -> None:
    assert text.startswith("mjpeg-restore: ")
    assert text.count("\n") == 1
    assert text.endswith("\n")
