"""QGCN: Li, Wang, Xie and Ma 2020, "Learning a Single Model with a Wide Range of Quality Factors for JPEG Image
Artifacts Removal".

One set of weights for every quality: the network is told the quantisation tables, and what the whole picture is like.

1. The decoded picture and its quantisation maps, each table tiled to the picture's size, are the feature map Y_Q of
   section III.B: 5 channels of a colour picture, 2 of a grey one.
2. The global branch (section III.C.2, table I) makes a vector of 64 of the picture, at 112x112: `GlobalBranch`.
3. The restoration branch (section III.C.1, figure 3): a convolution of stride 2, a group of residual blocks, the
   vector joined to every cell of their features, another group, and the sub-pixel way back to the picture's size.

Without the global branch it is the paper's QCN, and without the maps as well its "EDSR" (section IV.B, table II).

What the paper's text leaves open, and what is chosen:

* Figure 8's N counts the blocks of each group, as section III.C.1 does: there are 2 N of them.
* A map holds log2(q) / 8, which is 0..1 for 8-bit tables. At equal ratios of q it moves equally far, as the artifacts
  do. As q / 255 all good qualities would look alike: the steps of the IJG's luma table at quality 90 end at 0.1.
* There is one chroma map, and a stream may have a table for Cb and one for Cr: it holds the mean of both in logarithms.
* Joined features have 128 channels, and those of a residual block 64: a 3x3 convolution between the join and the
  second group brings them there. QCN joins nothing and does without.
* As in EDSR, rectifiers are inside residual blocks only, and the way out is a convolution to four times the channels,
  a pixel shuffle, and the last convolution at the picture's size.
* The network predicts what the decoded picture lacks, not the picture itself: a short training starts from the decode.
* The picture is brought to 112x112 by a cubic kernel as wide as the step between samples, so it does not alias; the
  maps, of period 8, would but alias, and stay out. Its samples are centred on zero (`resize`, `GlobalBranch`).
* Rectifiers follow every layer of the global branch but the last.

Where this network departs from the paper:

* It works in YCbCr, as the stream does, and not in RGB: that is a linear map, which the first layer and the last one
  can make their own. Chroma comes up to luma's grid for the network; of the prediction, chroma's part comes down to
  chroma's own sampling and is added there. So equation 6 is taken of Y, Cb and Cr as the stream has them, where at
  4:2:0 chroma's samples are a third of all.
* Section IV.A draws all parameters from a Gaussian of deviation 0.01. Behind the ten layers of the global branch two
  pictures then differ by some 1e-8 in a vector of 1e-2, and no short training finds that. Its layers start at He et
  al.'s numbers instead, those of the restoration branch at PyTorch's, and the last convolution at zero, so that the
  network starts as the decode. So does the branch's last layer: a random vector is noise, which the restoration branch
  learns to ignore sooner than the global one learns to tell anything.
* fc1's features are normalised, each picture's to mean 0 and variance 1 before the rectifier: however training moves
  them together, half of them stay alive. Without that, nearly all were dead after a few hundred batches.
* The way in is one convolution of stride 2; the authors' code has one at full resolution before it, and rectifiers
  after both and after the merge, and a convolution before the upsampling.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mjpeg_restore.models.decode import Decode, exact
from mjpeg_restore.models.papers.planes import from_unit, to_grid, to_unit, whole_blocks

RESIDUAL_SCALE = 0.1
"""The scaler layer at the end of a residual block (section III.C.1)."""

GLOBAL_SIDE = 112
"""The global branch sees the picture at this size, squared (section III.C.2)."""

CUBIC = -0.5
"""Keys' parameter of the cubic kernel that pictures are resized with, as Pillow has it."""

GLOBAL_CHANNELS = (32, 64, 128, 256)
"""Of each pair of the global branch's convolutions (table I)."""

GLOBAL_FEATURES = 64
"""Length of the vector that the global branch gives: fc2 of table I."""


