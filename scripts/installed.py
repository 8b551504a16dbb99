"""Packages that scripts need beyond a plain install, and one line for one that is missing."""

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
    "onnxruntime": ("onnxruntime", "onnxruntime"),
}
"""What pip calls a module's package, and the extra of ours that brings it."""


@contextmanager
def needed(purpose: str) -> Generator[None]:
    """Import within it what not every install has.

    Args:
        purpose: what is done with it: "Training".

    Raises:
        MissingExtra: for the ImportError of a package that some extra brings.
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        if module not in PACKAGES:
            raise
        raise MissingExtra(*PACKAGES[module], purpose) from error
