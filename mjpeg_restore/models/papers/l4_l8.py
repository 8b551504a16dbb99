"""L4 and L8 (Svoboda et al. 2016): convolutions and rectifiers on decoded samples, trained in a single step.

The networks restore one plane (equation 1). A rectifier follows each convolution but the last.

* L4 (table 2): 11x11 to 48 channels, 3x3 to 64 twice, 5x5 to the plane.
* L8 (table 1): eight layers. The first layer's activations are concatenated to those of the fourth and the sixth:
  geometry bypasses the middle layers, which can represent content.

There are three objectives in section 3. With *direct* (equation 2) the network predicts the restored plane, with
*residual* its difference from the decoded plane. *Edge preserving* is a loss for either: equation 3, which compares
derivatives (`sobel`), is added to equation 2.

Our choices, where the paper leaves them open:

* Every layer has replicate padding: a border of zeros would be one more artefact.
* Samples are 0..1, and the residual is added; the paper's r = y - x has the other sign.
* The mean of a filter, which is zero at first, is over all its input channels: per channel, L8's 1x1 kernels would be
  zero.
* The "lower variation" of the last layer's Gaussian is a standard deviation of 0.001, as in AR-CNN. All biases are zero
  at first. The paper has Xavier initialisation for the first three layers, which are all but the last of L4; here it is
  for all layers but the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import exact
from mjpeg_restore.models.planes import PlaneNetwork, replicate_conv, whole_blocks

LAST_DEVIATION = 0.001
"""Standard deviation of the last layer's initial weights."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, one column of tables 1 and 2."""

    side: int
    """Side of the kernel."""
    channels: int
    """Output channels."""
    skip: bool = False
    """Whether the first layer's activations are concatenated to the output: the "(+32)" of table 1."""


L4_LAYERS = (Layer(11, 48), Layer(3, 64), Layer(3, 64), Layer(5, 1))
L8_LAYERS = (
    Layer(11, 32),
    Layer(3, 64),
    Layer(3, 64),
    Layer(3, 64, skip=True),
    Layer(1, 64),
    Layer(5, 64, skip=True),
    Layer(1, 128),
    Layer(5, 1),
)


def sobel(plane: Tensor) -> Tensor:
    """Sobel's derivatives of a plane, the G of equation 3.

    Args:
        plane: `[batch, 1, height, width]`; the padding is replicated.

    Returns:
        `[batch, 2, height, width]`: vertical and horizontal derivative, each eight times the slope.
    """
    along = plane.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    with exact(plane):
        return functional.conv2d(
            functional.pad(plane, (1, 1, 1, 1), mode="replicate"), torch.stack([along.T, along])[:, None]
        )


class FullyConvolutional(PlaneNetwork):
    """The common architecture of L4 and L8; see the module's docstring."""

    def __init__(self, layers: tuple[Layer, ...], *, residual: bool, chroma: bool) -> None:
        """Lay out the convolutions.

        Args:
            layers: at least two; the last has one channel.
            residual: whether to predict the residual of the decoded plane; else the restored plane itself.
            chroma: whether Cb and Cr are restored too, independently; else they are only decoded.
        """
        super().__init__(chroma=chroma)
        self.layers = layers
        self.residual = residual
        self.body = nn.ModuleList()
        channels = 1
        for layer in layers[:-1]:
            self.body.append(replicate_conv(channels, layer.channels, layer.side))
            channels = layer.channels + (layers[0].channels if layer.skip else 0)
        last = replicate_conv(channels, layers[-1].channels, layers[-1].side)
        # A runtime may compute in bf16 up to a layer with these names: fine for a residual, too coarse for a picture.
        if residual:
            self.predict = nn.ModuleDict({"project": last})
        else:
            self.reconstruct = last
        self.initialise()

    @property
    def last(self) -> nn.Module:
        """The last convolution."""
        return self.predict["project"] if self.residual else self.reconstruct

    @property
    def margin(self) -> int:
        """How many neighbouring blocks of its component, in each direction, a restored block depends on."""
        return whole_blocks(sum(layer.side // 2 for layer in self.layers))

    @torch.no_grad()
    def initialise(self) -> None:
        """Symmetric weight initialisation (section 3): each filter has a mean of zero.

        So the response to a flat input is zero, and later rectifiers are not saturated on either side.
        """
        for convolution in [*self.body, self.last]:
            assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
            if convolution is self.last:
                nn.init.normal_(convolution.weight, std=LAST_DEVIATION)
            else:
                nn.init.xavier_uniform_(convolution.weight)
            convolution.weight.sub_(convolution.weight.mean(dim=(1, 2, 3), keepdim=True))
            nn.init.zeros_(convolution.bias)

    def restore_plane(self, plane: Tensor) -> Tensor:
        """Restore decoded samples, 0..1, `[batch, 1, height, width]`."""
        features = first = plane
        for index, (convolution, layer) in enumerate(zip(self.body, self.layers, strict=False)):
            features = torch.relu(convolution(features))
            if index == 0:
                first = features
            if layer.skip:
                features = torch.cat([features, first], dim=1)
        if self.residual:
            return plane + self.last(features)
        with exact(features):
            return self.last(features.float())


class L4(FullyConvolutional):
    """The small network, table 2."""

    def __init__(self, *, residual: bool = True, chroma: bool = False) -> None:
        """Lay out the network; the arguments are `FullyConvolutional`'s."""
        super().__init__(L4_LAYERS, residual=residual, chroma=chroma)


class L8(FullyConvolutional):
    """The deep network with skip connections, table 1."""

    def __init__(self, *, residual: bool = True, chroma: bool = False) -> None:
        """Lay out the network; the arguments are `FullyConvolutional`'s."""
        super().__init__(L8_LAYERS, residual=residual, chroma=chroma)
