"""Restores clips with two models, through the product, and measures what comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from measuring.metrics import ssim
from measuring.pictures import Plane
from numpy.typing import NDArray

from measuring_video.clip import Clip, luma
from measuring_video.metrics import FEWEST, flicker, levels, pooled_gain, static, uncovered, unrest
from measuring_video.rows import Row, marks
from measuring_video.speed import frames_per_second
from measuring_video.storage import curves
from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.verification import Verification, verify

TRUTH = "truth"
"""Its name beside those of the networks."""

Planes = list[Plane]
"""Luma, frame by frame."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A clip after a network."""

    pictures: list[Picture]
    computed: list[float]
    """Share of each frame that the network computed, 0..1."""

    @property
    def luma(self) -> Planes:
        """Luma, frame by frame."""
        return [picture.planes[0] for picture in self.pictures]

    @property
    def rgb(self) -> list[Plane]:
        """Colours, frame by frame."""
        return [picture.to_ndarray("rgb") for picture in self.pictures]

    def outside(self, coded: Sequence[CodedPicture]) -> int:
        """Coefficients outside their cell, for no reason that `verification` knows."""
        return sum(map(verify, self.pictures, coded), Verification()).outside


def restored(restorer: Restorer, coded: Sequence[CodedPicture]) -> Restored:
    """Restore the frames of a camera in order."""
    pictures: list[Picture] = []
    computed: list[float] = []
    with restorer.stream() as stream:
        for frame in coded:
            pictures.append(stream.restore(frame))
            computed.append(1.0 if stream.computed is None else stream.computed)
    return Restored(pictures, computed)


class Bench:
    """The model that is measured, the one that it is compared with, and the plain decode."""

    def __init__(self, model: Model, over: Model, device: str, threads: int) -> None:
        """Load nothing yet.

        Args:
            model: for video.
            over: what gains are over.
            device: the runtime.
            threads: of the CPU.
        """
        self.model, self.over, self.device, self.threads = model, over, device, threads
        models = (catalogue.find(catalogue.DECODE), over, model)
        self.restorers = {one.name: Restorer(one, device, threads=threads) for one in models}

    def measure(self, clip: Clip, quality: int, *, speed: bool = False, storage: bool = False) -> Row:
        """Restore and measure a clip.

        Args:
            clip: the clip.
            quality: of the JPEGs.
            speed: measure frames per second, too.
            storage: encode the restored clips, too.
        """
        model, over = self.model.name, self.over.name
        jpegs = clip.jpegs(quality)
        coded = [read(data) for data in jpegs]
        clips = {name: restored(restorer, coded) for name, restorer in self.restorers.items()}
        truth = [luma(frame) for frame in clip.truth]
        planes = {name: one.luma for name, one in clips.items()}
        in_luma = {name: levels(one, truth) for name, one in planes.items()}
        in_rgb = {name: levels(one.rgb, [*clip.truth]) for name, one in clips.items()}
        still = static(truth)
        height, width = still.shape
        return Row(
            clip=clip.name,
            kind=clip.kind,
            quality=quality,
            frames=len(truth),
            size=f"{width}x{height}",
            noise=clip.noise,
            held_out=clip.held_out,
            luma={name: round(float(found.mean()), 3) for name, found in in_luma.items()},
            rgb={name: round(float(found.mean()), 3) for name, found in in_rgb.items()},
            luma_gains=np.round(in_luma[model] - in_luma[over], 3).tolist(),
            rgb_gains=np.round(in_rgb[model] - in_rgb[over], 3).tolist(),
            ssim_gains=_ssim_gains(planes[model], planes[over], truth),
            static=round(float(still.mean()), 3),
            flicker=_where_still(flicker, planes | {TRUTH: truth}, still),
            unrest=_where_still(unrest, planes | {TRUTH: truth}, still),
            uncovered=_uncovered(clip, planes[model], planes[over], truth),
            computed=round(float(np.mean(clips[model].computed[1:] or 1.0)), 3),
            outside={name: one.outside(coded) for name, one in clips.items() if self.restorers[name].model.projected},
            speed=self._speed(jpegs) if speed else None,
            encoded=curves({name: one.pictures for name, one in clips.items()}, truth) if storage else None,
        )

    def _speed(self, jpegs: Sequence[bytes]) -> dict[str, float]:
        """Frames per second of both models, in turn on the same machine."""
        both = (self.over, self.model)
        return {one.name: round(frames_per_second(one, jpegs, self.device, self.threads), 2) for one in both}


def _ssim_gains(pictures: Planes, others: Planes, truth: Planes) -> dict[str, float]:
    """Gain in SSIM over other pictures, by the number of the frame."""
    return {
        str(number): round(ssim(ours, right) - ssim(theirs, right), 5)
        for number, (ours, theirs, right) in enumerate(zip(pictures, others, truth, strict=True), 1)
        if number in marks(len(truth))
    }


def _where_still(
    figure: Callable[[Planes, NDArray[np.bool_]], float], planes: Mapping[str, Planes], still: NDArray[np.bool_]
) -> dict[str, float] | None:
    """A figure by network where the truth is still; None if it is nowhere, or if there are too few frames."""
    if len(planes[TRUTH]) < FEWEST or not still.any():
        return None
    return {name: round(figure(one, still), 3) for name, one in planes.items()}


def _uncovered(clip: Clip, pictures: Planes, others: Planes, truth: Planes) -> float | None:
    """Gain over other pictures where an object has just left; None where there is no object."""
    blocks = None if clip.covered is None else uncovered(clip.covered)
    return None if blocks is None or not blocks.any() else round(pooled_gain(blocks, pictures, others, truth), 3)