@dataclass(frozen=True, slots=True)
class QgcnConfig:
    """Size and kind of the network."""

    blocks: int
    """Residual blocks of each of the two groups: 32 in section III.C.1; 8, 16, 32 and 64 in figure 8."""
    width: int = 64
    """Channels of the restoration branch."""
    hidden: int = 1024
    """Channels of the global branch's fc1, where most of its weights are."""
    compact_output: bool = False
    """The last convolution predicts a cell's four samples at half the size, and the pixel shuffle follows it."""
    global_branch: bool = True
    """QGCN; else QCN."""
    quantisation_maps: bool = True
    """Y_Q holds the tables; else the picture alone."""


class ResidualBlock(nn.Module):
    """x + 0.1 conv(relu(conv(x))), 3x3, no batch normalisation (section III.C.1, figure 3c)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Add what the two convolutions make of the features, `[batch, width, height, width]`."""
        return features + RESIDUAL_SCALE * self.second(torch.relu(self.first(features)))


class ResidualGroup(nn.Module):
    """Residual blocks, and a skip connection around them."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))

    def forward(self, features: Tensor) -> Tensor:
        """Add what the blocks make of the features, `[batch, width, height, width]`."""
        return features + self.blocks(features)


def resize(picture: Tensor, side: int) -> Tensor:
    """Bring a picture `[batch, channels, height, width]` to `side` squared: bicubic, with no aliasing.

    What Pillow and PyTorch's `interpolate(antialias=True)` do, as two matrix products, which every runtime has.
    """
    down, across = (_resampling(length, side, picture) for length in picture.shape[2:])
    return down @ picture @ across.T


def _resampling(length: int, side: int, like: Tensor) -> Tensor:
    """The matrix `[side, length]` that resamples a line of samples."""
    step = torch.ones((), device=like.device) * length / side
    places = torch.arange(length, device=like.device) + 0.5
    centres = (torch.arange(side, device=like.device) + 0.5) * step
    distance = ((places[None] - centres[:, None]) / step.clamp(min=1)).abs()
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))
    return weights / weights.sum(dim=1, keepdim=True)


class GlobalBranch(nn.Module):
    """The whole picture to a vector (section III.C.2, table I)."""

    def __init__(self, channels: int, hidden: int) -> None:
        """Lay out the branch.

        Args:
            channels: of the picture: 3 in colour, 1 in grey.
            hidden: channels of fc1.
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
        """Decoded samples, 0..1, `[batch, channels, height, width]`, to `[batch, 64]`."""
        with exact(picture):
            resized = resize(picture - 0.5, GLOBAL_SIDE)
        features = self.fc1(self.convolutions(resized).flatten(1))
        return self.fc2(torch.relu(functional.layer_norm(features.float(), features.shape[1:])))


