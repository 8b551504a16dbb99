"""Packages that scripts need beyond a plain install, and a one-line error for missing ones."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from mjpeg_restore.errors import MissingExtra

PACKAGES = {
    "torch": ("torch", "train"),
    "onnx": ("onnx", "train"),
    "onnxscript": ("onnxscript", "train"),
    "PIL": ("Pillow", "demo"),
    "matplotlib": ("Matplotlib", "papers"),
    "jpeglib": ("jpeglib", "fuzz"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "ray": ("Ray", "ray"),
}
"""Name of a module's package, and our extra that installs it."""


@contextmanager
def needed(purpose: str) -> Generator[None]:
    """Turn the ImportError of an optional package into a one-line error.

    Args:
        purpose: what the package is needed for: "Training".

    Raises:
        MissingExtra: a package of one of our extras is not installed.
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        if module not in PACKAGES:
            raise
        raise MissingExtra(*PACKAGES[module], purpose) from error
