"""How cameras and objects move, and what a moving camera sees of a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

STOP_ODDS, START_ODDS, TURN_ODDS = 0.15, 0.15, 0.15
"""Probabilities that what moves comes to rest, sets off or changes its direction within a clip."""

PAN_SPEEDS = (0.05, 20.0)
"""Slowest and fastest pan, pixels a frame."""
PAN_ODDS = 0.7
WHOLE_ODDS = 0.25
"""Probability that a camera keeps to whole pixels: its scene is as sharp as a still one."""
ZOOM_ODDS, ZOOM_RATE = 0.2, 0.015
"""Probability and largest rate of a zoom, in natural logarithms a frame."""
ROLL_ODDS, ROLL_RATE = 0.2, 0.02
"""Probability and largest rate of a rotation about the optical axis, in radians a frame."""
SHAKE_ODDS = 0.4
"""Probability of a hand's shake; a camera with no other motion always shakes."""
SHAKES = (0.1, 3.0)
"""Smallest and largest amplitude of a shake, in pixels."""
WIDEST = 1.25
"""Largest scale of a picture at the start, in its pixels per pixel of the frame. Above 1 it makes up for the sharpness
that resampling costs; much above 1 it would alias."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where a camera is, frame by frame, relative to a picture."""

    position: NDArray[np.float64]
    """x and y of the frame's centre relative to the picture's, in pixels of the frame, `[frames, clips, 2]`."""
    scale: NDArray[np.float64]
    """Pixels of the picture per pixel of the frame, `[frames, clips]`."""
    angle: NDArray[np.float64]
    """Of the camera, clockwise, radians, `[frames, clips]`."""


def view(pictures: Tensor, path: Path, side: int, padding: str) -> Tensor:
    """What a camera sees along a path, by bicubic interpolation.

    Args:
        pictures: float32 `[clips, channels, height, height]`; height is even if and only if `side` is.
        path: of the camera of each clip.
        side: of a frame.
        padding: beyond a picture's border: "reflection" or "zeros".

    Returns:
        float32 `[frames, clips, side, side, channels]`.
    """
    frames, clips = path.scale.shape
    cosine, sine = path.scale * np.cos(path.angle), path.scale * np.sin(path.angle)
    x, y = path.position[..., 0], path.position[..., 1]
    # A row for each coordinate of the picture: its dependence on a pixel's column, on its row, and a constant.
    affine = np.stack([cosine, -sine, cosine * x - sine * y, sine, cosine, sine * x + cosine * y])
    affine *= 2 / (pictures.shape[-1] - 1)  # the picture's outer pixels lie at -1 and 1
    rows = torch.from_numpy(affine.astype(np.float32)).to(pictures.device).reshape(2, 3, frames, clips)
    pixel = torch.arange(side, device=pictures.device) - (side - 1) / 2
    across, down, constant = rows.permute(1, 3, 2, 0)[..., None, None, :].unbind(0)  # [clips, frames, 1, 1, 2]
    grid = across * pixel[:, None] + down * pixel[:, None, None] + constant
    seen = functional.grid_sample(
        pictures, grid.flatten(1, 2), mode="bicubic", padding_mode=padding, align_corners=True
    )
    return seen.unflatten(2, (frames, side)).permute(2, 0, 3, 4, 1)


def log_uniform(limits: tuple[float, float], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw numbers whose logarithms are uniform: float64 `[count]`."""
    low, high = limits
    return low * (high / low) ** rng.random(count)


def travelled(times: NDArray[np.int64], speeds: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The way that each of several movers has gone: x and y, float64 `[frames, movers, 2]`.

    Most keep their velocity; some stop, set off or turn.

    Args:
        times: of the frames, `[frames, movers]`.
        speeds: in pixels a frame, `[movers]`.
        rng: draws directions and changes.
    """
    movers = len(speeds)
    heading = rng.uniform(0, 2 * np.pi, movers)
    turned = heading + rng.uniform(np.pi / 4, 7 * np.pi / 4, movers)
    moment = rng.uniform(0, times[-1], movers)
    change = rng.choice(4, movers, p=[1 - STOP_ODDS - START_ODDS - TURN_ODDS, STOP_ODDS, START_ODDS, TURN_ODDS])
    first = np.where(change == 2, 0, speeds)
    second = np.where(change == 1, 0, speeds)
    later = np.where(change == 3, turned, heading)
    before, after = np.minimum(times, moment), np.maximum(times - moment, 0)
    return (before * first)[..., None] * directions(heading) + (after * second)[..., None] * directions(later)


def directions(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors, x and y: `[..., 2]`."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def shaken(times: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A hand's or a mast's shake: three oscillations in each direction, float64 `[frames, clips, 2]`."""
    clips = times.shape[1]
    amplitude = log_uniform(SHAKES, clips, rng)[:, None, None]
    cycles, phase = rng.uniform(0.03, 0.45, (clips, 2, 3)), rng.random((clips, 2, 3))
    waves = np.sin(2 * np.pi * (cycles * times[..., None, None] + phase))
    return (amplitude * waves / np.sqrt(3)).sum(axis=-1)


def camera_paths(times: NDArray[np.int64], rng: np.random.Generator) -> Path:
    """Draw cameras that pan, zoom, roll or shake.

    Args:
        times: of the frames, `[frames, clips]`.
        rng: draws them.
    """
    clips = times.shape[1]
    pans, zooms, rolls, whole = (rng.random(clips) < odds for odds in (PAN_ODDS, ZOOM_ODDS, ROLL_ODDS, WHOLE_ODDS))
    shakes = (rng.random(clips) < SHAKE_ODDS) | ~(pans | zooms | rolls)
    position = travelled(times, pans * log_uniform(PAN_SPEEDS, clips, rng), rng)
    position -= (position[:1] + position[-1:]) / 2
    position += shakes[:, None] * shaken(times, rng)
    position = np.where(whole[:, None], np.rint(position), position)
    zooms, rolls = zooms & ~whole, rolls & ~whole
    rate, turn = zooms * rng.uniform(-ZOOM_RATE, ZOOM_RATE, clips), rolls * rng.uniform(-ROLL_RATE, ROLL_RATE, clips)
    start = np.where(whole, 1, rng.uniform(1, WIDEST, clips))
    return Path(position, start * np.exp(rate * times), turn * times)
