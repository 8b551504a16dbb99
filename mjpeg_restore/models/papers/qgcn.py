"""QGCN: Li, Wang, Xie and Ma 2020, "Learning a Single Model with a Wide Range of Quality Factors for JPEG Image
Artifacts Removal".

One set of weights serves all qualities: the network is conditioned on the quantisation tables and the whole picture.

1. The feature map Y_Q of section III.B consists of the decoded picture and its quantisation maps, which are the tables
   tiled to the picture's size: 5 channels for a colour picture, 2 for a grey one.
2. The global branch (section III.C.2, table I) maps the picture, at 112x112, to a vector of 64: `GlobalBranch`.
3. The restoration branch (section III.C.1, figure 3): a convolution of stride 2, a group of residual blocks,
   concatenation with the vector at every position, another group, and sub-pixel convolution to the picture's size.

Without the global branch it is the paper's QCN, and without the maps as well its "EDSR" (section IV.B, table II).

Our choices, where the paper leaves them open:

* Figure 8's N counts the blocks of each group, as does section III.C.1: there are 2 N blocks.
* A map holds log2(q) / 8, which is 0..1 for 8-bit tables. Equal ratios of q have equal distances, as in the artefacts.
  With q / 255 all good qualities would look alike: the IJG's luma table at quality 90 has a maximum of 0.1.
* There is one chroma map. If a stream has different tables for Cb and Cr, it holds the mean of their logarithms.
* Concatenated features have 128 channels, residual blocks 64: a 3x3 convolution reduces them; QCN has none.
* As in EDSR, rectifiers are inside residual blocks only, and the up-sampling is a convolution to four times the
  channels, a pixel shuffle, and the last convolution at the picture's size.
* The network predicts the decoded picture's residual, so that a short training starts from the decode.
* The picture is resized to 112x112 by a cubic kernel wide enough to avoid aliasing, and centred on zero (`resize`). The
  maps, of period 8, would only alias, and are left out.
* Rectifiers follow every layer of the global branch but the last.
* The text speaks of "several convolutional layers" without listing them. Networks of the paper's sizes have those of
  the authors' code (`QgcnConfig.authors_layers`); the compact one has only the layers that the text names.

Departures from the paper:

* The network works in YCbCr, as does the stream, not in RGB: the first and the last layer can learn the linear map.
  Chroma is up-sampled to luma's grid by interpolation, and the residual is added there, so that the network restores
  the colours of each pixel, as the paper's does. Without `full_chroma` chroma's residual is down-sampled to its own
  sampling and added there.
* Section IV.A initialises all parameters with a Gaussian of deviation 0.01. After the ten layers of the global branch
  two pictures then differ by some 1e-8 in a vector of 1e-2, too little for a short training. Instead the global branch
  has He et al.'s initialisation, the restoration branch PyTorch's. The last convolution is zero, so that the network
  starts as the decode. So is the global branch's last layer: a random vector would be noise, which the restoration
  branch learns to ignore before the global branch learns anything.
* Each picture's features of fc1 are normalised to mean 0 and variance 1 before the rectifier, so that half of them
  always stay active. Without that, nearly all were dead after a few hundred batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, exact
from mjpeg_restore.models.planes import from_unit, resize, to_grid, to_unit, whole_blocks

RESIDUAL_SCALE = 0.1
"""Factor of a residual block's residual (section III.C.1)."""

GLOBAL_SIDE = 112
"""Side of the global branch's input (section III.C.2)."""

GLOBAL_CHANNELS = (32, 64, 128, 256)
"""Channels of each pair of the global branch's convolutions (table I)."""

GLOBAL_FEATURES = 64
"""Length of the global branch's output: fc2 of table I."""


@dataclass(frozen=True, slots=True)
class QgcnConfig:
    """Size and kind of the network."""

    blocks: int
    """Residual blocks of each of the two groups: 32 in section III.C.1; 8, 16, 32 and 64 in figure 8."""
    width: int = 64
    """Channels of the restoration branch."""
    hidden: int = 1024
    """Units of the global branch's fc1, which has most of its weights."""
    full_chroma: bool = True
    """Whether chroma is restored at luma's size; else at its own."""
    compact_output: bool = False
    """Whether the last convolution predicts 2x2 samples at half the size, before the pixel shuffle."""
    global_branch: bool = True
    """Whether it is QGCN; else QCN."""
    quantisation_maps: bool = True
    """Whether Y_Q includes the tables; else it is the picture only."""
    authors_layers: bool = False
    """Whether it has the layers of the authors' code: a convolution at the picture's size, then one of 4x4 at stride 2
    and a rectifier, instead of one of 3x3 at stride 2; a rectifier after the merge; a convolution before the
    up-sampling."""


