"""AR-CNN and DnCNN-3, from their authors' weights, as networks under our contract: to be measured beside ours.

Both restore luma alone, from decoded 8-bit samples, so each starts with the plain decode and hands chroma through.

* AR-CNN (Dong et al. 2015): four convolutions, 9-7-1-5, edges continued by repetition; one set of weights a quality.
* DnCNN-3 (Zhang et al. 2017): twenty 3x3 convolutions that predict what the picture has too much; zeros at the edges.

The weights are not ours to ship. They come from a folder with `arcnn-q10.mat` to `arcnn-q40.mat` (the MATLAB files of
the authors' demo) and `dncnn3.mat` (likewise, MATLAB 7.3). To read them takes the `peers` extra.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.catalogue import Model, Variant
from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.models import graph
from mjpeg_restore.models.cost import figures
from mjpeg_restore.models.papers.planes import PlaneNetwork, whole_blocks

AR_CNN_QUALITIES = (10, 20, 30, 40)
"""The qualities that AR-CNN has weights for."""

AR_CNN_LAYERS = (("conv1", 1, 9), ("conv2", 64, 7), ("conv22", 32, 1), ("conv3", 16, 5))
"""Name in the file, channels that come in, kernel's side; one channel comes out of the last."""

DN_CNN_DEPTH = 20
DN_CNN_WIDTH = 64

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Kernels float32 `[out, in, height, width]` and biases float32 `[out]` of a convolution."""


class LumaNetwork(PlaneNetwork):
    """Convolutions with rectifiers between them, on decoded luma; what is a peer's own is in `restore_plane`."""

    def __init__(self, sides: list[int], channels: list[int], padding: str) -> None:
        """Lay out the convolutions.

        Args:
            sides: of each kernel.
            channels: between the layers, those that come in and go out included: one more than `sides`.
            padding: PyTorch's word for what lies beyond the edges.
        """
        super().__init__(chroma=False)
        layers = [
            nn.Conv2d(before, after, side, padding=side // 2, padding_mode=padding)
            for side, (before, after) in zip(sides, pairwise(channels), strict=True)
        ]
        self.margin = whole_blocks(sum(side // 2 for side in sides))
        self.body = nn.Sequential(*[module for layer in layers[:-1] for module in (layer, nn.ReLU())])
        # By these two names the exporter knows the network's last word: a runtime may use bf16 up to here.
        self.predict = nn.ModuleDict({"project": layers[-1]})

    @torch.no_grad()
    def take(self, layers: list[Layer]) -> None:
        """Copy weights in, the first layer's first."""
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        for module, (kernels, biases) in zip(convolutions, layers, strict=True):
            assert module.bias is not None
            if module.weight.shape != kernels.shape:
                raise ValueError(f"kernels {kernels.shape}, where {tuple(module.weight.shape)} are expected")
            module.weight.copy_(torch.from_numpy(kernels))
            module.bias.copy_(torch.from_numpy(biases))


class ArCnn(LumaNetwork):
    """AR-CNN."""

    def __init__(self) -> None:
        super().__init__([side for _, _, side in AR_CNN_LAYERS], [*(n for _, n, _ in AR_CNN_LAYERS), 1], "replicate")

    def restore_plane(self, plane: Tensor) -> Tensor:
        """The network predicts the picture itself."""
        return self.predict["project"](self.body(plane))


class DnCnn(LumaNetwork):
    """DnCNN-3."""

    def __init__(self) -> None:
        super().__init__([3] * DN_CNN_DEPTH, [1] + [DN_CNN_WIDTH] * (DN_CNN_DEPTH - 1) + [1], "zeros")

    def restore_plane(self, plane: Tensor) -> Tensor:
        """The network predicts what is wrong with the picture."""
        return plane - self.predict["project"](self.body(plane))


def load_ar_cnn(folder: Path, quality: int) -> ArCnn:
    """AR-CNN with the weights that suit a quality best.

    Args:
        folder: holds the authors' files; see the module's docstring.
        quality: of the JPEGs, 1 to 100; the nearest of `AR_CNN_QUALITIES` is taken.

    Raises:
        MissingExtra: SciPy is not installed.
        OSError: the file cannot be read.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingExtra("SciPy", "peers", "Reading AR-CNN's weights") from error
    nearest = min(AR_CNN_QUALITIES, key=lambda known: abs(known - quality))
    found = loadmat(folder / f"arcnn-q{nearest}.mat")
    network = ArCnn()
    network.take([_ar_cnn_layer(found, *layer) for layer in AR_CNN_LAYERS])
    return network.eval()


def load_dn_cnn(folder: Path) -> DnCnn:
    """DnCNN-3.

    Args:
        folder: holds the authors' file; see the module's docstring.

    Raises:
        MissingExtra: h5py is not installed.
        OSError: the file cannot be read.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("h5py", "peers", "Reading DnCNN-3's weights") from error
    layers: list[Layer] = []
    with h5py.File(folder / "dncnn3.mat") as file:
        for reference in file["net/layers"][:, 0]:
            layer = file[reference]
            if "weights" in layer:
                kernels, biases = (file[part][()] for part in layer["weights"][:, 0])
                layers.append((_from_columns(kernels), biases.reshape(-1)))
    network = DnCnn()
    network.take(layers)
    return network.eval()


def publish(name: str, network: LumaNetwork, folder: Path) -> Model:
    """Export a peer's grey and colour graph, and describe them as the catalogue describes a network of ours.

    Args:
        name: how messages and tables call it.
        network: with its weights.
        folder: where the two ONNX files go.
    """
    graphs = graph.publish({"grey": network, "colour": network}, name, folder)
    return Model(
        name=name,
        summary=(type(network).__doc__ or "").rstrip("."),
        quality={},
        variants=(Variant(None, {}, graphs, folder),),
        **figures(network),
    )


def _ar_cnn_layer(found: dict[str, NDArray[np.float64]], name: str, channels: int, side: int) -> Layer:
    """A layer of AR-CNN's; the file holds `[in, side * side, out]`, each kernel column by column."""
    columns = found[f"weights_{name}"].reshape(channels, side, side, -1).transpose(3, 0, 2, 1)
    return np.ascontiguousarray(columns, np.float32), found[f"biases_{name}"].astype(np.float32).reshape(-1)


def _from_columns(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[out, in, width, height]`, as h5py shows MATLAB's arrays, to ours; MATLAB drops a last axis of one."""
    whole = kernels if kernels.ndim == 4 else kernels[None]
    return np.ascontiguousarray(whole.transpose(0, 1, 3, 2))
