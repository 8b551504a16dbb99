"""Distances between pictures by features that see more than samples: what both papers' GANs are trained with.

The papers take a network trained on photographs (`backbones`); `DiscriminatorFeatures` stands in for it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.training.discriminator import Discriminator, frozen

SOFTENING = 1e-6
"""Added to a squared distance, so that its root has a gradient where two are the same."""


class FeatureExtractor(Protocol):
    """What sees more in planes than samples."""

    def features(self, planes: Tensor) -> list[Tensor]:
        """One map or more of planes `[batch, 1 or 3, height, width]` of 0..1; differentiable."""
        ...


def perceptual_loss(extractor: FeatureExtractor, restored: Tensor, original: Tensor) -> Tensor:
    """One-to-Many eq. 1: squared distance of features over their size; of planes. Over several maps, the mean."""
    pairs = _features_of_both(extractor, restored, original)
    return torch.stack([functional.mse_loss(ours, theirs) for ours, theirs in pairs]).mean()


def energy_score(extractor: FeatureExtractor, restored: Tensor, another: Tensor, original: Tensor) -> Tensor:
    """How well two candidates stand for all that the original may have been; of planes. Over several maps, the mean.

    The energy score (Gneiting and Raftery 2007, section 4.3, with two samples) of the features at each place: their
    distance from the original's, less half of that between the candidates. It is least, on average, where a place's
    features are drawn as the originals' are, and so as far from one another as from the original. A distance alone is
    least where all candidates are the same. In neither paper.
    """
    with torch.no_grad():
        truth = extractor.features(original)
    first, second = extractor.features(restored), extractor.features(another)
    scores = [
        (_distance(a, t) + _distance(b, t) - _distance(a, b)) / 2 for a, b, t in zip(first, second, truth, strict=True)
    ]
    return torch.stack(scores).mean()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Root mean square over the channels of the difference, averaged over places and maps."""
    return torch.sqrt((a.float() - b.float()).square().mean(dim=1) + SOFTENING).mean()


class Patches:
    """Samples as features: each patch of 4x4 is a place, its samples are channels, in units of a tenth of the range."""

    def features(self, planes: Tensor) -> list[Tensor]:
        """`[batch, channels, height, width]` to `[batch, 16 channels, height / 4, width / 4]`."""
        return [10 * functional.pixel_unshuffle(planes, 4)]


def texture_loss(extractor: FeatureExtractor, restored: Tensor, original: Tensor) -> Tensor:
    """QGAC eq. 2: L1 distance of features, averaged; of planes. Over several maps, the mean."""
    pairs = _features_of_both(extractor, restored, original)
    return torch.stack([functional.l1_loss(ours, theirs) for ours, theirs in pairs]).mean()


def _features_of_both(extractor: FeatureExtractor, restored: Tensor, original: Tensor) -> list[tuple[Tensor, Tensor]]:
    with torch.no_grad():
        theirs = extractor.features(original)
    return list(zip(extractor.features(restored), theirs, strict=True))


class DiscriminatorFeatures:
    """The stand-in for a trained backbone: what the units of the discriminator make of planes, while it is trained.

    In neither paper. The discriminator learns nothing from it: its weights count as constants, and its normalisations
    use their running statistics and leave them alone.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        self.discriminator = discriminator

    def features(self, planes: Tensor) -> list[Tensor]:
        """The maps of all units."""
        with frozen(self.discriminator):
            return self.discriminator.features(planes)