class ResidualBlock(nn.Module):
    """x + 0.1 conv(relu(conv(x))), 3x3, no batch normalisation (section III.C.1, figure 3c)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Add the block's residual to features `[batch, width, rows, columns]`."""
        return features + RESIDUAL_SCALE * self.second(torch.relu(self.first(features)))


class ResidualGroup(nn.Module):
    """Residual blocks with a skip connection around them."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))

    def forward(self, features: Tensor) -> Tensor:
        """Add the group's residual to features `[batch, width, rows, columns]`."""
        return features + self.blocks(features)


class GlobalBranch(nn.Module):
    """The global branch: from the whole picture to a vector (section III.C.2, table I)."""

    def __init__(self, channels: int, hidden: int) -> None:
        """Lay out the branch.

        Args:
            channels: of the picture: 3 in colour, 1 in grey.
            hidden: units of fc1.
        """
        super().__init__()
        layers: list[nn.Module] = []
        for width in GLOBAL_CHANNELS:
            layers += [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
            channels = width
        self.convolutions = nn.Sequential(*layers)
        side = GLOBAL_SIDE // 2 ** len(GLOBAL_CHANNELS)
        self.fc1 = nn.Linear(channels * side * side, hidden)
        self.fc2 = nn.Linear(hidden, GLOBAL_FEATURES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # pyright: ignore[reportArgumentType]
        nn.init.zeros_(self.fc2.weight)

    def forward(self, picture: Tensor) -> Tensor:
        """Compute the vector `[batch, 64]` of decoded samples, 0..1, `[batch, channels, height, width]`."""
        with exact(picture):
            resized = resize(picture - 0.5, GLOBAL_SIDE)
        features = self.fc1(self.convolutions(resized).flatten(1))
        return self.fc2(torch.relu(functional.layer_norm(features.float(), features.shape[1:])))


class Qgcn(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: QgcnConfig, *, colour: bool) -> None:
        """Lay out the network.

        Args:
            config: size and kind of the network.
            colour: whether the input is Y, Cb and Cr; else luma only.
        """
        super().__init__()
        self.config = config
        self.colour = colour
        width = config.width
        samples, maps = (3, 2) if colour else (1, 1)
        channels = samples + (maps if config.quantisation_maps else 0)
        self.decode = Decode()
        self.global_branch = GlobalBranch(samples, config.hidden) if config.global_branch else None
        authors = config.authors_layers
        self.down_sample = (
            nn.Sequential(
                nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, width, 4, stride=2, padding=1), nn.ReLU()
            )
            if authors
            else nn.Conv2d(channels, width, 3, stride=2, padding=1)
        )
        self.local = ResidualGroup(width, config.blocks)
        merge = nn.Conv2d(width + GLOBAL_FEATURES, width, 3, padding=1) if config.global_branch else None
        self.merge = nn.Sequential(merge, nn.ReLU()) if merge and authors else merge
        self.combined = ResidualGroup(width, config.blocks)
        up_sample: list[nn.Module] = [nn.Conv2d(width, width, 3, padding=1)] if authors else []
        if config.compact_output:
            project = nn.Conv2d(width, 4 * samples, 3, padding=1)
        else:
            up_sample += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2)]
            project = nn.Conv2d(width, samples, 3, padding=1)
        self.up_sample = nn.Sequential(*up_sample)
        # The exporter recognises the last layer by these names: a runtime may use bf16 up to here.
        self.predict = nn.ModuleDict({"project": project})
        for parameter in self.predict.parameters():
            nn.init.zeros_(parameter)

    @property
    def margin(self) -> int:
        """How many neighbouring blocks of luma, in each direction, a restored block depends on, but for the global
        branch.

        A convolution on the halved grid has a reach of one cell of 2x2 samples, and so has the last one at the
        picture's size, which reads a sample of the next cell. The first layers read one sample beyond a cell each. The
        bilinear resizing of chroma has a reach of two luma samples at chroma's widest span, four.
        """
        branch = [self.local, self.merge, self.combined, self.up_sample, self.predict]
        cells = sum(layer.kernel_size[0] // 2 for part in branch if part for layer in _convolutions(part))
        samples = len(_convolutions(self.down_sample))
        return whole_blocks(2 * cells + samples + (2 if self.colour else 0))

    def picture(self, planes: list[Tensor]) -> Tensor:
        """The planes on luma's grid, `[batch, components, height, width]`.

        Args:
            planes: decoded samples of each component, 0..1, `[batch, 1, height, width]`, at its own sampling.
        """
        luma, *chroma = planes
        return torch.cat([luma, to_grid(torch.cat(chroma, dim=1), *luma.shape[2:])], dim=1) if chroma else luma

    def feature_map(self, picture: Tensor, tables: list[Tensor]) -> Tensor:
        """The feature map Y_Q (section III.B, figure 2).

        Args:
            picture: decoded samples on luma's grid, 0..1, `[batch, components, height, width]`.
            tables: of each component, `[batch, 64]`.

        Returns:
            `[batch, channels, height, width]`: Y, Cb, Cr, then luma's and chroma's quantisation map.
        """
        if not self.config.quantisation_maps:
            return picture
        height, width = picture.shape[2:]
        # At every chroma sampling, its table is tiled with luma's blocks: the map is about steps, not positions.
        steps = [torch.log2(table.reshape(-1, 1, 8, 8)) / 8 for table in tables]
        maps = [steps[0], (steps[1] + steps[2]) / 2] if len(steps) == 3 else steps
        return torch.cat([picture, torch.cat(maps, dim=1).repeat(1, 1, height // 8, width // 8)], dim=1)

    def context(self, *components: Tensor) -> Tensor:
        """The global branch's vector `[batch, 64]` of a whole picture; `components` are those of `forward`.

        Raises:
            ValueError: the network has no global branch.
        """
        if self.global_branch is None:
            raise ValueError("a network without a global branch has no context")
        return self.global_branch(self.picture(self._planes(components)))

    def restore_with(self, context: Tensor, *components: Tensor) -> tuple[Tensor, ...]:
        """Like `forward`, for a picture or a tile of it, given the `context` `[batch, 64]` of the whole picture."""
        planes = self._planes(components)
        return self._restore(planes, self.picture(planes), list(components[1::2]), context)

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a picture: in colour if the network was made for colour, else grey.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component
                in turn, float32. Luma's grid is an exact multiple of chroma's.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component; those of chroma are on luma's grid
            if the network has full chroma.
        """
        planes = self._planes(components)
        picture = self.picture(planes)
        context = None if self.global_branch is None else self.global_branch(picture)
        return self._restore(planes, picture, list(components[1::2]), context)

    def _planes(self, components: tuple[Tensor, ...]) -> list[Tensor]:
        """Decoded samples of each component, 0..1, `[batch, 1, height, width]`."""
        return [to_unit(blocks) for blocks in self.decode(*components)]

    def _restore(
        self, planes: list[Tensor], picture: Tensor, tables: list[Tensor], context: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Add the residual of the restoration branch (section III.C.1) to the picture, or to the decoded planes."""
        features = self.local(self.down_sample(self.feature_map(picture, tables)))
        if self.merge is not None and context is not None:
            everywhere = context[:, :, None, None].expand(-1, -1, *features.shape[2:])
            features = self.merge(torch.cat([features, everywhere], dim=1))
        features = self.up_sample(self.combined(features))
        residual = self.predict["project"](features).float()
        if self.config.compact_output:
            residual = functional.pixel_shuffle(residual, 2)
        restored = list((picture + residual).split(1, dim=1))
        if not self.config.full_chroma:
            parts = residual.split(1, dim=1)[1:]
            restored[1:] = [p + to_grid(part, *p.shape[2:]) for p, part in zip(planes[1:], parts, strict=True)]
        return tuple(from_unit(plane) for plane in restored)


def _convolutions(part: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in part.modules() if isinstance(layer, nn.Conv2d)]
