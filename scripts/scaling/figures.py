"""What was measured, and where: README.md, docs/gpu.json, and docs/scale.json by `scripts/measure_scale.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).parents[2] / "docs"

TWO_CORES: dict[str, dict[tuple[int, int], float]] = {
    "decode": {(640, 480): 255, (1280, 720): 102, (1920, 1080): 47},
    "stream-lite": {(640, 480): 95, (1280, 720): 34, (1920, 1080): 14.6},
    "stream": {(640, 480): 31, (1280, 720): 11, (1920, 1080): 4.3},
}
"""Frames a second of the whole command, MJPEG in, H.264 out, on two cores of a Zen 4 server: README.md, "Figures"."""

GPU = "NVIDIA H200"
_GPU = json.loads((_DOCS / "gpu.json").read_text())[GPU]["cameras"]
GPU_CAMERAS: dict[str, float] = {name.split()[0]: measured["whole"] for name, measured in _GPU.items()}
"""Cameras of 1920x1080 at 25 frames a second that the card carries, JPEGs at hand, by PyTorch in one process."""
GPU_LOAD = 1920 * 1080 * 25 / 1e6
"""Megapixels a second of one of those cameras."""

_MEASURED: dict[str, Any] = json.loads((_DOCS / "scale.json").read_text())


@dataclass(frozen=True)
class Recording:
    """Real Motion-JPEG, and the H.264 of what `stream-lite` makes of it, both in bits for a pixel."""

    what: str
    mjpeg: float
    h264: float


RECORDINGS = tuple(Recording(**each) for each in _MEASURED["recordings"])
"""All frames of each, at the command's default settings (H.264, CRF and preset of its own)."""

PROCESS: float = _MEASURED["memory"]["process_mb"]
"""Megabytes of a process with `stream-lite` in OpenVINO, whatever its cameras."""
PICTURE: float = _MEASURED["memory"]["megapixel_mb"]
"""Megabytes of a camera for each megapixel of its pictures."""
NODE: float = _MEASURED["memory"]["ray_mb"]
"""Megabytes of Ray itself on a node that is not the head."""

LOOK_SECONDS: float = _MEASURED["driver"]["look_seconds"]
"""Seconds of a core for a look at a camera, of 64 in a process; there is one each second."""
LOOK_BYTES: float = _MEASURED["driver"]["look_bytes"]
"""Bytes that a look brings from a camera."""
METRICS_SECONDS: float = _MEASURED["driver"]["metrics_seconds"]
"""Seconds of a core for a camera in an answer of /metrics."""
METRICS_BYTES: float = _MEASURED["driver"]["metrics_bytes"]
"""Bytes of a camera in it."""


def per_camera(pixels: int) -> float:
    """Megabytes of a camera whose pictures have so many pixels."""
    return PICTURE * pixels / 1e6
