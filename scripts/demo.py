"""Restore a clip to an MP4; save before and after side by side as a clip, and a magnified part of them as a picture.

python scripts/demo.py INPUT FOLDER
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from installed import needed
from numpy.typing import NDArray

import mjpeg_restore
from mjpeg_restore.cli import main as command
from mjpeg_restore.cli.wording import worded

if TYPE_CHECKING:  # Pillow is imported only to save the picture: --help works without it
    from PIL import Image

FRAME = 12
"""Number of the picture that is shown: late enough for a camera to have settled."""

REGION = (200, 150)
"""Width and height of the magnified region, pixels."""

ZOOM = 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="a Motion-JPEG recording")
    parser.add_argument("folder", type=Path, help="where the results go")
    parser.add_argument("--model", default="stream")
    return parser.parse_args()


def picture(source: str, model: str) -> NDArray[np.uint8]:
    """One restored picture of a recording: uint8 `[height, width, 3]`."""
    with mjpeg_restore.open(source, model) as pictures:
        *_, last = islice(pictures, FRAME)
    return last.to_ndarray("rgb")


def busiest(image: NDArray[np.uint8], width: int, height: int) -> tuple[int, int]:
    """Left and top edge of the region with the most detail, pixels."""
    luma = image.mean(axis=2)
    detail = np.abs(np.diff(luma, axis=1))[:-1] + np.abs(np.diff(luma, axis=0))[:, :-1]
    corners = [
        (left, top)
        for top in range(0, max(1, detail.shape[0] - height), 16)
        for left in range(0, max(1, detail.shape[1] - width), 16)
    ]
    return max(corners, key=lambda corner: detail[corner[1] :, corner[0] :][:height, :width].mean())


def before_and_after(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Image.Image:
    """The same region of both pictures side by side, magnified without smoothing."""
    from PIL import Image

    left, top = busiest(before, *REGION)
    parts = [image[top : top + REGION[1], left : left + REGION[0]] for image in (before, after)]
    gap = np.full((parts[0].shape[0], 2, 3), 255, np.uint8)
    joined = Image.fromarray(np.hstack([parts[0], gap, parts[1]]))
    return joined.resize((joined.width * ZOOM, joined.height * ZOOM), Image.Resampling.NEAREST)


def main() -> int:
    options = arguments()
    try:
        with needed("Showing before and after"):
            import PIL  # noqa: F401, a missing package is reported before the video is restored
        options.folder.mkdir(parents=True, exist_ok=True)
    except (mjpeg_restore.MjpegRestoreError, OSError) as error:
        sys.exit(f"demo: {worded(error)}")
    video, clip = options.folder / "restored.mp4", options.folder / "before-after.mp4"
    for output, more in ((video, []), (clip, ["--compare", "side", "--quiet"])):
        if code := command([options.input, "-o", str(output), "-y", "--model", options.model, *more]):
            return code
    shown = options.folder / "before-after.png"
    before_and_after(picture(options.input, "decode"), picture(options.input, options.model)).save(shown)
    print(f"restored video:   {video}\nbefore and after: {clip}, {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
