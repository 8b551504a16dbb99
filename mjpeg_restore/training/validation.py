"""Validation during training: PSNR gain over the plain decode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.planes import to_grid
from mjpeg_restore.training.degradation import LIMITED, Compressed, Degradation, compress, scaled
from mjpeg_restore.training.objectives import planes

QUALITIES = (10, 20, 40, 80)
"""Qualities at which networks are validated; a network for other qualities is validated at its lowest."""

Restore = Callable[[nn.Module, Compressed], tuple[list[Tensor], list[Tensor]]]
"""Restores a batch; returns restored and original planes, as `objectives.planes` does."""


def validation_qualities(qualities: tuple[int, int] | None) -> list[int]:
    """The validation qualities of a network whose range is `qualities`, first and last; None for all."""
    first, last = qualities or (1, 100)
    return [quality for quality in QUALITIES if first <= quality <= last] or [first]


def gains_by_quality(
    network: nn.Module,
    pictures: list[NDArray[np.uint8]],
    degradation: Degradation,
    device: torch.device,
    restore: Restore = planes,
) -> dict[str, list[float]]:
    """`gains` at the validation qualities of a network that is trained for a degradation, by "Q10" and so on."""
    return {
        f"Q{quality}": gains(network, pictures, quality, colour=degradation.colour, device=device, restore=restore)
        for quality in validation_qualities(degradation.qualities)
    }


@torch.no_grad()
def gains(
    network: nn.Module,
    pictures: list[NDArray[np.uint8]],
    quality: int,
    *,
    colour: bool,
    device: torch.device,
    restore: Restore = planes,
) -> list[float]:
    """Mean PSNR gain over the plain decode in dB, by component.

    Chroma that the network restores at luma's size is compared with the original's there, and so is the decode's,
    interpolated.

    Args:
        network: on `device`, in evaluation mode.
        pictures: RGB, whole MCUs each, uint8 `[height, width, 3]`.
        quality: IJG quality. Grey pictures have limited-range luma, as in the published figures; colour pictures have
            full range and 4:2:0.
        colour: whether chroma is compressed too.
        device: to compute on.
        restore: replaces `planes` for a network with further inputs.
    """
    tables = torch.from_numpy(scaled(quality)[None]).to(device)
    contrast = torch.full((1,), 1.0 if colour else LIMITED, device=device)
    decode = Decode().to(device)
    found = []
    for picture in pictures:
        rgb = torch.from_numpy(picture[None]).to(device)
        coded = compress(rgb, tables, (2, 2) if colour else None, contrast)
        restored, original = restore(network, coded)
        decoded = [
            to_grid(plane[:, None], *truth.shape[1:])[:, 0]
            for plane, truth in zip(planes(decode, coded)[0], original, strict=True)
        ]
        errors = [
            [torch.mean((plane - truth) ** 2).clamp_min(1e-10) for plane, truth in zip(side, original, strict=True)]
            for side in (decoded, restored)
        ]
        found.append([10 * torch.log10(a / b).item() for a, b in zip(*errors, strict=True)])
    return np.mean(found, axis=0).tolist()
