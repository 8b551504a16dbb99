"""The papers' adversarial objectives: a network against a discriminator that learns beside it.

Both judge RGB at luma's size, or luma alone. Where no backbone trained on photographs is to be had, `backbone` is None,
and the features of the discriminator itself stand in for it (`DiscriminatorFeatures`).

| loss | here | weight in its paper |
|---|---|---|
| One-to-Many eq. 1, perceptual | `perceptual_loss(vgg(), ...)` | 1 |
| ours, in its place with --short | `energy_score(...)` | - |
| eq. 2, naturalness; eq. 3, the discriminator's own | `naturalness_loss`, `discriminator_loss` | ours |
| eq. 6, JPEG | `jpeg_loss` | ours; 0 for crops off the block grid |
| QGAC eq. 2, texture | `texture_loss(minc(...), ...)` | 1 |
| eq. 3, relativistic average | `relativistic_loss`, `relativistic_discriminator_loss` | 5e-3 |
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.papers.planes import to_grid
from mjpeg_restore.training.degradation import Compressed
from mjpeg_restore.training.discriminator import (
    Discriminator,
    discriminator_loss,
    judging,
    naturalness_loss,
    relativistic_discriminator_loss,
    relativistic_loss,
)
from mjpeg_restore.training.features import (
    DiscriminatorFeatures,
    FeatureExtractor,
    Patches,
    energy_score,
    perceptual_loss,
    texture_loss,
)
from mjpeg_restore.training.objectives import (
    absolute_error,
    coarse_error,
    coefficients,
    constant_error,
    jpeg_loss,
    planes,
    window_mean,
)
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
    blue, red = (to_grid(plane[:, None], *luma.shape[2:]) - 0.5 for plane in parts[1:])
    return torch.cat([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], dim=1)


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
        # In a tuple: what a backbone learnt is no part of this module, and of its checkpoints.
        self.extractor = (backbone() if backbone else DiscriminatorFeatures(discriminator),)
        self.last: tuple[Tensor, Tensor] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Critic:
        """Go to a device, and take a backbone along that is no part of this module."""
        if isinstance(self.features, nn.Module):
            self.features._apply(fn, recurse)
        return super()._apply(fn, recurse)

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
        assert self.last is not None
        return self.last


class RelativisticCritic(Critic):
    """QGAC's third stage (Ehrlich et al. 2020, section 3.4, equation 3)."""

    TEXTURE, GAMMA, NU = 1.0, 5e-3, 1e-2
    """Weights of the texture loss, of the relativistic average loss and of the absolute error (section 4.1)."""

    def __init__(
        self, discriminator: Discriminator, backbone: Callable[[], FeatureExtractor] | None, learning_rate: float
    ) -> None:
        """Set up.

        Args:
            discriminator: what judges.
            backbone: makes what the texture loss compares; None for the discriminator's own features.
            learning_rate: the discriminator's.
        """
        super().__init__(discriminator, backbone, learning_rate)
        self.description = self.terms() + self.stand_in

    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Texture loss, relativistic average loss, and what ties the picture to the original."""
        restored, original = planes(network, coded)
        ours, theirs = self.shown(restored), self.shown(original)
        self.last = (theirs, ours.detach())
        with judging(self.discriminator):
            contest = relativistic_loss(*self.judge(theirs, ours))
        texture = texture_loss(self.features, ours, theirs)
        return self.TEXTURE * texture + self.GAMMA * contest + self.tie(network, coded, restored, original)

    def terms(self) -> str:
        """What is added up, for the record of the training."""
        return f"{self.TEXTURE} texture + {self.GAMMA} relativistic average + {self.NU} absolute error"

    def shown(self, parts: list[Tensor]) -> Tensor:
        """What the discriminator is shown of planes."""
        return picture(parts)

    def tie(self, network: nn.Module, coded: Compressed, restored: list[Tensor], original: list[Tensor]) -> Tensor:
        """What ties the restored planes to the original ones."""
        return self.NU * absolute_error(restored, original)

    def discriminate(self, coded: Compressed) -> Tensor:
        """The relativistic average discriminator's own loss."""
        return relativistic_discriminator_loss(*self.judge(*self.both()))


