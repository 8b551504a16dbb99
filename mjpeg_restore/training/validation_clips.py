"""Validation of networks that see several frames, on clips that are the same each time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.models.stream_video import State, StreamVideo
from mjpeg_restore.training.degradation import CompressedClips, compress_clips, scaled

QUALITIES = (10, 50, 75)
SIGMA = 3.0
"""Standard deviation of the noise of each of R, G and B, grey levels: it makes 2 in luma."""
FRAMES = 16
PICTURES = 6
"""Of the validation pictures: the first ones."""
PAN = (0.7, 0.3)
"""Pixels a frame, across and down."""
OBJECT = 7
"""Pixels a frame across."""


@torch.no_grad()
def clip_gains(network: nn.Module, pictures: list[NDArray[np.uint8]], device: torch.device) -> dict[str, list[float]]:
    """Mean gain in PSNR of the last frame over the same frame without a past, in dB, by component.

    Args:
        network: on `device`, in evaluation mode.
        pictures: RGB, uint8 `[height, width, 3]`, whole MCUs of 4:2:0 each.
        device: to compute on.

    Returns:
        By what moves and the quality: "still Q50", "pan Q50", "object Q50"; and "alone Q50", the gain of a frame
        without a past over the plain decode.
    """
    assert isinstance(network, StreamVideo)
    found: dict[str, list[float]] = {}
    for quality in QUALITIES:
        alone: list[list[float]] = []
        for kind in ("still", "pan", "object"):
            gains: list[list[float]] = []
            for number, truth in enumerate(_scenes(kind, pictures[:PICTURES])):
                noise = torch.Generator().manual_seed(number)
                seen = (truth + SIGMA * torch.randn(truth.shape, generator=noise)).round().clamp(0, 255)
                tables = torch.from_numpy(scaled(quality)).expand(len(truth), 1, 2, 64)
                clips = compress_clips(truth.to(device), seen.to(device), tables.to(device), (2, 2))
                gain, first = _gain(network, clips)
                gains.append(gain)
                alone.append(first)
            found[f"{kind} Q{quality}"] = np.mean(gains, axis=0).tolist()
        found[f"alone Q{quality}"] = np.mean(alone, axis=0).tolist()
    return found


def _gain(network: StreamVideo, clips: CompressedClips) -> tuple[list[float], list[float]]:
    """Of the last frame: the gain over itself without a past, and of that over the plain decode; by component."""
    last = len(clips.quantised[0]) - 1
    states = [State.empty(k[0]) for k in clips.quantised]
    components = clips.components(last)
    alone = _restored(network, states, components)
    for frame in range(last):
        states = network.remember(states, *clips.components(frame))[0]
    found = _restored(network, states, components)
    levels: list[list[float]] = []
    for places in (found, alone, components[::2]):
        errors = [
            torch.mean((place * q[last] - truth[last]) ** 2).item()
            for place, q, truth in zip(places, clips.tables, clips.original, strict=True)
        ]
        levels.append([10 * np.log10(max(error, 1e-10)) for error in errors])
    with_past, without, decoded = np.array(levels)
    return (without - with_past).tolist(), (decoded - without).tolist()


def _restored(network: StreamVideo, states: list[State], components: list[Tensor]) -> list[Tensor]:
    """A frame's restored coefficients, in steps, by component; `states` are those before it."""
    after, shares, lefts = network.remember(states, *components)
    return network.restore_from(after, shares, lefts, *components)


def _scenes(kind: str, pictures: list[NDArray[np.uint8]]) -> Iterator[Tensor]:
    """Clips without noise, float32 0..255 `[FRAMES, 1, height, width, 3]`."""
    for picture, other in zip(pictures, [*pictures[1:], pictures[0]], strict=True):
        scene = torch.from_numpy(picture.astype(np.float32))
        if kind == "still":
            yield scene.expand(FRAMES, 1, *scene.shape)
        elif kind == "pan":
            yield torch.stack([_panned(scene, frame) for frame in range(FRAMES)])[:, None]
        else:
            frames = scene.repeat(FRAMES, 1, 1, 1)
            high, wide = (min(a, b) // 3 for a, b in zip(picture.shape[:2], other.shape[:2], strict=True))
            cut_out = torch.from_numpy(other[high : 2 * high, wide : 2 * wide].astype(np.float32))
            for frame in range(FRAMES):
                left = min(OBJECT * frame, picture.shape[1] - wide)
                frames[frame, high : 2 * high, left : left + wide] = cut_out
            yield frames[:, None]


def _panned(scene: Tensor, frame: int) -> Tensor:
    """The part of a scene that a moving camera sees, in whole MCUs: resampled between pixels."""
    across, down = (frame * speed for speed in PAN)
    left, top = int(across), int(down)
    far = (across - left, down - top)
    sides = zip(scene.shape[:2], PAN[::-1], strict=True)
    high, wide = ((length - 1 - int(FRAMES * speed)) // 16 * 16 for length, speed in sides)
    part = scene[top : top + high + 1, left : left + wide + 1]
    part = part[:-1] * (1 - far[1]) + part[1:] * far[1]
    return part[:, :-1] * (1 - far[0]) + part[:, 1:] * far[0]
