"""Check an installed wheel: it reads with libjpeg-turbo, every extension is in it, and a picture is restored.

    python scripts/check_wheel.py

Run it with the Python of the environment that the wheel was installed to. A folder that holds the package's sources
must not be on the path.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from importlib.util import find_spec

import av
import numpy as np

import mjpeg_restore
from mjpeg_restore.jpeg import entropy, reader_name
from mjpeg_restore.runtime import NativeDecode
from mjpeg_restore.runtime.cpu import rectangles, sparse, state

SIZE = (64, 96)


def coded() -> bytes:
    """A JPEG of a gradient, coarsely quantised, 4:2:0."""
    high, wide = SIZE
    ramp = np.add.outer(np.arange(high), np.arange(wide)).astype(np.uint8)
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = wide, high, "yuvj420p"
    codec.time_base = Fraction(1)
    codec.options = {"qmin": "20", "qmax": "20"}
    frame = av.VideoFrame.from_ndarray(np.dstack([ramp] * 3), "rgb24").reformat(format="yuvj420p")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode()])


def problems() -> list[str]:
    """What is missing from the installed package, a line each."""
    found: list[str] = []
    if not reader_name().endswith("(native)"):
        found.append(f"pictures are read by {reader_name()}")
    if not entropy.available:
        found.append("there is no native walk through damaged pictures")
    if not NativeDecode.available and sys.platform != "win32":  # MSVC cannot compile it
        found.append("there is no native decode and projection")
    if state.native is None and sys.platform != "win32":
        found.append("there is no native state of cameras")
    if sparse.native is None and sys.platform != "win32":
        found.append("there are no native convolutions")
    if rectangles.native is None:
        found.append("there is no native search for the pieces of a picture that moved")
    return found


def main() -> None:
    """Say what was found; the exit status is 1 if something is missing."""
    argparse.ArgumentParser(
        description="Check that the installed wheel is complete and restores a picture."
    ).parse_args()
    print(mjpeg_restore.__file__)
    print(reader_name())
    if found := problems():
        sys.exit("; ".join(found))
    # musl has neither runtime: the plain decode alone needs none.
    network = "stream-lite" if find_spec("openvino") or find_spec("onnxruntime") else "decode"
    picture = mjpeg_restore.restore(coded(), network)
    assert picture.to_ndarray("rgb").shape == (*SIZE, 3)
    print(f"{network} restored a picture of {SIZE[1]}x{SIZE[0]}")


if __name__ == "__main__":
    main()
