"""What was measured, and where. A test compares the first figures with the documents that they stand in."""

from __future__ import annotations

from dataclasses import dataclass

TWO_CORES: dict[str, dict[tuple[int, int], float]] = {
    "decode": {(640, 480): 255, (1280, 720): 102, (1920, 1080): 47},
    "stream-lite": {(640, 480): 95, (1280, 720): 34, (1920, 1080): 14.6},
    "stream": {(640, 480): 31, (1280, 720): 11, (1920, 1080): 4.3},
}
"""Frames a second of the whole command, MJPEG in, H.264 out, on two cores of a Zen 4 server: README.md, "Figures"."""

GPU = "NVIDIA H200"
GPU_CAMERAS: dict[str, float] = {"stream": 12, "stream-lite": 12}
"""Cameras of 1920x1080 at 25 frames a second that the card carries, JPEGs at hand, by PyTorch: docs/gpu.md."""
GPU_LOAD = 1920 * 1080 * 25 / 1e6
"""Megapixels a second of one of those cameras."""


@dataclass(frozen=True)
class Recording:
    """Real Motion-JPEG, and the H.264 of what `stream-lite` makes of it, both in bits for a pixel."""

    what: str
    mjpeg: float
    h264: float


RECORDINGS = (
    Recording("a fixed traffic camera, 480x272, Q75, 4:2:0", 1.35, 0.32),
    Recording("a USB webcam that moves, 640x480, 4:2:2", 0.59, 0.27),
    Recording("a hand-held camera, 480x640, very coarse tables, 4:2:0", 1.19, 0.42),
)
"""All frames of each, at the command's default settings (H.264, CRF and preset of its own)."""

PROCESS = 220.0
"""Megabytes of a process with `stream-lite` in OpenVINO, whatever its cameras."""
PICTURE = 40.0
"""Megabytes of a camera for each megapixel of its pictures. A process had 229 and 255 MB with 8 and 16 cameras of
320x240, and 307 and 510 MB with 2 and 8 of 1280x720; these two figures are within 7 % of all four."""
NODE = 262.0
"""Megabytes of Ray itself on a node: raylet, two agents, log monitor; the head has 209 more."""

DRIVER = 26e-6
"""Seconds of a core for a look at a camera, each second."""
LOOK = 1302.0
"""Bytes that a look brings from a camera."""
METRICS = 1.56e-3
"""Seconds of a core for a camera in an answer of /metrics."""
METRICS_BYTES = 6045.0
"""Bytes of a camera in it."""


def per_camera(pixels: int) -> float:
    """Megabytes of a camera whose pictures have so many pixels."""
    return PICTURE * pixels / 1e6
