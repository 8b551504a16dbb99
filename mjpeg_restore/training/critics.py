"""The papers' adversarial objectives: a network is trained against a discriminator.

The discriminators see RGB at luma's size, or luma only. `backbone` is a feature extractor trained on photographs. If it
is None, features of the discriminator itself replace it (`DiscriminatorFeatures`).

| loss | here | weight in its paper |
|---|---|---|
| One-to-Many eq. 1, perceptual | `perceptual_loss(vgg(), ...)` | 1 |
| ours, instead of it with --short | `energy_score(...)` | - |
| eq. 2, naturalness; eq. 3, of the discriminator | `naturalness_loss`, `discriminator_loss` | ours |
| eq. 6, JPEG | `jpeg_loss` | ours; 0 for crops off the block grid |
| QGAC eq. 2, texture | `texture_loss(minc(...), ...)` | 1 |
| eq. 3, relativistic average | `relativistic_loss`, `relativistic_discriminator_loss` | 5e-3 |
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.planes import to_grid
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
    """Convert planes `[batch, height, width]` of each component, 0..1, to a picture at luma's size.

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
    """Base of both papers' objectives."""

    betas = (0.5, 0.999)
    """DCGAN's: both papers use its discriminator."""

    def __init__(
        self, discriminator: Discriminator, backbone: Callable[[], FeatureExtractor] | None, learning_rate: float
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.learning_rate = learning_rate
        self.substitute = "" if backbone else "; features of the discriminator stand in for a backbone's"
        # In a tuple, so that the backbone's weights are no part of this module's state and of checkpoints.
        self.extractor = (backbone() if backbone else DiscriminatorFeatures(discriminator),)
        self.last: tuple[Tensor, Tensor] | None = None
        """Originals and restored pictures of the last `forward`, detached."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Critic:
        """Move to a device together with the backbone, which is not a registered submodule."""
        if isinstance(self.features, nn.Module):
            self.features._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def judge(self, original: Tensor, restored: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's logits `[batch]` of original and of restored pictures.

        Both go through it in one batch: batch normalisation by themselves would give blurred pictures the contrast of
        sharp ones.
        """
        natural, ours = self.discriminator(torch.cat([original, restored])).chunk(2)
        return natural, ours

    @property
    def features(self) -> FeatureExtractor:
        """The feature extractor of the perceptual or texture loss."""
        return self.extractor[0]

    def both(self) -> tuple[Tensor, Tensor]:
        """Original and restored pictures of the last `forward`, detached."""
        assert self.last is not None
        return self.last


class RelativisticCritic(Critic):
    """QGAC's third stage (Ehrlich et al. 2020, section 3.4, equation 3)."""

    TEXTURE, GAMMA, NU = 1.0, 5e-3, 1e-2
    """Weights of the texture loss, of the relativistic average loss and of the absolute error (section 4.1)."""

    def __init__(
        self, discriminator: Discriminator, backbone: Callable[[], FeatureExtractor] | None, learning_rate: float
    ) -> None:
        """Set up the losses.

        Args:
            discriminator: to be trained.
            backbone: makes the feature extractor of the texture loss; None for the discriminator's own features.
            learning_rate: of the discriminator.
        """
        super().__init__(discriminator, backbone, learning_rate)
        self.description = self.terms() + self.substitute

    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Texture loss, relativistic average loss and fidelity loss."""
        restored, original = planes(network, coded)
        ours, theirs = self.view(restored), self.view(original)
        self.last = (theirs, ours.detach())
        with judging(self.discriminator):
            contest = relativistic_loss(*self.judge(theirs, ours))
        texture = texture_loss(self.features, ours, theirs)
        return self.TEXTURE * texture + self.GAMMA * contest + self.fidelity(network, coded, restored, original)

    def terms(self) -> str:
        """The weighted terms of the loss, for the training record."""
        return f"{self.TEXTURE} texture + {self.GAMMA} relativistic average + {self.NU} absolute error"

    def view(self, parts: list[Tensor]) -> Tensor:
        """The discriminator's input, made of planes."""
        return picture(parts)

    def fidelity(self, network: nn.Module, coded: Compressed, restored: list[Tensor], original: list[Tensor]) -> Tensor:
        """Loss of the distance between restored and original planes."""
        return self.NU * absolute_error(restored, original)

    def discriminate(self, coded: Compressed) -> Tensor:
        """Loss of the relativistic average discriminator."""
        return relativistic_discriminator_loss(*self.judge(*self.both()))


class BlockwiseCritic(RelativisticCritic):
    """A variant on luma only, for a network that predicts whole blocks and is trained for minutes; in no paper.

    Such a network can look sharp in two ways that a discriminator is slow to detect: by the JPEG's blocking, and by a
    faint pattern repeated in every block. Against blocking, a loss compares means over small windows with the
    original's. Against the pattern, a loss keeps constants constant, and the discriminator gets amplified fine detail
    as a second channel.
    """

    TEXTURE, GAMMA, NU = 0.3, 0.1, 0.5
    COARSE, CONSTANT = 10.0, 20.0
    """Weights of the errors of window means and of constants."""

    DETAIL = 4.0
    """Amplification of fine detail."""

    def terms(self) -> str:
        """The paper's terms and two more."""
        return f"{super().terms()} + {self.COARSE} error of 5x5 means + {self.CONSTANT} error of constants"

    def view(self, parts: list[Tensor]) -> Tensor:
        """Luma, and its amplified difference from its 5x5 means, centred on 0.5: `[batch, 2, height, width]`."""
        luma = parts[0][:, None]
        means = window_mean(functional.pad(luma, (2, 2, 2, 2), mode="reflect")[:, 0], 5)
        return torch.cat([luma, 0.5 + self.DETAIL * (luma - means)], dim=1)

    def fidelity(self, network: nn.Module, coded: Compressed, restored: list[Tensor], original: list[Tensor]) -> Tensor:
        """Errors of samples, of window means and of constants."""
        coarse, constant = coarse_error(restored, original), constant_error(network, coded)
        samples = super().fidelity(network, coded, restored, original)
        return samples + self.COARSE * coarse + self.CONSTANT * constant


class NaturalnessCritic(Critic):
    """One-to-Many's measurement component (Guo and Chao 2017, section 3.3; equation 7 of section 3.4).

    The weights of equations 2 and 6 are ours. Crops always lie on the block grid, so the JPEG loss always applies.
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
        """Set up the losses.

        Args:
            discriminator: to be trained.
            backbone: makes the feature extractor of the perceptual loss; None for the discriminator's own features.
            learning_rate: of the discriminator.
            alone: first batches in which the discriminator is neither trained nor used (section 3.4).
            naturalness: weight of equation 2.
            jpeg: weight of equation 6, in squared shares of the full range times 255.
            variety: replace equation 1 by the energy score of two candidates, of features and of samples, so that
                candidates differ as much as the possible originals do. Equation 1 has a single optimum, at which the
                network ignores z.
        """
        super().__init__(discriminator, backbone, learning_rate)
        self.alone, self.naturalness, self.jpeg, self.variety = alone, naturalness, jpeg, variety
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        first = "energy score of features and samples" if variety else "perceptual"
        self.description = f"{first} + {naturalness} naturalness + {jpeg} JPEG{self.substitute}"

    @property
    def capturable(self) -> bool:
        """Whether the discriminator is active from the first batch on, so that all steps are alike."""
        return not self.alone

    @property
    def discriminator_active(self) -> bool:
        """Whether the first `alone` batches are over."""
        return self.capturable or bool(self.seen > self.alone)

    def restore(self, network: nn.Module, coded: Compressed) -> tuple[list[Tensor], list[Tensor]]:
        """Planes of one random candidate per picture, and the original planes."""
        z = network.draw_noise(coded.quantised[0])  # pyright: ignore[reportCallIssue]
        return planes(network, coded, z)

    def forward(self, network: nn.Module, coded: Compressed) -> Tensor:
        """Perceptual, naturalness and JPEG loss of one candidate per picture; with `variety`, the energy score of two
        candidates replaces the perceptual loss.
        """
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
        if self.naturalness and self.discriminator_active:
            with judging(self.discriminator):
                loss = loss + self.naturalness * naturalness_loss(self.judge(theirs, ours)[1])
        outside = [
            jpeg_loss(found, quantised, table) / 255
            for found, quantised, table in zip(coefficients(restored), coded.quantised, coded.tables, strict=True)
        ]
        return loss + self.jpeg * torch.stack(outside).mean()

    def discriminate(self, coded: Compressed) -> Tensor | None:
        """Loss of the discriminator, equation 3; None during the first `alone` batches."""
        return discriminator_loss(*self.judge(*self.both())) if self.discriminator_active else None
