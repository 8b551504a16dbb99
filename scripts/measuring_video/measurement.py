"""Restores clips with two models, through the product, and measures what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from measuring.metrics import ssim
from numpy.typing import NDArray

from measuring_video.clip import Clip, luma
from measuring_video.metrics import flicker, gain_in, levels, static, uncovered
from measuring_video.rows import Encoded, Row, marks
from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.frames import CodedPicture, Picture
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.verification import Verification, verify

TRUTH = "truth"
"""Beside the networks' names."""


@dataclass(frozen=True, slots=True)
class Restored:
    """A clip after a network."""

    pictures: list[Picture]
    computed: list[float]
    """Share of each frame that the network computed, 0..1."""

    @property
    def luma(self) -> list[NDArray[np.uint8]]:
        """Planes of luma."""
        return [picture.planes[0] for picture in self.pictures]

    @property
    def rgb(self) -> list[NDArray[np.uint8]]:
        """The frames in colour."""
        return [picture.to_ndarray("rgb") for picture in self.pictures]


def restored(restorer: Restorer, coded: Sequence[CodedPicture]) -> Restored:
    """Restore the frames of a camera in order."""
    pictures: list[Picture] = []
    computed: list[float] = []
    with restorer.stream() as stream:
        for frame in coded:
            pictures.append(stream.restore(frame))
            computed.append(stream.computed)
    return Restored(pictures, computed)


class Bench:
    """The model that is measured, the one that it is compared with, and the plain decode."""

    def __init__(self, model: Model, over: Model, device: str, threads: int | None = None) -> None:
        """Load nothing yet.

        Args:
            model: for video.
            over: what gains are over.
            device: the runtime.
            threads: of the CPU; every core by default.
        """
        self.model, self.over = model.name, over.name
        load = partial(Restorer, device=device, threads=threads)
        self.restorers = {catalogue.DECODE: load(catalogue.DECODE), self.over: load(over), self.model: load(model)}

    def measure(
        self,
        clip: Clip,
        quality: int,
        speed: Callable[[Sequence[CodedPicture]], dict[str, float]] | None = None,
        encode: Callable[[dict[str, list[Picture]], Sequence[NDArray[np.uint8]]], list[Encoded]] | None = None,
    ) -> Row:
        """Restore and measure a clip.

        Args:
            clip: the clip.
            quality: of the JPEGs.
            speed: measures frames per second by network, if wanted.
            encode: encodes restored clips and compares them with the truth's luma, if wanted.
        """
        coded = clip.coded(quality)
        by_name = {name: restored(restorer, coded) for name, restorer in self.restorers.items()}
        ours, theirs = by_name[self.model], by_name[self.over]
        truth = [luma(frame) for frame in clip.truth]
        in_luma = {name: levels(one.luma, truth) for name, one in by_name.items()}
        in_rgb = {name: levels(one.rgb, clip.truth) for name, one in by_name.items()}
        still = static(truth)
        planes = {name: one.luma for name, one in by_name.items()} | {TRUTH: truth}
        verified = {
            name: sum(map(verify, by_name[name].pictures, coded), Verification())
            for name, restorer in self.restorers.items()
            if restorer.model.projected
        }
        height, width = truth[0].shape
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
            luma_gains=_rounded(in_luma[self.model] - in_luma[self.over]),
            rgb_gains=_rounded(in_rgb[self.model] - in_rgb[self.over]),
            ssim_gains={
                str(number): round(
                    ssim(ours.luma[number - 1], truth[number - 1]) - ssim(theirs.luma[number - 1], truth[number - 1]), 5
                )
                for number in marks(len(truth))
            },
            static=round(float(still.mean()), 3),
            flicker={name: round(flicker(one, still), 3) for name, one in planes.items()} if still.any() else None,
            uncovered=None
            if clip.covered is None
            else gain_in(uncovered(clip.covered), planes[self.model], planes[self.over], truth),
            computed=round(float(np.mean(ours.computed[1:] or ours.computed)), 3),
            outside={name: found.outside for name, found in verified.items()},
            coefficients=max((found.coefficients for found in verified.values()), default=0),
            speed=speed(coded) if speed else None,
            encoded=encode({name: one.pictures for name, one in by_name.items()}, truth) if encode else None,
        )


def _rounded(gains: NDArray[np.float64]) -> list[float]:
    return np.round(gains, 3).tolist()
