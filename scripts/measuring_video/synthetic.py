"""Clips with a known truth, made of still pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from measuring.pictures import Plane, files, filled, load, middle
from numpy.typing import NDArray

from measuring_video.clip import Blocks, Clip, Frames, Listed, whole_mcus

PICTURES = {"live1": 0.75, "bsds500-test": 0.25}
"""Share of each folder in the pictures."""

NOISE = 2.0
"""Standard deviation in luma, grey levels."""
FURTHER_NOISE = (1.0, 4.0)
"""Of still scenes, too."""
LONG = 300
"""Frames of a still scene that is to show what becomes of a camera that stands for hours."""
LONG_SIDE = 256
"""Largest side of its pictures, in pixels."""

SLOW_PAN = (0.7, 0.3)
"""Pixels a frame, across and down."""
FAST_PAN = (13.3, 2.6)
CREEP = (0.02, 0.01)
DOOR = 24
"""Pixels that the edge of a plain surface moves a frame."""
SPEED = 7
"""Pixels that an object moves a frame."""
EDGE = 3.0
"""Width of an object's soft edge, pixels."""
FLICKER = 0.05
"""Amplitude of flickering light, as a share of it, and its period in frames: lamps at 100 Hz, seen at 27 frames/s."""
PERIOD = 3.4
RATE = (0,) * 5 + (-8,) * 4 + (12,) * 5 + (-4,) * 3
"""What rate control adds to the quality."""

Scene = Frames | tuple[Frames, Blocks]
"""The truth, and the blocks that an object covers if there is one."""


def still(picture: Plane, other: Plane, frames: int) -> Frames:
    """Nothing happens."""
    return np.broadcast_to(picture, (frames, *picture.shape))


def passing(picture: Plane, other: Plane, frames: int) -> Scene:
    """A cut-out of another picture crosses the picture."""
    return _with_object(picture, other, [SPEED * frame for frame in range(frames)])


