"""The discriminators, and the losses of a contest between one and a network: One-to-Many's, QGAC's.

Planes are `[batch, channels, height, width]` of 0..1, grey or RGB; logits are `[batch]`, and the probability of
"natural" is their sigmoid.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
"""Of the leaky rectifiers below zero, as in DCGAN."""

UNIT_WIDTHS = (1, 2, 4, 8)
"""Filters of the four convolutional units, in units of the first one's (table 1)."""


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


@contextmanager
def fixed(module: nn.Module) -> Generator[None]:
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
        with fixed(module):
            yield
    finally:
        module.train(training)


@contextmanager
def judging(discriminator: Discriminator) -> Generator[None]:
    """The discriminator as it is trained, normalising by the batch at hand, but learning and remembering nothing."""
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        with fixed(discriminator):
            yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
