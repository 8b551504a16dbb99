"""One-to-Many (Guo and Chao 2017): the proposal component, which restores a picture from a JPEG and a random z.

The network for one plane (section 3.2.1, figure 3):

1. The decoded plane is down-sampled by a convolution of stride 2, and processed by a branch of residual units.
2. z, normally distributed with mean zero, one value per 2x2 samples, is processed by a branch of its own.
3. Both are concatenated and processed by the aggregation sub-network, again of residual units.
4. A deconvolution of stride 2 up-samples the result to the plane's size with *shift-and-average* (section 3.2.2).

The same JPEG with another z yields another picture. The baseline of section 4.1, trained on the squared error alone,
is the same network without z: `noise=False`.

Our choices, where the paper leaves them open:

* Sizes: 3 residual units in a branch and 5 in the aggregation. The 64 filters are DCGAN's smallest number; kernels are
  3x3, those of stride 2 are 4x4 (figure 4 shows four taps).
* Two branches of 64 channels have 128 together, but identity shortcuts need 64: a 1x1 convolution reduces them. z's
  branch begins with a 3x3 convolution at z's own resolution. As in He et al. (2016b), a normalisation and a rectifier
  follow the last unit.
* The network predicts the residual of the decoded plane, not the plane itself, so that a short training starts from the
  decode. Therefore the deconvolution is zero at first, and the 1x1 convolution an identity for the image's channels.
  All other weights have He et al.'s uniform initialisation (section 4).
* The standard deviation of z is 1.
* Colour: the paper trains another network on RGB (section 4.3). Here chroma, if it is restored, has a baseline network
  of its own (`chroma_width`), as invented texture in chroma would be colour noise. Otherwise it passes luma's network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.planes import PlaneNetwork, from_unit, to_unit, whole_blocks


@dataclass(frozen=True, slots=True)
class OneToManyConfig:
    """Size and kind of the network."""

    width: int = 64
    """Filters of every convolution but the last."""
    branch_units: int = 3
    """Residual units of each branch."""
    aggregation_units: int = 5
    """Residual units of the aggregation sub-network."""
    shift_and_average: bool = True
    """Whether to up-sample as in section 3.2.2; else by a plain deconvolution."""
    noise: bool = True
    """Whether z is an input; else this is the baseline of section 4.1."""
    chroma_width: int | None = None
    """Filters of the baseline network that restores Cb and Cr; None for no such network."""


ONE_TO_MANY = OneToManyConfig()
ONE_TO_MANY_COMPACT = OneToManyConfig(width=32, branch_units=1, aggregation_units=4)
"""Small enough to be trained on a CPU."""
ONE_TO_MANY_SHORT = OneToManyConfig(branch_units=1, aggregation_units=4, chroma_width=32)
"""The paper's width with 6 instead of 11 units: small enough to be trained on a GPU in minutes."""


class ResidualUnit(nn.Module):
    """He et al. 2016b, with full pre-activation: BN, ReLU, 3x3, BN, ReLU, 3x3, and an identity shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add the unit's residual to the features, `[batch, width, height, width]`."""
        return features + self.body(features)


class UpSample(nn.Module):
    """Up-samples features to a plane: a 4x4 deconvolution of stride 2, shifted and averaged (section 3.2.2).

    A deconvolution of stride 2 computes each sample with one quarter of its kernel, selected by the sample's parity.
    Only a kernel whose quarters have equal sums maps a constant to a constant. Shift-and-average is the mean of the
    result and its copies shifted right, down, and both: a mean over all four parities, so that any kernel does.

    The features are padded by replication, and the deconvolution computes one row and one column more than the plane.
    So samples that the shifts bring in from beyond the edge follow the same rule, and constants are kept there too.
    """

    def __init__(self, width: int, *, shift_and_average: bool) -> None:
        super().__init__()
        self.shift_and_average = shift_and_average
        self.deconvolution = nn.ConvTranspose2d(width, 1, 4, stride=2, padding=2)

    def forward(self, features: Tensor) -> Tensor:
        """`[batch, width, height, width]` to `[batch, 1, 2 height, 2 width]`."""
        drawn = self.deconvolution(functional.pad(features, (1, 1, 1, 1), mode="replicate"))
        # A row and a column more than the plane lie before it, one more after it.
        drawn = drawn[:, :, :-1, :-1]
        # The mean of the four shifts is a mean over 2x2.
        return functional.avg_pool2d(drawn, 2, stride=1) if self.shift_and_average else drawn[:, :, 1:, 1:]


