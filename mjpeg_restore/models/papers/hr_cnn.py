"""HR-CNN, the heterogeneous residual network: coefficients in, samples out, without a decoder in front.

The network for one component (section II.B):

1. *Channel extraction* (equations 1 to 4). The k-space image, in which each block's coefficients take the positions of
   its samples, is convolved with 64 constant masks of 8x8 at stride 8; each passes one frequency.
2. *Spectral reconstruction* (equation 5). A transposed convolution of 8x8 at stride 8 turns the snapshot of each
   frequency into 64 channels at the picture's size.
3. *Decoding* (equation 6). 5x5 to 8 channels, 3x3 to one: a picture, then a rectifier.
4. *Detail enhancement* (equation 7). Four residual blocks of 11x11 to 64 channels, 7x7 to 16 and 1x1 to one, on the
   picture; then a last rectifier (equation 8).

Our choices, where the paper leaves them open:

* The paper trains one network per quality, on quantised values. Here coefficients are dequantised, so that they mean
  the same under any table. Instead of a level shift, 1024 is added to the DC: samples are non-negative, as the
  rectifiers need. All values are divided by 255: samples are 0..1, a DC is 0..8, and the DCT between them is
  orthonormal.
* A mask's x counts along the row, so that channel 8v + u has horizontal frequency u and vertical frequency v: natural
  order.
* The rectifier of section II.B.3, "applied to F5" to avoid negative values, is at F4, the segment's picture: F5 is the
  next segment's first layer.
* The formulas have no other rectifiers. As pictures are hardly ever negative, that makes the network a linear filter,
  which cannot distinguish an edge from an artefact. With `rectified`, rectifiers follow F3 and the first two layers of
  each residual block.
* Every convolution has replicate padding.
* The network is initialised as a decoder; see `HrCnn.initialise_as_decoder`.
* Colour: the paper restores one channel. Here Cb and Cr are either restored like luma, independently, or only decoded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, blocks_to_plane, dct_matrix, exact
from mjpeg_restore.models.planes import from_unit, replicate_conv, whole_blocks

FREQUENCIES = 64
DECODING_WIDTH = 8
"""Channels between the two convolutions of the decoding segment, n3."""
DETAIL_BLOCKS = 4

NOISE = 0.003
"""Scale of Xavier's random weights in layers that are initialised as a decoder."""


def coded_masks() -> Tensor:
    """The masks of equation 2: float32 `[64 channels, 1, 8, 8]`, each with a single 1."""
    return torch.eye(FREQUENCIES).reshape(FREQUENCIES, 1, 8, 8)


def level_shift() -> Tensor:
    """The coefficients of a block of samples 128: float32 `[64]`."""
    return 1024 * torch.eye(FREQUENCIES)[0]


class DetailBlock(nn.Module):
    """A residual block of equation 7: 64 filters of 11x11, 16 of 7x7, one of 1x1, and a shortcut."""

    def __init__(self, *, rectified: bool) -> None:
        super().__init__()
        self.body = _chain(
            replicate_conv(1, 64, 11), replicate_conv(64, 16, 7), nn.Conv2d(16, 1, 1), rectified=rectified
        )

    def forward(self, plane: Tensor) -> Tensor:
        """Add the block's residual to a picture `[batch, 1, height, width]`."""
        return plane + self.body(plane)


