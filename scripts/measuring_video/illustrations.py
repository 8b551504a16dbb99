"""The page's pictures: a drawn street, for pictures and recordings of others are not ours to show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from measuring.pictures import Plane
from PIL import Image, ImageDraw, ImageFont
from street import frames

from measuring_video.clip import Clip
from measuring_video.measurement import restored
from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.errors import SinkError, reason_of
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer

SIZE = (640, 480)
FPS = Fraction(25)
COUNT = 40
NOISE = 2.0
"""Standard deviation in luma, grey levels."""
QUALITY = 50
SHOWN = 16
"""Number of the frame that crops are of, from 1."""
ZOOM = 2
GAP = 4
TITLE = 20
"""Height of a title, pixels."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the street, pixels."""

    name: str
    """Of the file."""
    left: int
    top: int
    width: int = 160
    height: int = 128

    def of(self, picture: Plane) -> Plane:
        """That part of a picture."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


CROPS = (Crop("still", 96, 96), Crop("moving", 300, 240))
OVER_TIME = "over-time"
"""Name of the file that shows a line of pixels over time."""
ROW, COLUMNS = 192, (100, 420)
"""Line whose pixels are shown over time, and its first and last column."""
TALL = 3
"""Lines for each frame of it."""


def illustrate(model: Model, over: Model, device: str, folder: Path) -> None:
    """Draw the page's pictures into a folder.

    Raises:
        SinkError: a file cannot be written.
    """
    street = Clip("street", "drawn", np.stack([*map(np.asarray, frames(*SIZE, FPS, COUNT, noisy=False))]), NOISE)
    coded = [read(data) for data in street.jpegs(QUALITY)]
    shown = {"truth": [*street.truth]}
    for title, one in (("JPEG", catalogue.find(catalogue.DECODE)), (over.name, over), (model.name, model)):
        shown[title] = restored(Restorer(one, device), coded).rgb
    for crop in CROPS:
        parts = [(title, _magnified(crop.of(pictures[SHOWN - 1]))) for title, pictures in shown.items()]
        _save(beside(parts), folder / f"{crop.name}.webp")
    slices = [(title, over_time(pictures, ROW, *COLUMNS)) for title, pictures in shown.items()]
    _save(beside(slices), folder / f"{OVER_TIME}.webp")


def captioned(over: str, model: str, folder: str) -> str:
    """Markdown that shows the pictures in a folder beside the page."""
    captions = {
        "still": f"A drawn street with noise of {NOISE:g} grey levels in luma, JPEGs of Q{QUALITY}, frame {SHOWN}.",
        OVER_TIME: f"One line of pixels of the same clip over {COUNT} frames; time runs downwards. What stands still"
        " should be a vertical stripe. People walk through.",
        "moving": f"Frame {SHOWN} again, where a car has just been.",
    }
    shown = f"truth, JPEG, {over}, {model}"
    return "\n\n".join(f"![{shown}]({folder}/{name}.webp)\n\n*{caption}*" for name, caption in captions.items())


def over_time(pictures: Sequence[Plane], row: int, first: int, last: int) -> Plane:
    """A part of a line of pixels, frame below frame: uint8 `[TALL frames, columns, 3]`."""
    return np.stack([picture[row, first:last] for picture in pictures]).repeat(TALL, axis=0)


def beside(parts: Iterable[tuple[str, Plane]]) -> Image.Image:
    """Pictures of one size, each under its title, two beside each other."""
    titled = [_titled(*part) for part in parts]
    wide, tall = titled[0].size
    whole = Image.new("RGB", (2 * wide + GAP, -(-len(titled) // 2) * (tall + GAP) - GAP), "white")
    for place, picture in enumerate(titled):
        whole.paste(picture, (place % 2 * (wide + GAP), place // 2 * (tall + GAP)))
    return whole


def _titled(title: str, picture: Plane) -> Image.Image:
    image = Image.new("RGB", (picture.shape[1], picture.shape[0] + TITLE), "white")
    ImageDraw.Draw(image).text((2, 2), title, "black", ImageFont.load_default(14))
    image.paste(Image.fromarray(picture), (0, TITLE))
    return image


def _magnified(picture: Plane) -> Plane:
    return picture.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)


def _save(image: Image.Image, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=92, method=6)
    except OSError as error:
        raise SinkError(f"cannot write {path} ({reason_of(error)})") from error
