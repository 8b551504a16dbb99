"""The papers' adversarial objectives: a network against a discriminator that learns beside it.

Both judge RGB at luma's size, or luma alone. Where no backbone trained on photographs is to be had, `backbone` is None,
and the features of the discriminator itself stand in for it (`DiscriminatorFeatures`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mjpeg_restore.models.planes import to_luma_grid
from mjpeg_restore.training import adversary
from mjpeg_restore.training.adversary import Discriminator, DiscriminatorFeatures, FeatureExtractor
from mjpeg_restore.training.degradation import Compressed
from mjpeg_restore.training.objectives import PlaneLoss, absolute_error, coefficients, planes
from mjpeg_restore.training.recipe import Adversary


def picture(parts: list[Tensor]) -> Tensor:
    """Planes `[batch, height, width]` of each component, 0..1, as a picture at luma's size.

    Returns:
        `[batch, 1, height, width]` of a grey picture; of a colour picture `[batch, 3, height, width]`, R, G and B
        (ITU-T T.871), not clamped.
    """
    luma = parts[0][:, None]
    if len(parts) == 1:
        return luma
    blue, red = (to_luma_grid(plane[:, None], *luma.shape[2:]) - 0.5 for plane in parts[1:])
    return torch.cat([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], dim=1)


@contextmanager
def judging(discriminator: Discriminator) -> Generator[None]:
    """The discriminator as it is trained, normalising by the batch at hand, but learning and remembering nothing."""
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        with adversary.constant(discriminator):
            yield
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum


class Critic(Adversary):
    """What both papers' objectives share."""

    betas = (0.5, 0.999)
    """DCGAN's, whose discriminators both papers take."""

    def __init__(
        self, discriminator: Discriminator, backbone: Callable[[], FeatureExtractor] | None, learning_rate: float
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.learning_rate = learning_rate
        self.stand_in = "" if backbone else "; features of the discriminator stand in for a backbone's"
        # In a tuple: what a backbone learnt is no part of this module.
        self.extractor = (backbone() if backbone else DiscriminatorFeatures(discriminator),)
        self.last: tuple[Tensor, Tensor] | None = None

    def judge(self, original: Tensor, restored: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's logits `[batch]` of originals and of what the network made of them.

        Both pass in one batch: normalised apart, blurred pictures would have the contrasts of sharp ones.
        """
        natural, ours = self.discriminator(torch.cat([original, restored])).chunk(2)
        return natural, ours

    @property
    def features(self) -> FeatureExtractor:
        """What sees more than samples."""
        return self.extractor[0]

    def both(self) -> tuple[Tensor, Tensor]:
        """The last originals and what the network made of them, without their history."""
        assert self.last is not None, "forward comes first"
        return self.last


class RelativisticCritic(Critic):
    """QGAC's third stage (Ehrlich et al. 2020, section 3.4, equation 3)."""

    def __init__(
        self,
        discriminator: Discriminator,
        backbone: Callable[[], FeatureExtractor] | None,
        learning_rate: float,
        *,
        texture: float = 1.0,
        gamma: float = 5e-3,
        nu: float = 1e-2,
        error: PlaneLoss = absolute_error,
    ) -> None:
        """Set up.

        Args:
            discriminator: what judges.
            backbone: makes what the texture loss compares; None for the discriminator's own features.
            learning_rate: the discriminator's.
            texture: weight of the texture loss.
            gamma: weight of the relativistic average loss (section 4.1).
            nu: weight of the error (section 4.1).
            error: what holds the picture together; the paper's is the absolute error.
        """
        super().__init__(discriminator, backbone, learning_rate)
        self.texture, self.gamma, self.nu, self.error = texture, gamma, nu, error
        self.description = (
            f"{texture} texture + {gamma} relativistic average + {nu} {error.__name__.replace('_', ' ')}{self.stand_in}"
        )

    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Texture loss, relativistic average loss and error."""
        restored, original = planes(network, coded)
        ours, theirs = picture(restored), picture(original)
        self.last = (theirs, ours.detach())
        with judging(self.discriminator):
            contest = adversary.relativistic_loss(*self.judge(theirs, ours))
        texture = adversary.texture_loss(self.features, ours, theirs)
        return self.texture * texture + self.gamma * contest + self.nu * self.error(restored, original)

    def discriminate(self, coded: Compressed) -> Tensor:
        """The relativistic average discriminator's own loss."""
        return adversary.relativistic_discriminator_loss(*self.judge(*self.both()))


class NaturalnessCritic(Critic):
    """One-to-Many's measurement component (Guo and Chao 2017, section 3.3, equation 7).

    The weights of equations 2 and 6 are ours. Crops always lie on the block grid, so the JPEG loss always counts.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        backbone: Callable[[], FeatureExtractor] | None,
        learning_rate: float,
        *,
        alone: int = 0,
        naturalness: float = 0.05,
        jpeg: float = 1.0,
        variety: bool = False,
    ) -> None:
        """Set up.

        Args:
            discriminator: what judges.
            backbone: makes what the perceptual loss compares; None for the discriminator's own features.
            learning_rate: the discriminator's.
            alone: batches to begin with in which the discriminator is neither trained nor asked (section 3.4).
            naturalness: weight of equation 2.
            jpeg: weight of equation 6, in squared shares of the full range times 255.
            variety: instead of equation 1, the energy score of two candidates, of features and of samples: they are to
                be as different as what may have been is. Equation 1 has but one optimum, and z is lost on it.
        """
        super().__init__(discriminator, backbone, learning_rate)
        self.alone, self.naturalness, self.jpeg, self.variety = alone, naturalness, jpeg, variety
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        first = "energy score of features and samples" if variety else "perceptual"
        self.description = f"{first} + {naturalness} naturalness + {jpeg} JPEG{self.stand_in}"

    @property
    def accompanied(self) -> bool:
        """Whether the discriminator has a part yet; a step on a GPU waits to know, unless it has from the beginning."""
        return not self.alone or bool(self.seen > self.alone)

    def candidate(self, network: nn.Module, coded: Compressed) -> tuple[list[Tensor], list[Tensor]]:
        """Planes of a candidate for each picture, and the originals'."""
        z = network.draw_noise(coded.quantised[0])  # pyright: ignore[reportCallIssue]
        return planes(network, coded, z)

    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Perceptual, naturalness and JPEG loss of one candidate for each picture."""
        restored, original = self.candidate(network, coded)
        ours, theirs = picture(restored), picture(original)
        self.last = (theirs, ours.detach())
        self.seen += 1
        if self.variety:
            another = picture(self.candidate(network, coded)[0])
            loss = adversary.energy_score(self.features, ours, another, theirs)
            loss = loss + adversary.energy_score(adversary.Patches(), ours, another, theirs)
        else:
            loss = adversary.perceptual_loss(self.features, ours, theirs)
        if self.naturalness and self.accompanied:
            with judging(self.discriminator):
                loss = loss + self.naturalness * adversary.naturalness_loss(self.judge(theirs, ours)[1])
        outside = [
            adversary.jpeg_loss(found, quantised, table) / 255
            for found, quantised, table in zip(coefficients(restored), coded.quantised, coded.tables, strict=True)
        ]
        return loss + self.jpeg * torch.stack(outside).mean()

    def discriminate(self, coded: Compressed) -> Tensor:
        """The discriminator's own loss, equation 3; nothing in the first batches."""
        loss = adversary.discriminator_loss(*self.judge(*self.both()))
        return loss if self.accompanied else 0 * loss
