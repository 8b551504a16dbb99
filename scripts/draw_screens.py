"""Draw pictures of computer screens to train with: consoles, editors, tables, plots and windows of made-up text.

    python scripts/draw_screens.py SCREENS --count 100
    python scripts/train.py --model stream-video --data DATA/train SCREENS ...

Screens come as Motion-JPEG from KVM switches and screen sharing, and differ from photos: flat areas, edges of a pixel,
few colours, no noise. The same arguments draw the same pictures, by the fonts that Matplotlib brings. Needs Pillow and
Matplotlib.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from installed import needed

from mjpeg_restore.errors import MissingExtra

if TYPE_CHECKING:  # they are imported only to draw: --help works without them
    from PIL import Image, ImageFont

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]
"""Left, top, right and bottom."""

SYLLABLES = ["an", "be", "co", "de", "el", "fi", "ga", "in", "ker", "la", "net", "or", "pa", "qua", "set", "ti", "zu"]
SIGNS = ["=", "+=", "->", "()", "[0]", "{}", "::", "//", "#", "==", "&&", "0x1F", "3.14", "--help", "$", "%", "@"]
FAMILIES = (
    "DejaVuSans[-.]*ttf",
    "DejaVuSansMono*.ttf",
    "DejaVuSerif[-.]*ttf",
    "STIXGeneral*.ttf",
    "cm[brt]*10.ttf",
    "cmss10.ttf",
)
LARGEST = 8192
"""Pixels of a screen's side, at most."""
SCALED, TEXT_MODE = 0.3, 0.12
"""Share of the screens that a converter has scaled, and of those in text mode."""


