"""Draws a street as seen by a surveillance camera: houses, trees, traffic, noise, a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Plane = NDArray[np.float32]  # [height, width], 0..1
Colours = NDArray[np.float32]  # [height, width, 3], RGB, 0..255

HORIZON = 0.42  # of the height, from the top
COATS = ((0.2, 0.045, (150, 46, 52)), (0.75, -0.06, (52, 84, 70)), (0.48, 0.03, (188, 176, 150)))
"""The walkers: position and speed in widths of the picture, colour of the coat."""
PAINTS = ((176, 38, 32), (222, 222, 216), (34, 62, 118), (38, 40, 44), (206, 158, 36), (92, 122, 98))


@dataclass(frozen=True)
class Mover:
    """Something that crosses the picture at a constant speed."""

    sprite: Image.Image
    """RGBA, at twice the displayed size."""
    x: float
    """Left edge at time 0, pixels."""
    y: float
    """Top edge, pixels."""
    speed: float
    """Pixels a second, to the right."""
    bob: float = 0.0
    """Amplitude of a walker's vertical motion, pixels; three times in two seconds."""


def cloud_noise(
    rng: np.random.Generator, height: int, width: int, finest: int, coarsest: int, decay: float = 0.5
) -> Plane:
    """Fractal noise, 0..1: grids with cells of `coarsest` to `finest` pixels; `decay` is the ratio of their weights."""
    total = np.zeros((height, width), np.float32)
    cell, weight = coarsest, 1.0
    while cell >= finest:
        grid = rng.random((height // cell + 2, width // cell + 2), np.float32)
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(layer)
        cell, weight = cell // 2, weight * decay
    total -= total.min()
    return total / total.max()


def shaded(colour: tuple[int, int, int], light: Plane) -> Colours:
    """A colour multiplied by a light, 0 and up."""
    return np.array(colour, np.float32) * light[..., None]


def ground(rng: np.random.Generator, height: int, width: int) -> Colours:
    """A street in perspective: pavement, kerb, asphalt with lane marks."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    depth = (rows + 2) / height  # 0 far, 1 near
    texture = cloud_noise(rng, 512, 512, 1, 64, 0.75)
    across = ((columns - width / 2) / depth / 3).astype(int) + 1733
    along = (260 / depth).astype(int)
    grain = texture[np.abs(along % 1022 - 511), np.abs(across % 1022 - 511)]  # mirrored: no seams
    picture = shaded((104, 104, 108), 0.72 + 0.5 * grain)
    pavement = depth < 0.2
    tiles = (np.abs((columns - width / 2) / depth) % 60 < 5) | ((900 / depth) % 300 < 24)
    picture[pavement] = shaded((158, 150, 138), 0.75 + 0.3 * grain - 0.18 * tiles)[pavement]
    kerb = (depth >= 0.2) & (depth < 0.235)
    picture[kerb] = shaded((186, 184, 178), 0.8 + 0.25 * grain)[kerb]
    dashes = (np.abs(depth - 0.53) < 0.012) & (((columns - width / 2) / depth) % 260 < 130)
    picture[dashes] = shaded((224, 220, 206), 0.85 + 0.2 * grain)[dashes]
    return picture


def sky(rng: np.random.Generator, height: int, width: int) -> Colours:
    """Blue above, pale at the horizon, thin clouds."""
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    colour = (1 - fall) * np.array((96, 134, 186), np.float32) + fall * np.array((214, 206, 196), np.float32)
    cloud = np.clip(cloud_noise(rng, height, width, 4, 128) * 2.2 - 0.9, 0, 1)[..., None]
    return (colour * (1 - 0.6 * cloud) + 236 * 0.6 * cloud).astype(np.float32)


def bricks(rng: np.random.Generator, height: int, width: int, colour: tuple[int, int, int]) -> Colours:
    """A wall of bricks of 4x14 pixels, no two alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    course = rows // 5
    shifted = columns + (course % 2) * 7
    tone = rng.random((height // 5 + 1, width // 14 + 2), np.float32)[course, shifted // 14]
    mortar = (rows % 5 == 0) | (shifted % 14 == 0)
    dirt = cloud_noise(rng, height, width, 2, 64)
    return shaded(colour, np.where(mortar, 1.12, 0.82 + 0.3 * tone) * (0.78 + 0.4 * dirt))


def put_houses(rng: np.random.Generator, picture: Colours, base: int) -> None:
    """A row of brick houses with windows, their feet at line `base`."""
    width = picture.shape[1]
    colours = ((146, 84, 66), (168, 146, 118), (120, 74, 70), (134, 130, 124))
    left = -int(rng.integers(10, 60))
    number = 0
    while left < width:
        span = int(width * rng.uniform(0.17, 0.28))
        top = int(base * rng.uniform(0.12, 0.42))
        wall = bricks(rng, base - top, span, colours[number % len(colours)])
        _put_windows(rng, wall)
        wall[:4] *= 0.55
        wall[:, -5:] *= 0.6
        visible = slice(max(left, 0), max(0, min(left + span, width)))  # the first may lie outside
        picture[top:base, visible] = wall[:, visible.start - left : visible.stop - left]
        left += span
        number += 1


def _put_windows(rng: np.random.Generator, wall: Colours) -> None:
    height, width = wall.shape[:2]
    for top in range(14, height - 26, 38):
        for left in range(12, width - 22, 32):
            glass = np.linspace(0.5, 1.1, 22, dtype=np.float32)[:, None] * np.ones((1, 15), np.float32)
            lit = rng.random() < 0.15
            wall[top - 2 : top + 24, left - 2 : left + 17] = (206, 202, 194)
            wall[top : top + 22, left : left + 15] = shaded((226, 192, 120) if lit else (66, 84, 104), glass)
            wall[top : top + 22, left + 7] = wall[top + 10, left : left + 15] = (196, 192, 184)
            wall[top + 24 : top + 27, left - 3 : left + 18] *= 0.6


def put_tree(rng: np.random.Generator, picture: Colours, x: int, foot: int, size: int) -> None:
    """A leafy tree, of fine texture that coarse quantisation destroys first."""
    height, width = picture.shape[:2]
    picture[foot - size // 2 : foot, max(x - 3, 0) : x + 4] = (62, 50, 40)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((columns - x) / (0.42 * size), (rows - (foot - 0.8 * size)) / (0.5 * size))
    leaves = cloud_noise(rng, height, width, 1, 32, 0.8)
    crown = distance + 1.3 * (leaves - 0.5) < 0.92
    light = 0.1 + 1.6 * leaves - 0.25 * (rows - (foot - 0.8 * size)) / size
    picture[crown] = shaded((74, 104, 48), light)[crown]


def car(paint: tuple[int, int, int], length: int, to_right: bool) -> Image.Image:
    """A car from the side with its shadow, RGBA, drawn at twice `length` pixels."""
    scale = 2 * length / 200
    image = Image.new("RGBA", (int(200 * scale), int(78 * scale)))
    draw = ImageDraw.Draw(image)

    def points(*pairs: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * scale, y * scale) for x, y in pairs]

    dark = (*(int(value * 0.6) for value in paint), 255)
    draw.ellipse(points((6, 60), (196, 76)), fill=(12, 12, 14, 110))
    roof = ((40, 30), (64, 10), (126, 8), (152, 30))
    draw.polygon(points((8, 60), (6, 38), *roof, (192, 38), (196, 60)), (*paint, 255))
    draw.polygon(points((6, 50), (196, 50), (196, 62), (8, 62)), dark)
    draw.polygon(points((48, 31), (68, 14), (94, 13), (94, 31)), (44, 56, 68, 255))
    draw.polygon(points((99, 31), (99, 13), (123, 12), (144, 31)), (58, 72, 84, 255))
    draw.line(points(*roof), fill=(240, 240, 240, 130), width=max(1, int(scale)))
    draw.ellipse(points((186, 40), (195, 47)), fill=(255, 246, 206, 255))
    draw.rectangle(points((6, 40), (11, 48)), fill=(206, 30, 24, 255))
    for x in (46, 154):
        draw.ellipse(points((x - 16, 44), (x + 16, 76)), fill=(20, 20, 22, 255))
        draw.ellipse(points((x - 8, 52), (x + 8, 68)), fill=(156, 158, 162, 255))
    return image if to_right else image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def walker(coat: tuple[int, int, int], height: int) -> Image.Image:
    """A walker, RGBA, drawn at twice `height` pixels."""
    scale = 2 * height / 100
    image = Image.new("RGBA", (int(44 * scale), int(102 * scale)))
    draw = ImageDraw.Draw(image)
    for box, colour in (
        ((4, 94, 40, 101), (12, 12, 14, 100)),
        ((14, 54, 21, 97), (40, 44, 58, 255)),
        ((24, 54, 31, 97), (34, 38, 50, 255)),
        ((10, 18, 34, 60), (*coat, 255)),
        ((8, 22, 14, 54), (*(int(value * 0.7) for value in coat), 255)),
        ((15, 2, 29, 20), (198, 152, 124, 255)),
        ((14, 0, 30, 10), (54, 40, 30, 255)),
    ):
        draw.rounded_rectangle([value * scale for value in box], radius=4 * scale, fill=colour)
    return image


def background(rng: np.random.Generator, width: int, height: int) -> Colours:
    """The static part of the scene."""
    horizon = int(HORIZON * height)
    picture = np.empty((height, width, 3), np.float32)
    picture[:horizon] = sky(rng, horizon, width)
    put_houses(rng, picture, horizon)
    picture[horizon:] = ground(rng, height - horizon, width)
    for x, size in ((0.13, 0.34), (0.62, 0.3), (0.93, 0.4)):
        put_tree(rng, picture, int(x * width), horizon + int(0.06 * height), int(size * height))
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return picture * (1 - 0.22 * (rows**2 + columns**2) / 2)[..., None].astype(np.float32)


def movers(rng: np.random.Generator, width: int, height: int) -> list[Mover]:
    """Cars in two lanes and walkers on the pavement, from far to near."""
    horizon = HORIZON * height
    deep = height - horizon
    cast = []
    tall = int(0.14 * height)
    feet = horizon + 0.17 * deep
    for x, speed, coat in COATS:
        cast.append(Mover(walker(coat, tall), x * width, feet - tall, speed * width, height / 240))
    for lane, long, direction in ((0.46, 0.2, -1), (0.9, 0.32, 1)):
        for place in (0.1, 0.75):
            paint = PAINTS[int(rng.integers(len(PAINTS)))]
            sprite = car(paint, int(long * width), direction > 0)
            y = horizon + lane * deep - sprite.height / 2
            cast.append(Mover(sprite, (place - 0.2) * width, y, direction * width * rng.uniform(0.16, 0.28)))
    return cast


def paste(picture: Colours, mover: Mover, time: float) -> None:
    """Draw a mover at `time` seconds, with subpixel precision; it re-enters after leaving the picture."""
    height, width = picture.shape[:2]
    wide, tall = mover.sprite.width // 2, mover.sprite.height // 2
    x = (mover.x + mover.speed * time + wide) % (width + 2 * wide) - wide
    y = mover.y + mover.bob * abs(np.sin(1.5 * np.pi * time))
    left, top = int(np.floor(x)), int(np.floor(y))
    shift = (2, 0, -2 * (x - left), 0, 2, -2 * (y - top))
    blurred = mover.sprite.filter(ImageFilter.GaussianBlur(0.8))
    sprite = blurred.transform((wide + 2, tall + 2), Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
    x0, x1 = max(left, 0), min(left + wide + 2, width)
    y0, y1 = max(top, 0), min(top + tall + 2, height)
    if x0 >= x1 or y0 >= y1:
        return
    cut = np.asarray(sprite, np.float32)[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = cut[..., 3:] / 255
    picture[y0:y1, x0:x1] += alpha * (cut[..., :3] - picture[y0:y1, x0:x1])


def stamp(picture: Image.Image, time: float) -> None:
    """Draw the camera's name and clock, white with a dark edge, as recorders do."""
    size = max(10, picture.height // 26)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture)
    clock = f"2024-03-09 17:42:{int(time) % 60:02d}.{int(time * 100) % 100:02d}"
    for place, text, anchor in (((8, 6), "CAM 03  NORTH GATE", "la"), ((picture.width - 8, 6), clock, "ra")):
        draw.text(place, text, (250, 250, 250), font, anchor, stroke_width=1, stroke_fill=(16, 16, 16))


def frames(width: int, height: int, fps: Fraction, count: int, *, noisy: bool = True) -> Iterator[Image.Image]:
    """The clip as RGB pictures; without the sensor's noise if it is not to be `noisy`."""
    rng = np.random.default_rng(7)
    still = background(rng, width, height)
    cast = movers(rng, width, height)
    # Fresh noise would cost more than all the rest: each picture takes a random window of one larger field.
    noise = rng.standard_normal((height + 64, width + 64, 3)).astype(np.float32)
    noise = 0.6 * noise + 0.4 * noise.mean(2, keepdims=True)
    for number in range(count):
        time = float(number / fps)
        picture = still.copy()
        for mover in cast:
            paste(picture, mover, time)
        picture *= 1 + 0.01 * np.sin(2 * np.pi * 0.7 * time)  # lamps and auto exposure are never quite steady
        dy, dx = rng.integers(0, 64, 2)
        strength = 2.0 + 0.16 * np.sqrt(np.clip(picture, 0, 255))
        picture += noisy * strength * noise[dy : dy + height, dx : dx + width]
        image = Image.fromarray(np.clip(picture + 0.5, 0, 255).astype(np.uint8))
        stamp(image, time)
        yield image
