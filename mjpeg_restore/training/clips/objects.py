"""Objects that move in front of a scene: cut-outs of other pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.training.clips.motion import Path, directions, log_uniform, travelled, view

MOST = 3
"""Largest number of objects in a clip."""
SPEEDS = (0.2, 12.0)
"""Slowest and fastest object, pixels a frame."""
RADII = (5.0, 32.0)
"""Smallest and largest, in pixels."""
ELLIPSE_ODDS = 0.4
"""Probability of an ellipse; the others have random outlines."""
ROUGHNESS = 0.6
"""How much a random outline departs from an ellipse, relative to its radius."""
EDGES = (1.0, 4.0)
"""Narrowest and widest edge, in pixels."""
SHADOW_ODDS = 0.4
SHADOW_EDGES = (3.0, 10.0)
"""Narrowest and widest edge of a shadow, in pixels."""
DARKEST = 0.6
"""Largest share of the light that a shadow takes."""
SPIN_ODDS, SPIN = 0.2, 0.03
"""Probability and largest rate of a rotation, in radians a frame."""
GROWTH_ODDS, GROWTH = 0.2, 0.03
"""Probability and largest rate of coming nearer or going away, in natural logarithms a frame."""
MARGIN = 8
"""Width of the border of a cut-out's picture in which the mask fades to zero, in pixels."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The outlines of several cut-outs."""

    radii: Tensor
    """Along both axes, in pixels, float32 `[count, 2]`."""
    angle: Tensor
    """Of the first axis, radians, float32 `[count]`."""
    roughness: Tensor
    """`ROUGHNESS`, or 0 for an ellipse, float32 `[count]`."""
    noise: Tensor
    """Smooth noise, -1..1, float32 `[count, 1, 8, 8]`; the inner half of its sides is the ellipse's box."""

    def mask(self, side: int, centre: Tensor, edge: Tensor) -> Tensor:
        """Masks, 0..1: float32 `[count, side, side]`.

        Args:
            side: of a mask.
            centre: x and y relative to the mask's centre, in pixels, `[count, 2]`.
            edge: width of the edge, in pixels, `[count]`.
        """
        pixel = torch.arange(side, device=edge.device) - (side - 1) / 2
        x, y = pixel - centre[:, 0, None, None], pixel[:, None] - centre[:, 1, None, None]
        cosine, sine = self.angle.cos()[:, None, None], self.angle.sin()[:, None, None]
        axes = torch.stack([cosine * x + sine * y, cosine * y - sine * x], dim=-1) / self.radii[:, None, None]
        noise = functional.grid_sample(self.noise, axes / 2, padding_mode="border", align_corners=True)[:, 0]
        inside = 1 - axes.norm(dim=-1) + self.roughness[:, None, None] * noise
        return (0.5 + inside * (self.radii.amin(dim=1) / edge)[:, None, None]).clamp(0, 1)


def draw_shapes(count: int, rng: np.random.Generator, device: torch.device) -> Shape:
    """Draw outlines: ellipses, and blobs made of an ellipse and smooth noise."""
    longer = log_uniform(RADII, count, rng)
    radii = np.stack([longer, longer * rng.uniform(0.4, 1, count)], axis=1)
    roughness = np.where(rng.random(count) < ELLIPSE_ODDS, 0, ROUGHNESS)
    noise = np.clip(rng.normal(0, 0.6, (count, 1, 8, 8)), -1, 1)
    return Shape(*(on(device, item) for item in (radii, rng.uniform(0, np.pi, count), roughness, noise)))


def on(device: torch.device, array: NDArray[np.float64]) -> Tensor:
    """An array as a float32 tensor on a device."""
    return torch.from_numpy(array.astype(np.float32)).to(device)


def cut_outs(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Cut objects out of pictures.

    Args:
        pictures: RGB, uint8 `[count, side, side, 3]`.
        rng: draws outlines and shadows.

    Returns:
        float32 `[count, 5, side, side]`: red, green, blue, the mask, and the share of the light that a shadow takes.
    """
    count, side = pictures.shape[:2]
    device = pictures.device
    shapes = draw_shapes(count, rng, device)
    mask = shapes.mask(side, torch.zeros(count, 2, device=device), on(device, rng.uniform(*EDGES, count)))
    towards = directions(rng.uniform(0, 2 * np.pi, count)) * rng.uniform(0.2, 0.7, (count, 1))
    away = on(device, towards) * shapes.radii.amax(dim=1, keepdim=True)
    shadow = shapes.mask(side, away, on(device, rng.uniform(*SHADOW_EDGES, count)))
    shadow *= on(device, (rng.random(count) < SHADOW_ODDS) * rng.uniform(0.15, DARKEST, count))[:, None, None]
    # Zero at the border, twice over for the reach of the interpolation: beyond it, an object leaves no trace.
    pixel = torch.arange(side, device=device)
    fade = ((pixel.minimum(pixel.flip(0)) - 1) / MARGIN).clamp(0, 1)
    layers = torch.stack([mask, shadow], dim=1) * (fade * fade[:, None])
    return torch.cat([pictures.permute(0, 3, 1, 2).float(), layers], dim=1)


def object_paths(times: NDArray[np.int64], side: int, rng: np.random.Generator) -> Path:
    """Draw the ways of objects, each through some point of the frame at some time: a camera's relative to the object.

    Args:
        times: of the frames, `[frames, objects]`.
        side: of a frame.
        rng: draws them.
    """
    frames, count = times.shape
    way = travelled(times, log_uniform(SPEEDS, count, rng), rng)
    way -= way[rng.integers(frames, size=count), np.arange(count)]
    way += rng.uniform(-side / 2, side / 2, (count, 2))
    spin = (rng.random(count) < SPIN_ODDS) * rng.uniform(-SPIN, SPIN, count)
    growth = (rng.random(count) < GROWTH_ODDS) * rng.uniform(-GROWTH, GROWTH, count)
    return Path(-way, np.exp(-growth * times), spin * times)


def place_objects(scenes: Tensor, numbers: NDArray[np.int64], layers: Tensor) -> None:
    """Put objects and their shadows in front of scenes, in place. What no object covers stays as it is, exactly.

    Args:
        scenes: RGB, float32 `[frames, clips, side, side, 3]`.
        numbers: of objects in each clip, `[clips]`.
        layers: what the camera sees of each object, float32 `[frames, sum of numbers, side, side, 5]`.
    """
    firsts = np.cumsum(numbers) - numbers
    for rank in range(int(numbers.max(initial=0))):
        clips = np.flatnonzero(numbers > rank)
        colours, mask, shade = layers[:, firsts[clips] + rank].split((3, 1, 1), dim=-1)
        shaded = scenes[:, clips] * (1 - shade.clamp(0, 1))
        scenes[:, clips] = torch.lerp(shaded, colours, mask.clamp(0, 1))


def with_objects(
    scenes: Tensor, times: NDArray[np.int64], numbers: NDArray[np.int64], pictures: Tensor, rng: np.random.Generator
) -> None:
    """Let objects move in front of scenes, in place.

    Args:
        scenes: RGB, float32 `[frames, clips, side, side, 3]`.
        times: of the frames, `[frames, clips]`.
        numbers: of objects in each clip, `[clips]`.
        pictures: to cut the objects out of, uint8 `[sum of numbers, height, height, 3]`; height is even if and only
            if side is.
        rng: draws outlines, shadows and ways.
    """
    side = scenes.shape[2]
    paths = object_paths(times.repeat(numbers, axis=1), side, rng)
    place_objects(scenes, numbers, view(cut_outs(pictures, rng), paths, side, "zeros"))