class Screen:
    """One screen that is being drawn."""

    def __init__(self, size: tuple[int, int], rng: random.Random, fonts: list[Path]) -> None:
        """Begin with a desktop.

        Args:
            size: width and height.
            rng: draws everything.
            fonts: TrueType files.
        """
        from PIL import Image, ImageDraw

        self.rng, self._fonts = rng, fonts
        self.picture = Image.new("RGB", size, self.colour(30, 220))
        self.draw = ImageDraw.Draw(self.picture)
        self.draw.fontmode = "1" if rng.random() < 0.3 else "L"  # text without grey edges, or with them

    def colour(self, least: int, most: int) -> Colour:
        """A colour of components in a range; many are grey, as on screens."""
        grey = self.rng.randint(least, most)
        if self.rng.random() < 0.4:
            return grey, grey, grey
        red, green, blue = (self.rng.randint(least, most) for _ in range(3))
        return red, green, blue

    def font(self, size: int) -> ImageFont.FreeTypeFont:
        """A font of a size."""
        from PIL import ImageFont

        return ImageFont.truetype(self.rng.choice(self._fonts), size)

    def words(self, count: int) -> str:
        """Made-up text."""
        rng = self.rng
        made = ("".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(count))
        styles: list[Callable[[str], str]] = [str.lower, str.lower, str.capitalize, str.upper]
        return " ".join(rng.choice(SIGNS) if rng.random() < 0.15 else rng.choice(styles)(word) for word in made)

    def window(self, box: Box) -> None:
        """A window: a frame, a title, and something in it."""
        rng, (left, top, right, bottom) = self.rng, box
        dark = rng.random() < 0.4
        paper, ink = (
            (self.colour(0, 50), self.colour(160, 255)) if dark else (self.colour(225, 255), self.colour(0, 90))
        )
        self.draw.rectangle(box, fill=paper, outline=self.colour(60, 200))
        bar = rng.randint(16, 32)
        self.draw.rectangle((left, top, right, top + bar), fill=self.colour(20, 235))
        self.draw.text((left + 6, top + 2), self.words(3), font=self.font(bar - 6), fill=self.colour(0, 255))
        inside = left + 6, top + bar + 5, right - 6, bottom - 6
        rng.choice((self.text, self.text, self.code, self.table, self.plot, self.controls))(inside, ink)

    def text(self, box: Box, ink: Colour) -> None:
        """Paragraphs in one font."""
        size = self.rng.randint(9, 26)
        font, step = self.font(size), round(size * self.rng.uniform(1.15, 1.6))
        for y in range(box[1], box[3] - step, step):
            if self.rng.random() < 0.85:
                self.line((box[0], y, box[2]), self.words(30), font, ink)

    def code(self, box: Box, ink: Colour) -> None:
        """Lines that are indented, in several colours."""
        size = self.rng.randint(9, 20)
        font, step, inks = self.font(size), round(size * 1.3), [ink, *(self.colour(40, 220) for _ in range(3))]
        for y in range(box[1], box[3] - step, step):
            x = box[0] + size * self.rng.choice((0, 0, 1, 2, 2, 3))
            while x < box[2] and self.rng.random() < 0.8:
                word = self.words(self.rng.randint(1, 3)) + " "
                self.line((x, y, box[2]), word, font, self.rng.choice(inks))
                x += round(font.getlength(word))

    def table(self, box: Box, ink: Colour) -> None:
        """Numbers and words between lines."""
        rng, lines = self.rng, self.colour(100, 200)
        wide, high = rng.randint(50, 130), rng.randint(15, 30)
        font = self.font(high - 5)
        for y in range(box[1], box[3] - high, high):
            for x in range(box[0], box[2] - wide, wide):
                fill = self.colour(200, 255) if rng.random() < 0.05 else None
                self.draw.rectangle((x, y, x + wide, y + high), fill=fill, outline=lines)
                word = (
                    f"{rng.uniform(0, 10 ** rng.randint(1, 5)):.{rng.randint(0, 3)}f}" if x > box[0] else self.words(1)
                )
                self.line((x + 3, y + 1, x + wide), word, font, ink)

    def plot(self, box: Box, ink: Colour) -> None:
        """Axes, curves or bars."""
        rng, (left, top, right, bottom) = self.rng, box
        if right - left < 40 or bottom - top < 40:
            return
        self.draw.line((left, top, left, bottom, right, bottom), fill=ink)
        for y in range(top, bottom, rng.randint(15, 40)):
            self.draw.line((left, y, right, y), fill=self.colour(120, 220))
        for _ in range(rng.randint(1, 4)):
            step, hue = rng.randint(2, 24), self.colour(20, 230)
            heights = [rng.randint(top, bottom) for _ in range(left, right, step)]
            if rng.random() < 0.6:
                self.draw.line(
                    [*zip(range(left, right, step), heights, strict=True)], fill=hue, width=rng.randint(1, 3)
                )
            else:
                for x, y in zip(range(left, right, step), heights, strict=True):
                    self.draw.rectangle((x, y, x + step // 2, bottom), fill=hue)

    def controls(self, box: Box, ink: Colour) -> None:
        """Buttons, icons and fields."""
        rng, step = self.rng, self.rng.randint(22, 60)
        font = self.font(max(9, step // 3))
        for y in range(box[1], box[3] - step, step):
            for x in range(box[0], box[2] - 2 * step, 2 * step):
                place, hue = (x, y, x + 2 * step - 8, y + step - 6), self.colour(60, 240)
                kind = rng.randrange(5)
                if kind == 0:
                    self.draw.rounded_rectangle(place, step // 5, fill=hue, outline=ink)
                    self.line((x + 4, y + 3, place[2]), self.words(1), font, ink)
                elif kind == 1:
                    self.draw.ellipse((x, y, x + step - 6, y + step - 6), fill=hue, outline=ink)
                elif kind == 2:
                    points = [(x + rng.randrange(step), y + rng.randrange(step)) for _ in range(rng.randint(3, 7))]
                    self.draw.polygon(points, fill=hue)
                elif kind == 3:
                    self.draw.rectangle(place, outline=ink)
                    self.line((x + 4, y + 3, place[2]), self.words(2), font, ink)

    def line(self, place: tuple[int, int, int], text: str, font: ImageFont.FreeTypeFont, ink: Colour) -> None:
        """Text from a place, left and top, that ends before a right edge."""
        left, top, right = place
        while text and font.getlength(text) > right - left:
            text = text[: len(text) * 3 // 4]
        self.draw.text((left, top), text, font=font, fill=ink)


def text_mode(rng: random.Random) -> Image.Image:
    """What a machine shows before its system runs: letters of one size, each twice as large as they were drawn."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (480, 300), rng.choice([(0, 0, 0), (0, 0, 170), (170, 170, 170)]))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default_imagefont()
    for y in range(4, 290, 12):
        text = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789 ----====[]()/.:    ") for _ in range(75))
        if rng.random() < 0.8:
            back = rng.choice([None, None, None, (170, 170, 170), (0, 0, 170)])
            if back:
                draw.rectangle((4, y - 1, rng.randint(60, 470), y + 10), fill=back)
            draw.text(
                (4, y),
                text[: rng.randint(5, 75)],
                font=font,
                fill=rng.choice([(170, 170, 170), (255, 255, 85), (85, 255, 85)]),
            )
    return picture.resize((960, 600), Image.Resampling.NEAREST)


def screen(size: tuple[int, int], rng: random.Random, fonts: list[Path]) -> Image.Image:
    """A screen with some windows."""
    from PIL import Image

    if rng.random() < TEXT_MODE:
        return text_mode(rng).resize(size, Image.Resampling.NEAREST)
    found = Screen(size, rng, fonts)
    for _ in range(rng.randint(3, 8)):
        wide, high = rng.randint(size[0] // 5, size[0]), rng.randint(size[1] // 5, size[1])
        left, top = rng.randint(0, size[0] - wide), rng.randint(0, size[1] - high)
        found.window((left, top, left + wide - 1, top + high - 1))
    if rng.random() >= SCALED:
        return found.picture
    share = rng.uniform(0.6, 1.3)
    scaled = (round(size[0] * share), round(size[1] * share))
    return found.picture.resize(scaled, rng.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)))


def draw(folder: Path, count: int, seed: int, size: tuple[int, int]) -> None:
    """Write so many pictures into a folder, which is made if it is missing."""
    import matplotlib

    places = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = sorted(path for family in FAMILIES for path in places.glob(family))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        screen(size, random.Random(f"{seed} {number}"), fonts).save(folder / f"screen{number:04}.png")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pictures are written, as PNG")
    parser.add_argument("--count", type=int, default=100, help="pictures (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other pictures (default 0)")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(1120, 700), metavar=("WIDE", "HIGH"), help="before scaling"
    )
    options = parser.parse_args(arguments)
    if not (min(options.size) >= 100 and max(options.size) <= LARGEST) or options.count < 1:
        parser.error(f"a screen has 100x100 pixels or more, {LARGEST}x{LARGEST} at most, and one is drawn at least")
    try:
        with needed("Drawing"):
            draw(options.folder, options.count, options.seed, tuple(options.size))
    except (MissingExtra, OSError) as error:
        sys.exit(f"draw_screens: {error}")


if __name__ == "__main__":
    main()
