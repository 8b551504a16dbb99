"""What is in use here: for `--version`, and for reports of trouble."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import av

from mjpeg_restore import __version__
from mjpeg_restore.catalogue import DECODE
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.jpeg import reader_name
from mjpeg_restore.runtime import NativeDecode

RUNTIMES = (("ONNX Runtime", "onnxruntime"), ("OpenVINO", "openvino"))


def versions() -> list[str]:
    """The package's version, the coefficient reader, the runtimes and FFmpeg, a line each."""
    try:
        reader = reader_name()
    except MjpegRestoreError as error:
        reader = f"none: {error}"
    runtimes = [f"{name} {found}" for name, package in RUNTIMES if (found := _installed(package))]
    return [
        f"mjpeg-restore {__version__}",
        f"coefficient reader: {reader}",
        f"decode and projection: {'native' if NativeDecode.available else 'by the runtimes'}",
        f"runtimes: {', '.join(runtimes) or 'none'}",
        f"video: PyAV {av.__version__}, FFmpeg {getattr(av, 'ffmpeg_version_info', 'unknown')}",
    ]


def faster(model: str, device: str, runtime: str) -> str | None:
    """How a run could have been faster, for the user; None where it ran as fast as it can here.

    Args:
        model, device: what was asked for.
        runtime: what ran, by its name in the report.
    """
    if device != "auto" or model == DECODE or not runtime.startswith("ONNX Runtime") or _installed("openvino"):
        return None
    return f"restored by {runtime}; OpenVINO may be three times as fast: pip install openvino"


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
