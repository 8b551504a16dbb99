"""Pictures of any format, as training and measuring take them: RGB of 8 bits. Needs Pillow, and no PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.errors import SourceNotFound


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a picture: uint8 `[height, width, 3]`. Of 16 bits a sample, the upper 8 are taken.

    Raises:
        SourceNotFound: it cannot be read, or has samples of 32 bits.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I;16"):  # Pillow takes the upper bits in colour, and clips to 255 in grey
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise ValueError("samples of 32 bits have no known range; save it with 8 or 16")
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceNotFound(f"{path} is no picture that can be read: {error}") from error