def leaving(picture: Plane, other: Plane, frames: int) -> Scene:
    """A cut-out stands in the middle for half of the clip, and then leaves."""
    middle = picture.shape[1] // 2
    return _with_object(picture, other, [middle + SPEED * max(0, frame - frames // 2) for frame in range(frames)])


def slow_pan(picture: Plane, other: Plane, frames: int) -> Scene:
    """The camera pans by fractions of a pixel a frame."""
    return _panned(picture, SLOW_PAN, frames)


def fast_pan(picture: Plane, other: Plane, frames: int) -> Scene:
    """The camera pans by more than a block a frame."""
    return _panned(picture, FAST_PAN, frames)


def creeping(picture: Plane, other: Plane, frames: int) -> Scene:
    """The camera's mount gives way, by a pixel in two seconds."""
    return _panned(picture, CREEP, frames)


def covering(picture: Plane, other: Plane, frames: int) -> Scene:
    """A plain surface, as a door or a van, slides over most of the scene within half of the clip, and stays."""
    height, width, _ = picture.shape
    rows, columns = np.ogrid[:height, :width]
    plain = _rounded(np.repeat((120 + rows / 16 + columns / 32)[..., None], 3, axis=2))
    edges = [min(DOOR * frame, width * 5 // 8) for frame in range(frames)]
    return np.stack([np.where(columns[..., None] < edge, plain, picture) for edge in edges])


def flickering(picture: Plane, other: Plane, frames: int) -> Scene:
    """The light flickers."""
    light = 1 + FLICKER * np.sin(2 * np.pi / PERIOD * np.arange(frames))
    return np.stack([_rounded(picture * share) for share in light])


def cut(picture: Plane, other: Plane, frames: int) -> Scene:
    """Another scene begins in the middle of the clip."""
    second = filled(other, picture.shape[1], picture.shape[0])
    return np.stack([picture if frame < frames // 2 else second for frame in range(frames)])


SCENES: dict[str, Callable[[Plane, Plane, int], Scene]] = {
    "still": still,
    "object passing": passing,
    "object leaving": leaving,
    "slow pan": slow_pan,
    "fast pan": fast_pan,
    "creeping camera": creeping,
    "plain surface": covering,
    "flickering light": flickering,
    "cut": cut,
    "rate control": still,
}
"""By kind."""


def synthetic_clips(folder: Path, pictures: int, frames: int) -> Iterator[Listed]:
    """Clips of every kind.

    Args:
        folder: with a folder of pictures for each of `PICTURES`.
        pictures: clips of each kind, each of another picture.
        frames: of a clip.

    Raises:
        SourceNotFound: a folder has no pictures; or, when a clip is made, one cannot be read.
    """
    paths = _evenly(folder, pictures)
    noises = {kind: NOISE for kind in SCENES} | {f"still, noise of {noise:g}": noise for noise in FURTHER_NOISE}
    makers = {kind: partial(_clip, frames=frames, noise=noise) for kind, noise in noises.items()}
    for path, other in zip(paths, [*paths[1:], *paths[:1]], strict=True):
        for kind, make in (makers | {f"still, {LONG} frames": _long_clip}).items():
            name = f"{kind}, {path.parent.name}/{path.stem}"
            yield Listed(name, kind, partial(make, name, kind, path, other))


def _clip(name: str, kind: str, path: Path, other: Path, frames: int, noise: float) -> Clip:
    """A clip of a picture; things of another picture, mirrored, may come into it."""
    made = SCENES.get(kind, still)(whole_mcus(load(path)), whole_mcus(load(other))[:, ::-1], frames)
    truth, covered = made if isinstance(made, tuple) else (made, None)
    return Clip(name, kind, truth, noise, covered=covered, rate=RATE if kind == "rate control" else (0,))


def _long_clip(name: str, kind: str, path: Path, other: Path) -> Clip:
    """A still scene: the middle of a picture."""
    picture = whole_mcus(middle(load(path), LONG_SIDE))
    return Clip(name, kind, still(picture, picture, LONG), NOISE)


def _evenly(folder: Path, count: int) -> list[Path]:
    """Pictures of all folders, spread evenly over each."""
    found: list[Path] = []
    for name, share in PICTURES.items():
        there = files(folder / name)
        wanted = min(len(there), round(share * count))
        found += [there[index * len(there) // wanted] for index in range(wanted)]
    return found


def _panned(picture: Plane, speed: tuple[float, float], frames: int) -> Frames:
    """What a camera sees that moves over the picture, which is continued by its mirror image without end."""
    plane = np.pad(picture, ((0, picture.shape[0]), (0, picture.shape[1]), (0, 0)), mode="symmetric")
    height, width, _ = picture.shape
    found: list[Plane] = []
    for frame in range(frames):
        shifted = _shifted(plane.astype(np.float32), frame * speed[0], 1)[:, :width]
        found.append(_rounded(_shifted(shifted, frame * speed[1], 0)[:height]))
    return np.stack(found)


def _shifted(plane: NDArray[np.float32], offset: float, axis: int) -> NDArray[np.float32]:
    """A periodic plane, moved towards its origin by cubic interpolation (Catmull and Rom)."""
    whole = int(np.floor(offset))
    t = offset - whole
    taps = (
        0.5 * (-t + 2 * t**2 - t**3),
        0.5 * (2 - 5 * t**2 + 3 * t**3),
        0.5 * (t + 4 * t**2 - 3 * t**3),
        0.5 * (t**3 - t**2),
    )
    return sum(
        (np.float32(tap) * np.roll(plane, 1 - whole - place, axis) for place, tap in enumerate(taps)),
        np.zeros((), np.float32),
    )


def _with_object(picture: Plane, other: Plane, centres: list[int]) -> tuple[Frames, Blocks]:
    """An ellipse of another picture in front of a still one, and the blocks that it covers.

    Args:
        picture: the background.
        other: what the ellipse is cut out of.
        centres: of the ellipse, in pixels from the left, frame by frame.
    """
    height, width, _ = picture.shape
    tall, wide = (min(a, b) // 6 for a, b in zip(picture.shape[:2], other.shape[:2], strict=True))
    rows, columns = np.ogrid[-tall:tall, -wide:wide]
    distance = np.hypot(rows / tall, columns / wide)
    alpha = ((1 - distance) * min(tall, wide) / EDGE).clip(0, 1).astype(np.float32)[..., None]
    cut_out = filled(other, 2 * wide, 2 * tall).astype(np.float32)
    lines = slice(height // 2 - tall, height // 2 + tall)
    truth = np.repeat(picture[None], len(centres), axis=0)
    covered = np.zeros((len(centres), height, width), np.bool_)
    for frame, hidden, centre in zip(truth, covered, centres, strict=True):
        left, right = max(centre - wide, 0), min(centre + wide, width)
        if left < right:
            part = slice(left - centre + wide, right - centre + wide)
            behind = frame[lines, left:right]
            frame[lines, left:right] = _rounded(behind + alpha[:, part] * (cut_out[:, part] - behind))
            hidden[lines, left:right] = alpha[:, part, 0] > 0
    blocks = covered.reshape(len(centres), height // 8, 8, width // 8, 8)
    return truth, np.any(blocks, axis=(2, 4)).astype(np.bool_)


def _rounded(picture: NDArray[np.floating]) -> Plane:
    return np.rint(picture).clip(0, 255).astype(np.uint8)
