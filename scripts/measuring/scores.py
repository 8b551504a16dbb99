"""Scores of restored pictures: distance from their originals (`metrics`) and naturalness (`naturalness`)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from measuring.metrics import psnr, psnr_b, ssim
from measuring.naturalness import frechet_distance, scene_statistics
from measuring.pictures import Plane
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.restorer import Restorer

FEWEST = 2
"""Minimum number of patches to have a spread."""


def samples(restorer: Restorer, coded: CodedPicture) -> Plane:
    """The restored samples that are measured: luma of a grey picture, RGB of a colour picture."""
    return restorer.restore(coded).to_ndarray("gray" if len(coded.coefficients) == 1 else "rgb")


def judge(restored: Plane, original: Plane) -> tuple[float, float, float]:
    """PSNR in dB over all samples, PSNR-B in dB and SSIM; the latter two in colour are means over R, G and B."""
    if original.ndim == 2:
        return psnr(restored, original), psnr_b(restored, original), ssim(restored, original)
    pairs = [(np.ascontiguousarray(restored[..., c]), np.ascontiguousarray(original[..., c])) for c in range(3)]
    blocky, similar = (float(np.mean([measure(*pair) for pair in pairs])) for measure in (psnr_b, ssim))
    return psnr(restored, original), blocky, similar


def statistics(planes: Iterable[Plane]) -> NDArray[np.float64]:
    """Scene statistics of all patches of luma planes: `[patches, features]`."""
    return np.concatenate([scene_statistics(plane) for plane in planes])


def unnaturalness(restored: Iterable[Plane], natural: NDArray[np.float64]) -> float | None:
    """Distance of luma planes from the originals' statistics `natural`; None if the originals have too few patches."""
    return frechet_distance(statistics(restored), natural) if len(natural) >= FEWEST else None