class HrCnn(nn.Module):
    """The network; see the module's docstring."""

    masks: Tensor
    shift: Tensor

    def __init__(self, *, chroma: bool = False, rectified: bool = False) -> None:
        """Lay out the network.

        Args:
            chroma: whether Cb and Cr are restored too, independently; else they are only decoded.
            rectified: whether there are rectifiers between the layers, which the formulas do not have.
        """
        super().__init__()
        self.chroma = chroma
        self.decode = Decode()
        self.register_buffer("masks", coded_masks(), persistent=False)
        self.register_buffer("shift", level_shift(), persistent=False)
        self.spectral = nn.ConvTranspose2d(FREQUENCIES, FREQUENCIES, 8, stride=8)
        self.decoding = _chain(
            replicate_conv(FREQUENCIES, DECODING_WIDTH, 5), replicate_conv(DECODING_WIDTH, 1, 3), rectified=rectified
        )
        self.details = nn.ModuleList(DetailBlock(rectified=rectified) for _ in range(DETAIL_BLOCKS))
        self.initialise_as_decoder()

    @property
    def per_component(self) -> bool:
        """Whether one network restores Y, Cb and Cr independently."""
        return self.chroma

    @property
    def margin(self) -> int:
        """How many neighbouring blocks of its component, in each direction, a restored block depends on."""
        layers = [*self.decoding.modules(), *self.details.modules()]
        return whole_blocks(sum(layer.kernel_size[0] // 2 for layer in layers if isinstance(layer, nn.Conv2d)))

    @torch.no_grad()
    def initialise_as_decoder(self) -> None:
        """Initialise the network as the inverse DCT, for a short training; ours.

        Channel ch of the spectral reconstruction is the basis function of frequency ch. The centre tap of the 5x5
        convolution sums the channels, that of the 3x3 passes the sum on, and the residual blocks add nearly nothing.
        Xavier's random weights, scaled by `NOISE`, are added, so that all weights learn.
        """
        first, second = (layer for layer in self.decoding if isinstance(layer, nn.Conv2d))
        details = [layer for layer in self.details.modules() if isinstance(layer, nn.Conv2d)]
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)
        for layer in (self.spectral, first, second, *(layer for layer in details if layer.kernel_size == (1, 1))):
            layer.weight.mul_(NOISE)
        channels = torch.arange(FREQUENCIES)
        self.spectral.weight[channels, channels] += dct_matrix().reshape(FREQUENCIES, 8, 8)
        first.weight[0, :, 2, 2] += 1
        second.weight[0, 0, 1, 1] += 1

    def k_space(self, coefficients: Tensor, table: Tensor) -> Tensor:
        """The k-space image of a component, the network's input: `[batch, 1, height, width]`.

        Args:
            coefficients: quantised, `[batch, high, wide, 64]`.
            table: `[batch, 64]`.
        """
        return blocks_to_plane((coefficients * table[:, None, None] + self.shift) / 255)[:, None]

    def split(self, image: Tensor) -> Tensor:
        """Channel extraction: the snapshot of each frequency, `[batch, 64, high, wide]`, of a k-space image."""
        return functional.conv2d(image, self.masks, stride=8)

    def start(self, image: Tensor) -> Tensor:
        """The first three segments: the decoded picture, `[batch, 1, height, width]`, of a k-space image."""
        # The picture itself passes these layers: bf16 is too coarse for it.
        with exact(image):
            return torch.relu(self.decoding(self.spectral(self.split(image))))

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a grey or a colour picture.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component in
                turn.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        count = len(components) if self.chroma else 2
        restored = [self._restore(*pair) for pair in zip(components[:count:2], components[1:count:2], strict=True)]
        return (*restored, *self.decode(*components[count:]))

    def _restore(self, coefficients: Tensor, table: Tensor) -> Tensor:
        plane = self.start(self.k_space(coefficients, table))
        for block in self.details:
            plane = block(plane)
        return from_unit(torch.relu(plane))

    def snapshots(self, coefficients: Tensor, table: Tensor) -> dict[str, Tensor]:
        """The snapshots of figure 4: a component at six points of the network.

        Args:
            coefficients: quantised, `[batch, high, wide, 64]`.
            table: `[batch, 64]`.

        Returns:
            Pictures `[batch, height, width]`, (a) to (f): "input", the k-space image; "split", the first channel after
            extraction, one value per block; "spectral", the first channel after spectral reconstruction; "decoded";
            "second block", after the second residual block; "output". The last three are samples, 0..1.
        """
        image = self.k_space(coefficients, table)
        split = self.split(image)
        planes = [self.start(image)]
        for block in self.details:
            planes.append(block(planes[-1]))
        found = {
            "input": image,
            "split": split,
            "spectral": self.spectral(split),
            "decoded": planes[0],
            "second block": planes[2],
            "output": torch.relu(planes[-1]),
        }
        return {name: picture[:, 0] for name, picture in found.items()}


def _chain(*layers: nn.Conv2d, rectified: bool) -> nn.Sequential:
    """Layers in sequence, with rectifiers between them if `rectified`."""
    if not rectified:
        return nn.Sequential(*layers)
    return nn.Sequential(layers[0], *(module for layer in layers[1:] for module in (nn.ReLU(), layer)))
