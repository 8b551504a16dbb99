"""One-to-Many's and QGAC's discriminators, and their adversarial losses.

Planes are `[batch, channels, height, width]`, 0..1, grey or RGB. Logits are `[batch]`; their sigmoid is the probability
that a picture is natural.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
"""Slope of the leaky rectifiers below zero, as in DCGAN."""

UNIT_WIDTHS = (1, 2, 4, 8)
"""Filters of the four convolutional units, relative to the first unit's (table 1)."""


class Discriminator(nn.Module):
    """Table 1 of One-to-Many, both columns: four convolutional units and a logistic regression.

    A batch normalisation and a leaky rectifier follow each convolution but the last, as in the table's caption; DCGAN
    itself omits the first normalisation. The logistic regression gets the mean over the last unit's feature map, so
    that crops of any size from 16x16 up are accepted. Weights have He et al.'s uniform initialisation (section 4).
    """

    def __init__(self, channels: int, *, strides: Sequence[int], side: int, width: int = 64) -> None:
        """Lay out the convolutions; `doubled` and `dcgan` have the papers' sizes.

        Args:
            channels: of the input.
            strides: of the convolutions of each unit.
            side: of the kernels.
            width: filters of the first unit.
        """
        super().__init__()
        units: list[list[nn.Module]] = []
        before = channels
        for times in UNIT_WIDTHS:
            units.append([])
            for stride in strides:
                units[-1] += [
                    nn.Conv2d(before, times * width, side, stride, side // 2),
                    nn.BatchNorm2d(times * width),
                    nn.LeakyReLU(SLOPE),
                ]
                before = times * width
        del units[-1][-2:]  # no normalisation and rectifier after the last convolution
        self.units = nn.ModuleList(nn.Sequential(*layers) for layers in units)
        self.classifier = nn.Linear(before, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, SLOPE)

    def features(self, planes: Tensor) -> list[Tensor]:
        """Feature maps of planes after each unit, in order."""
        found = []
        signal = planes * 2 - 1
        for unit in self.units:
            signal = unit(signal)
            found.append(signal)
        return found

    def classify(self, features: list[Tensor]) -> Tensor:
        """Logits `[batch]` from the result of `features`."""
        return self.classifier(features[-1].mean(dim=(2, 3)))[:, 0]

    def forward(self, planes: Tensor) -> Tensor:
        """Logits `[batch]`: positive for natural, negative for restored pictures."""
        return self.classify(self.features(planes))


def doubled(channels: int, width: int = 64) -> Discriminator:
    """One-to-Many's discriminator: each unit has a convolution of stride 1 and one of stride 2.

    The kernel size, 3x3, is ours.
    """
    return Discriminator(channels, strides=(1, 2), side=3, width=width)


def dcgan(channels: int, width: int = 64) -> Discriminator:
    """DCGAN's discriminator, used by QGAC: each unit has a 5x5 convolution of stride 2."""
    return Discriminator(channels, strides=(2,), side=5, width=width)


def naturalness_loss(restored: Tensor) -> Tensor:
    """One-to-Many eq. 2, minimised by the proposal component: the mean of -log D(restored); from logits."""
    return functional.softplus(-restored).mean()


def discriminator_loss(natural: Tensor, restored: Tensor) -> Tensor:
    """One-to-Many eq. 3: the mean of -log D(natural) plus that of -log(1 - D(restored)); from logits."""
    return functional.softplus(-natural).mean() + functional.softplus(restored).mean()


def relativistic_discriminator_loss(natural: Tensor, restored: Tensor) -> Tensor:
    """Loss of the relativistic average discriminator (Jolicoeur-Martineau 2018), from logits.

    A natural picture should get a higher logit than the average restored one, a restored picture a lower logit than the
    average natural one.
    """
    return discriminator_loss(natural - restored.mean(), restored - natural.mean())


def relativistic_loss(natural: Tensor, restored: Tensor) -> Tensor:
    """Second term of QGAC eq. 3: the restoring network's loss against that discriminator, from logits.

    The gradient reaches the restored pictures through both of its terms, in one of them through the mean.
    """
    return discriminator_loss(restored - natural.mean(), natural - restored.mean())


@contextmanager
def fixed(module: nn.Module) -> Generator[None]:
    """Make the parameters of `module` constants within the context."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def frozen(module: nn.Module) -> Generator[None]:
    """Put `module` into evaluation mode and make its parameters constants within the context."""
    training = module.training
    module.eval()
    try:
        with fixed(module):
            yield
    finally:
        module.train(training)


@contextmanager
def judging(discriminator: Discriminator) -> Generator[None]:
    """Use batch statistics, as the discriminator's training does, but change no parameters and running statistics."""
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