class BlockwiseCritic(RelativisticCritic):
    """The same, of luma alone, for a network that writes whole blocks and has minutes to learn; in no paper.

    Such a network has two ways of being sharp that a discriminator is slow to see through: the JPEG's own blocks, and a
    faint pattern that is in every block. Against the blocks, means over small windows are tied to the original. Against
    the pattern, a constant has to stay one, and the discriminator, of two channels, is shown fine detail by itself,
    enlarged.
    """

    TEXTURE, GAMMA, NU = 0.3, 0.1, 0.5
    COARSE, CONSTANT = 10.0, 20.0
    """Weights of the errors of means and of constants."""

    DETAIL = 4.0
    """How much detail is enlarged."""

    def terms(self) -> str:
        """The paper's terms and two more."""
        return f"{super().terms()} + {self.COARSE} error of 5x5 means + {self.CONSTANT} error of constants"

    def shown(self, parts: list[Tensor]) -> Tensor:
        """Luma, and beside it what is fine in it: less its means over 5x5 samples, enlarged, around 0.5."""
        luma = parts[0][:, None]
        means = window_mean(functional.pad(luma, (2, 2, 2, 2), mode="reflect")[:, 0], 5)
        return torch.cat([luma, 0.5 + self.DETAIL * (luma - means)], dim=1)

    def tie(self, network: nn.Module, coded: Compressed, restored: list[Tensor], original: list[Tensor]) -> Tensor:
        """Errors of samples, of means, and of what is made of constants."""
        coarse, constant = coarse_error(restored, original), constant_error(network, coded)
        samples = super().tie(network, coded, restored, original)
        return samples + self.COARSE * coarse + self.CONSTANT * constant


class NaturalnessCritic(Critic):
    """One-to-Many's measurement component (Guo and Chao 2017, section 3.3; equation 7 of section 3.4).

    The weights of equations 2 and 6 are ours. Crops always lie on the block grid, so the JPEG loss always counts.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        backbone: Callable[[], FeatureExtractor] | None,
        learning_rate: float,
        *,
        alone: int = 0,
        naturalness: float = 0.1,
        jpeg: float = 0.1,
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
    def steady(self) -> bool:
        """Whether the discriminator has its part from the beginning."""
        return not self.alone

    @property
    def accompanied(self) -> bool:
        """Whether the discriminator has a part yet."""
        return self.steady or bool(self.seen > self.alone)

    def restore(self, network: nn.Module, coded: Compressed) -> tuple[list[Tensor], list[Tensor]]:
        """Planes of a candidate for each picture, and the originals'."""
        z = network.draw_noise(coded.quantised[0])  # pyright: ignore[reportCallIssue]
        return planes(network, coded, z)

    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Perceptual, naturalness and JPEG loss of a candidate for each picture; with variety the first, of two."""
        restored, original = self.restore(network, coded)
        ours, theirs = picture(restored), picture(original)
        self.last = (theirs, ours.detach())
        self.seen += 1
        if self.variety:
            another = picture(self.restore(network, coded)[0])
            loss = energy_score(self.features, ours, another, theirs)
            loss = loss + energy_score(Patches(), ours, another, theirs)
        else:
            loss = perceptual_loss(self.features, ours, theirs)
        if self.naturalness and self.accompanied:
            with judging(self.discriminator):
                loss = loss + self.naturalness * naturalness_loss(self.judge(theirs, ours)[1])
        outside = [
            jpeg_loss(found, quantised, table) / 255
            for found, quantised, table in zip(coefficients(restored), coded.quantised, coded.tables, strict=True)
        ]
        return loss + self.jpeg * torch.stack(outside).mean()

    def discriminate(self, coded: Compressed) -> Tensor | None:
        """The discriminator's own loss, equation 3; None in the first batches."""
        return discriminator_loss(*self.judge(*self.both())) if self.accompanied else None
