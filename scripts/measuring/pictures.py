"""Original pictures, and JPEGs made of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import SourceNotFound

Plane = NDArray[np.uint8]
"""uint8 `[height, width]`, or `[height, width, 3]`."""

Kind = Literal["luma", "colour", "green"]
"""The part of a picture that is compressed and measured: limited-range luma as a grey JPEG, as in the field's tables;
all of it at 4:2:0; or its green channel as a grey JPEG."""

TITLES = {"live1": "LIVE1", "bsds500-test": "BSDS500", "cid22-validation": "CID22"}
"""Names of folders in tables."""

SMALLEST = 8
"""Minimum side of a picture: SSIM is measured in windows of 8x8."""

SUFFIXES = {".png", ".webp", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff"}


def files(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted.

    Raises:
        SourceNotFound: there are none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SourceNotFound(f"{folder}: no pictures there")
    return found


def load(path: Path, shrink: int = 1) -> Plane:
    """Read a picture, down-scaled by an integer factor: uint8 `[height, width, 3]`.

    Raises:
        SourceNotFound: it cannot be read, or is too small to be measured.
    """
    from PIL import Image

    from mjpeg_restore.training.pictures import load_rgb

    rgb = load_rgb(path)
    height, width = (side // shrink for side in rgb.shape[:2])
    if min(height, width) < SMALLEST:
        smallest = SMALLEST * shrink
        raise SourceNotFound(f"{path}: a picture to measure with has {smallest}x{smallest} pixels or more")
    if shrink > 1:
        rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))
    return rgb


def limited_luma(rgb: Plane) -> Plane:
    """BT.601 luma, 16..235, like MATLAB's rgb2ycbcr: uint8 `[height, width]`."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.floor(16.5 + rgb.astype(np.float64) @ weights).astype(np.uint8)


def original(rgb: Plane, kind: Kind) -> Plane:
    """The part of a picture that is compressed, and that the result is compared with."""
    match kind:
        case "luma":
            return limited_luma(rgb)
        case "green":
            return np.ascontiguousarray(rgb[..., 1])
        case "colour":
            return rgb


def encode(picture: Plane, quality: int) -> bytes:
    """Encode a JPEG with the IJG's tables; colour at 4:2:0."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()


def middle(picture: Plane, side: int) -> Plane:
    """The central blocks of a picture, at most `side` samples each way."""
    height, width = (min(length, side) // 8 * 8 for length in picture.shape[:2])
    top, left = ((whole - part) // 16 * 8 for whole, part in zip(picture.shape, (height, width), strict=False))
    return picture[top : top + height, left : left + width]


def squares(picture: Plane, side: int) -> list[Plane]:
    """The whole squares of a side that a picture can be cut into, row by row."""
    tops, lefts = (range(0, length - side + 1, side) for length in picture.shape[:2])
    return [picture[top : top + side, left : left + side] for top in tops for left in lefts]


def filled(picture: Plane, width: int, height: int) -> Plane:
    """Crop a picture to a size, or extend it by repeated mirroring."""
    missing = [(0, max(0, wanted - there)) for wanted, there in zip((height, width), picture.shape, strict=False)]
    return np.pad(picture, [*missing, (0, 0)][: picture.ndim], mode="symmetric")[:height, :width]
