"""What judges a texture: discriminators, adversarial losses, distances between features, the JPEG loss.

Two papers train with these: One-to-Many (Guo and Chao 2017, section 3.3), throughout, and QGAC (Ehrlich et al. 2020,
section 3.4), in its third stage. Planes are `[batch, channels, height, width]` of 0..1, grey or RGB; logits are
`[batch]`, and a discriminator's probability of "natural" is their sigmoid.

| loss | here | weight in its paper |
|---|---|---|
| One-to-Many eq. 1, perceptual | `perceptual_loss(vgg(), ...)` | 1 |
| ours, in its place with --short | `energy_score(...)` | - |
| eq. 2, naturalness; eq. 3, the discriminator's own | `naturalness_loss`, `discriminator_loss` | ours |
| eq. 6, JPEG | `jpeg_loss` | ours; 0 for crops off the block grid |
| QGAC eq. 2, texture | `texture_loss(minc(...), ...)` | 1 |
| eq. 3, relativistic average | `relativistic_loss`, `relativistic_discriminator_loss` | 5e-3 |

Where neither VGG's nor MINC's weights can be had, `DiscriminatorFeatures` stands in for them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
"""Of the leaky rectifiers below zero, as in DCGAN."""

UNIT_WIDTHS = (1, 2, 4, 8)
"""Filters of the four convolutional units, in units of the first one's (table 1)."""

SOFTENING = 1e-6
"""Added to a squared distance, so that its root has a gradient where two are the same."""


class Discriminator(nn.Module):
    """Table 1 of One-to-Many, both columns: four convolutional units and a logistic regression.

    After each convolution but the last come a batch normalisation and a leaky rectifier, as the table's caption has it;
    DCGAN itself leaves the first one's normalisation out. The logistic regression sees the mean over the last unit's
    map, so that crops of any size from 16x16 up are judged. Weights start at He et al.'s uniform numbers (section 4).
    """

    def __init__(self, channels: int, *, strides: Sequence[int], side: int, width: int = 64) -> None:
        """Lay out the convolutions; `doubled` and `dcgan` know the papers' numbers.

        Args:
            channels: of the planes, 1 or 3.
            strides: of the convolutions of each unit.
            side: of the kernels.
            width: filters of the first unit.
        """
        super().__init__()
        self.units = nn.ModuleList()
        before = channels
        for times in UNIT_WIDTHS:
            layers: list[nn.Module] = []
            for stride in strides:
                layers += [
                    nn.Conv2d(before, times * width, side, stride, side // 2),
                    nn.BatchNorm2d(times * width),
                    nn.LeakyReLU(SLOPE),
                ]
                before = times * width
            self.units.append(nn.Sequential(*layers))
        self.units[-1] = self.units[-1][:-2]  # the last convolution stands bare
        self.classifier = nn.Linear(before, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, SLOPE)

    def features(self, planes: Tensor) -> list[Tensor]:
        """What each unit makes of planes, from the first unit to the last."""
        found = []
        signal = planes * 2 - 1
        for unit in self.units:
            signal = unit(signal)
            found.append(signal)
        return found

    def classify(self, features: list[Tensor]) -> Tensor:
        """Logits `[batch]` from what `features` gave."""
        return self.classifier(features[-1].mean(dim=(2, 3)))[:, 0]

    def forward(self, planes: Tensor) -> Tensor:
        """Logits `[batch]`: above zero is natural, below is restored."""
        return self.classify(self.features(planes))


def doubled(channels: int, width: int = 64) -> Discriminator:
    """One-to-Many's discriminator: a convolution of stride 1, then one of stride 2, in each unit.

    The size of its filters, 3x3, is ours.
    """
    return Discriminator(channels, strides=(1, 2), side=3, width=width)


def dcgan(channels: int, width: int = 64) -> Discriminator:
    """DCGAN's discriminator, which QGAC takes: a 5x5 convolution of stride 2 in each unit."""
    return Discriminator(channels, strides=(2,), side=5, width=width)


def naturalness_loss(restored: Tensor) -> Tensor:
    """One-to-Many eq. 2: the mean of -log D(restored), of logits; the proposal component's."""
    return functional.softplus(-restored).mean()


def discriminator_loss(natural: Tensor, restored: Tensor) -> Tensor:
    """One-to-Many eq. 3: the mean of -log D(natural) and that of -log(1 - D(restored)), added; of logits."""
    return functional.softplus(-natural).mean() + functional.softplus(restored).mean()


def relativistic_discriminator_loss(natural: Tensor, restored: Tensor) -> Tensor:
    """The relativistic average discriminator's loss (Jolicoeur-Martineau 2018), of logits.

    Natural pictures should look more natural than restored ones do on average, and the other way round.
    """
    return discriminator_loss(natural - restored.mean(), restored - natural.mean())


def relativistic_loss(natural: Tensor, restored: Tensor) -> Tensor:
    """QGAC eq. 3, its second term: what the restoring network minimises against that discriminator, of logits.

    Its gradient reaches the restored pictures through both terms, through the mean in one of them.
    """
    return discriminator_loss(restored - natural.mean(), natural - restored.mean())


def jpeg_loss(restored: Tensor, quantised: Tensor, table: Tensor) -> Tensor:
    """One-to-Many eq. 6: how far coefficients lie outside the range that eq. 5 gives them, squared, on average.

    The range is the quantisation cell, from (k - 1/2) q to (k + 1/2) q; inside it nothing is lost. A truncated
    loss, the text says, over the size of the picture; the square of the distance is ours, in squared grey levels, as a
    squared error of pixels is (Parseval).

    Args:
        restored: dequantised DCT coefficients of the restored picture, `[batch, high, wide, 64]`.
        quantised: those of the JPEG, `[batch, high, wide, 64]`.
        table: `[batch, 64]`.
    """
    steps = table[:, None, None]
    outside = functional.relu((restored - quantised * steps).abs() - steps / 2)
    return outside.square().mean()


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


@contextmanager
def constant(module: nn.Module) -> Generator[None]:
    """Within it, the parameters of `module` are constants."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def frozen(module: nn.Module) -> Generator[None]:
    """Within it, `module` is in its evaluation mode and its parameters are constants."""
    training = module.training
    module.eval()
    try:
        with constant(module):
            yield
    finally:
        module.train(training)