class OneToMany(PlaneNetwork):
    """The proposal component; see the module's docstring."""

    def __init__(self, config: OneToManyConfig = ONE_TO_MANY, *, chroma: bool = False) -> None:
        """Lay out the network.

        Args:
            config: size and kind of the network.
            chroma: whether Cb and Cr are restored too; else they are only decoded.
        """
        super().__init__(chroma=chroma)
        self.config = config
        width = config.width
        self.down_sample = nn.Conv2d(1, width, 4, stride=2, padding=1)
        self.image_branch = self._units(config.branch_units)
        if config.noise:
            self.noise_branch = nn.Sequential(
                nn.Conv2d(1, width, 3, padding=1), *self._units(config.branch_units).children()
            )
            self.merge = nn.Conv2d(2 * width, width, 1)
        self.aggregation = self._units(config.aggregation_units)
        self.activation = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())
        self.up_sample = UpSample(width, shift_and_average=config.shift_and_average)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        for parameter in self.up_sample.deconvolution.parameters():
            nn.init.zeros_(parameter)
        if config.noise:
            # At first the image's features pass unchanged, as in a baseline, and z's are added to them.
            with torch.no_grad():
                self.merge.weight[:, :width] = torch.eye(width)[:, :, None, None]
        self.chroma_network: OneToMany | None = None
        if chroma and config.chroma_width:
            own = replace(config, width=config.chroma_width, noise=False, chroma_width=None)
            self.chroma_network = OneToMany(own)

    def _units(self, count: int) -> nn.Sequential:
        return nn.Sequential(*(ResidualUnit(self.config.width) for _ in range(count)))

    @property
    def per_component(self) -> bool:
        """Whether one network restores Y, Cb and Cr independently; not with z, which is luma's."""
        return self.chroma and not self.config.noise

    @property
    def margin(self) -> int:
        """How many neighbouring blocks of its component, in each direction, a restored block depends on."""
        layers = [*self.image_branch.modules(), *self.aggregation.modules()]
        # Down-sampling and up-sampling each have a reach of one cell of the halved grid.
        cells = 2 + sum(layer.kernel_size[0] // 2 for layer in layers if isinstance(layer, nn.Conv2d))
        return whole_blocks(2 * cells)

    def draw_noise(self, coefficients: Tensor) -> Tensor:
        """Draw z, `[batch, 1, 4 high, 4 wide]`, for a picture whose luma has coefficients `[batch, high, wide, 64]`."""
        batch, high, wide, _ = coefficients.shape
        return torch.randn(batch, 1, 4 * high, 4 * wide, device=coefficients.device)

    def restore_plane(self, plane: Tensor, noise: Tensor | None = None) -> Tensor:
        """Restore decoded samples.

        Args:
            plane: `[batch, 1, height, width]`, 0..1.
            noise: z, `[batch, 1, height / 2, width / 2]`; None for its mean, zeros. It must be None if the
                configuration has no z.

        Returns:
            The restored plane, of the same shape.
        """
        features = self.image_branch(self.down_sample(plane))
        if self.config.noise:
            if noise is None:
                noise = torch.zeros_like(features[:, :1])
            features = self.merge(torch.cat([features, self.noise_branch(noise)], dim=1))
        return plane + self.up_sample(self.activation(self.aggregation(features)))

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a grey or a colour picture.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component in
                turn; then, if the configuration has it, luma's z `[batch, 1, 4 high, 4 wide]`. A missing z is replaced
                by zeros.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        noise = None
        if self.config.noise and len(components) % 2:
            components, noise = components[:-1], components[-1]
        luma, *chroma = self.decode(*components)
        restored = from_unit(self.restore_plane(to_unit(luma), noise))
        own = self.chroma_network or self
        return (restored, *(from_unit(own.restore_plane(to_unit(c))) if self.chroma else c for c in chroma))
