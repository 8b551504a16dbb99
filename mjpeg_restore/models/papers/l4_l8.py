"""L4 and L8 (Svoboda et al. 2016): convolutions and rectifiers on decoded samples, trained in a single step.

What they compute for one plane (equation 1): a rectifier follows every convolution but the last.

* L4 (table 2): 11x11 to 48 channels, 3x3 to 64 twice, 5x5 to the plane.
* L8 (table 1): eight layers. What the first makes of the plane is concatenated to what the fourth and the sixth give:
  geometry goes past the middle layers, which are free to reason about content.

Of the objectives of section 3, *direct* (equation 2) has the network draw the picture, *residual* the change that the
decoded plane needs. *Edge preserving* is a loss for either: equation 3, which compares what `sobel` gives, added
to equation 2.

Ours, where the paper leaves it open:

* The plane is continued beyond its edges by repetition, at every layer: a border of zeros would be one more artefact.
* Samples are 0..1, and the residual is added; the paper's r = y - x has the other sign.
* A filter's mean, which begins at zero, is taken over all its inputs together: kernel by kernel, L8's 1x1 would vanish.
* "Lower variation" of the last layer's Gaussian is a deviation of 0.001, as in AR-CNN. All biases begin at zero. Xavier
  initialisation is written of the first three layers, which are all but the last of L4; here they are all but the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import exact
from mjpeg_restore.models.papers.planes import PlaneNetwork, replicate_conv, whole_blocks

LAST_DEVIATION = 0.001
"""Standard deviation of the last layer's weights, to begin with."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A column of tables 1 and 2."""

    side: int
    """Of the kernel."""
    channels: int
    """That come out."""
    skip: bool = False
    """The first layer's activations are concatenated to this one's: the "(+32)" of table 1."""


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
        plane: `[batch, 1, height, width]`; it is continued by repetition.

    Returns:
        `[batch, 2, height, width]`: down the columns and along the rows, each eight times the slope.
    """
    along = plane.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    with exact(plane):
        return functional.conv2d(
            functional.pad(plane, (1, 1, 1, 1), mode="replicate"), torch.stack([along.T, along])[:, None]
        )


class FullyConvolutional(PlaneNetwork):
    """What L4 and L8 are two sizes of; see the module's docstring."""

    def __init__(self, layers: tuple[Layer, ...], *, residual: bool, chroma: bool) -> None:
        """Lay out the convolutions.

        Args:
            layers: at least two; the last has one channel.
            residual: predict what the decoded plane lacks; else the restored plane itself.
            chroma: Cb and Cr pass the network too, each by itself; else they are only decoded.
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
        # Only a residual may go by these names: a runtime may compute in bf16 up to here, too coarse for a picture.
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
        """By how many blocks, of the component itself, a restored block depends on those around it."""
        return whole_blocks(sum(layer.side // 2 for layer in self.layers))

    @torch.no_grad()
    def initialise(self) -> None:
        """Symmetric weight initialisation (section 3): each filter's mean is made zero, and with it what a flat
        input excites, so that rectifiers further in are neither stuck open nor shut.
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
