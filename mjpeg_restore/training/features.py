"""Feature losses: distances between pictures in a network's feature maps, used to train both papers' GANs.

The papers take the features of a network trained on photographs (`backbones`); `DiscriminatorFeatures` can replace it.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mjpeg_restore.training.discriminator import Discriminator, frozen

SOFTENING = 1e-6
"""Added to a squared distance, so that its root has a finite gradient at zero."""


class FeatureExtractor(Protocol):
    """Computes feature maps of pictures."""

    def features(self, planes: Tensor) -> list[Tensor]:
        """One or more feature maps of planes `[batch, 1 or 3, height, width]`, 0..1; differentiable."""
        ...


def perceptual_loss(extractor: FeatureExtractor, restored: Tensor, original: Tensor) -> Tensor:
    """One-to-Many eq. 1: mean squared distance of the features of two pictures, averaged over the maps."""
    pairs = _features_of_both(extractor, restored, original)
    return torch.stack([functional.mse_loss(ours, theirs) for ours, theirs in pairs]).mean()


def energy_score(extractor: FeatureExtractor, restored: Tensor, another: Tensor, original: Tensor) -> Tensor:
    """How well two candidates sample the distribution of possible originals, averaged over the maps; in neither paper.

    The energy score (Gneiting and Raftery 2007, section 4.3, with two samples) of the features at each position: their
    mean distance from the original's, minus half the distance between the candidates. Its expectation is lowest if the
    candidates' features have the distribution of the originals', so that they are as far from one another as from the
    original. A distance without the second term is lowest if all candidates are the same.
    """
    with torch.no_grad():
        truth = extractor.features(original)
    first, second = extractor.features(restored), extractor.features(another)
    scores = [
        (_distance(a, t) + _distance(b, t) - _distance(a, b)) / 2 for a, b, t in zip(first, second, truth, strict=True)
    ]
    return torch.stack(scores).mean()


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Root mean square of the difference over the channels, averaged over positions and the batch."""
    return torch.sqrt((a.float() - b.float()).square().mean(dim=1) + SOFTENING).mean()


class Patches:
    """Samples as features: a position for each patch of 4x4, with its samples as channels, in tenths of the range."""

    def features(self, planes: Tensor) -> list[Tensor]:
        """`[batch, channels, height, width]` to `[batch, 16 channels, height / 4, width / 4]`."""
        return [10 * functional.pixel_unshuffle(planes, 4)]


def texture_loss(extractor: FeatureExtractor, restored: Tensor, original: Tensor) -> Tensor:
    """QGAC eq. 2: mean absolute distance of the features of two pictures, averaged over the maps."""
    pairs = _features_of_both(extractor, restored, original)
    return torch.stack([functional.l1_loss(ours, theirs) for ours, theirs in pairs]).mean()


def _features_of_both(extractor: FeatureExtractor, restored: Tensor, original: Tensor) -> list[tuple[Tensor, Tensor]]:
    with torch.no_grad():
        theirs = extractor.features(original)
    return list(zip(extractor.features(restored), theirs, strict=True))


class DiscriminatorFeatures:
    """The feature maps of the discriminator in training, as a substitute for a trained backbone; in neither paper.

    The discriminator learns nothing from such a loss: its weights are constants, and its normalisations use their
    running statistics without updating them.
    """

    def __init__(self, discriminator: Discriminator) -> None:
        self.discriminator = discriminator

    def features(self, planes: Tensor) -> list[Tensor]:
        """The feature maps of all units."""
        with frozen(self.discriminator):
            return self.discriminator.features(planes)