class Qgcn(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: QgcnConfig, *, colour: bool) -> None:
        """Lay out the network.

        Args:
            config: its size and kind.
            colour: it takes Y, Cb and Cr; else luma alone.
        """
        super().__init__()
        self.config = config
        self.colour = colour
        width = config.width
        samples, maps = (3, 2) if colour else (1, 1)
        channels = samples + (maps if config.quantisation_maps else 0)
        self.decode = Decode()
        self.global_branch = GlobalBranch(samples, config.hidden) if config.global_branch else None
        self.down_sample = nn.Conv2d(channels, width, 3, stride=2, padding=1)
        self.local = ResidualGroup(width, config.blocks)
        self.merge = nn.Conv2d(width + GLOBAL_FEATURES, width, 3, padding=1) if config.global_branch else None
        self.combined = ResidualGroup(width, config.blocks)
        if config.compact_output:
            self.up_sample = nn.Identity()
            project = nn.Conv2d(width, 4 * samples, 3, padding=1)
        else:
            self.up_sample = nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2))
            project = nn.Conv2d(width, samples, 3, padding=1)
        # By these two names the exporter knows the network's last word: a runtime may use bf16 up to here.
        self.predict = nn.ModuleDict({"project": project})
        for parameter in self.predict.parameters():
            nn.init.zeros_(parameter)

    @property
    def margin(self) -> int:
        """Blocks of luma beside its own that a restored one can depend on, the global branch aside.

        A convolution on the halved grid looks a cell of two samples far, and so does the last one at the picture's
        size: it looks at a sample of the next cell. The way in looks one sample beyond a cell. The bilinear resize of
        chroma looks at a sample of chroma's two luma samples farther on, at its widest span of four.
        """
        branch = [self.local, self.merge, self.combined, self.up_sample, self.predict]
        layers = [layer for part in branch if part for layer in part.modules() if isinstance(layer, nn.Conv2d)]
        cells = sum(layer.kernel_size[0] // 2 for layer in layers)
        reach = 2 * cells + self.down_sample.kernel_size[0] // 2 + (2 if self.colour else 0)
        return whole_blocks(reach)

    def picture(self, planes: list[Tensor]) -> Tensor:
        """Y, Cb and Cr, as `feature_map` takes them, on luma's grid: `[batch, samples, height, width]`."""
        luma, *chroma = planes
        return torch.cat([luma, to_grid(torch.cat(chroma, dim=1), *luma.shape[2:])], dim=1) if chroma else luma

    def feature_map(self, planes: list[Tensor], tables: list[Tensor]) -> Tensor:
        """Y_Q (section III.B, figure 2).

        Args:
            planes: decoded samples of each component, 0..1, `[batch, 1, height, width]`, at its own sampling.
            tables: of each component, `[batch, 64]`.

        Returns:
            `[batch, channels, height, width]` on luma's grid: Y, Cb, Cr, then luma's and chroma's quantisation map.
        """
        parts = [self.picture(planes)]
        height, width = parts[0].shape[2:]
        if self.config.quantisation_maps:
            # Whatever chroma's sampling, its table is tiled in luma's blocks: the map tells steps, not places.
            steps = [torch.log2(table.reshape(-1, 1, 8, 8)) / 8 for table in tables]
            maps = [steps[0], (steps[1] + steps[2]) / 2] if len(steps) == 3 else steps
            parts.append(torch.cat(maps, dim=1).repeat(1, 1, height // 8, width // 8))
        return torch.cat(parts, dim=1)

    def context(self, *components: Tensor) -> Tensor:
        """What the global branch makes of a whole picture.

        Args:
            components: as `forward` takes them.

        Returns:
            `[batch, 64]`.

        Raises:
            ValueError: the network has no global branch.
        """
        if self.global_branch is None:
            raise ValueError("a network without a global branch has no context")
        return self.global_branch(self.picture(self._planes(components)))

    def restore_with(self, context: Tensor, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a picture, or a tile of one.

        Args:
            context: `[batch, 64]`, what `context` gives for the whole picture.
            components: of the picture or the tile, as `forward` takes them.

        Returns:
            As `forward`.
        """
        planes = self._planes(components)
        return self._restore(planes, self.feature_map(planes, list(components[1::2])), context)

    def forward(self, *components: Tensor) -> tuple[Tensor, ...]:
        """Restore a picture: a colour picture if the network is made for colour, else a grey one.

        Args:
            components: quantised coefficients `[batch, high, wide, 64]` and table `[batch, 64]` of each component
                in turn, float32. Luma's grid is an exact multiple of chroma's.

        Returns:
            Blocks of centred samples `[batch, high, wide, 64]` for each component.
        """
        planes = self._planes(components)
        context = None if self.global_branch is None else self.global_branch(self.picture(planes))
        return self._restore(planes, self.feature_map(planes, list(components[1::2])), context)

    def _planes(self, components: tuple[Tensor, ...]) -> list[Tensor]:
        """Each component's decoded samples, 0..1, `[batch, 1, height, width]`."""
        return [to_unit(blocks) for blocks in self.decode(*components)]

    def _restore(self, planes: list[Tensor], feature_map: Tensor, context: Tensor | None) -> tuple[Tensor, ...]:
        """The restoration branch (section III.C.1), added to the decoded planes."""
        features = self.local(self.down_sample(feature_map))
        if self.merge is not None and context is not None:
            everywhere = context[:, :, None, None].expand(-1, -1, *features.shape[2:])
            features = self.merge(torch.cat([features, everywhere], dim=1))
        features = self.up_sample(self.combined(features))
        residual = self.predict["project"](features).float()
        if self.config.compact_output:
            residual = functional.pixel_shuffle(residual, 2)
        luma, *chroma = planes
        restored = [luma + residual[:, :1]]
        if chroma:
            lacking = to_grid(residual[:, 1:], *chroma[0].shape[2:])
            restored += [plane + part for plane, part in zip(chroma, lacking.chunk(2, dim=1), strict=True)]
        return tuple(from_unit(plane) for plane in restored)
