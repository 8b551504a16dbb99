"""AR-CNN and DnCNN-3 with their authors' weights, as networks under our contract, to be measured like ours.

Both restore luma only, from decoded 8-bit samples. So each starts with the plain decode; chroma is only decoded.

* AR-CNN (Dong et al. 2015): four convolutions, 9-7-1-5, with replicate padding; one set of weights per quality.
* DnCNN-3 (Zhang et al. 2017): twenty 3x3 convolutions with zero padding, which predict the error of the picture.

The weights are not ours to ship. They are read from a folder with `arcnn-q10.mat` to `arcnn-q40.mat` (the MATLAB files
of the authors' demo) and `dncnn3.mat` (likewise, MATLAB 7.3). Reading them needs the extra `peers`.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mjpeg_restore.catalogue import Model, Variant
from mjpeg_restore.errors import MissingExtra
from mjpeg_restore.models import graph
from mjpeg_restore.models.cost import figures
from mjpeg_restore.models.planes import PlaneNetwork, whole_blocks

AR_CNN_QUALITIES = (10, 20, 30, 40)
"""The qualities that AR-CNN has weights for."""

AR_CNN_LAYERS = (("conv1", 1, 9), ("conv2", 64, 7), ("conv22", 32, 1), ("conv3", 16, 5))
"""Name in the file, input channels and kernel side of each layer; the last has one output channel."""

DN_CNN_DEPTH = 20
DN_CNN_WIDTH = 64

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Kernels float32 `[out, in, height, width]` and biases float32 `[out]` of a convolution."""


class LumaNetwork(PlaneNetwork):
    """Convolutions with rectifiers between them, on decoded luma; subclasses differ in `restore_plane`."""

    def __init__(self, sides: list[int], channels: list[int], padding: Literal["zeros", "replicate"]) -> None:
        """Lay out the convolutions.

        Args:
            sides: of the kernels.
            channels: of the input and of each layer's output, one more than `sides`.
            padding: PyTorch's padding mode.
        """
        super().__init__(chroma=False)
        layers = [
            nn.Conv2d(before, after, side, padding=side // 2, padding_mode=padding)
            for side, (before, after) in zip(sides, pairwise(channels), strict=True)
        ]
        self.margin = whole_blocks(sum(side // 2 for side in sides))
        self.body = nn.Sequential(*[module for layer in layers[:-1] for module in (layer, nn.ReLU())])
        # The exporter recognises the last layer by these names: a runtime may use bf16 up to here.
        self.predict = nn.ModuleDict({"project": layers[-1]})

    @torch.no_grad()
    def take(self, layers: list[Layer]) -> None:
        """Load the weights of all layers, in order."""
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
        """The network predicts the error of the picture."""
        return plane - self.predict["project"](self.body(plane))


def load_ar_cnn(folder: Path, quality: int) -> ArCnn:
    """AR-CNN with the weights for the quality nearest to the given one.

    Args:
        folder: holds the authors' files; see the module's docstring.
        quality: of the JPEGs, 1 to 100.

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
    with h5py.File(folder / "dncnn3.mat") as opened:
        file: Any = opened  # what lies under a name is a group or an array: the file says, not its type
        for reference in file["net/layers"][:, 0]:
            layer = file[reference]
            if "weights" in layer:
                kernels, biases = (file[part][()] for part in layer["weights"][:, 0])
                layers.append((_from_columns(kernels), biases.reshape(-1)))
    network = DnCnn()
    network.take(layers)
    return network.eval()


def publish(name: str, network: LumaNetwork, folder: Path) -> Model:
    """Export the grey and the colour graph of a network, as a model like those of the catalogue.

    Args:
        name: for messages and tables.
        network: with its weights.
        folder: for the two ONNX files.
    """
    graphs = graph.export_variant({"grey": network, "colour": network}, name, folder)
    return Model(
        name=name,
        summary=(type(network).__doc__ or "").rstrip("."),
        quality={},
        variants=(Variant(None, {}, graphs),),
        **figures(network),
    )


def _ar_cnn_layer(found: dict[str, NDArray[np.float64]], name: str, channels: int, side: int) -> Layer:
    """A layer of AR-CNN: the file holds `[in, side * side, out]`, each kernel column by column."""
    columns = found[f"weights_{name}"].reshape(channels, side, side, -1).transpose(3, 0, 2, 1)
    return np.ascontiguousarray(columns, np.float32), found[f"biases_{name}"].astype(np.float32).reshape(-1)


def _from_columns(kernels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert h5py's view of a MATLAB array, `[out, in, width, height]`; MATLAB drops a last axis of length one."""
    whole = kernels if kernels.ndim == 4 else kernels[None]
    return np.ascontiguousarray(whole.transpose(0, 1, 3, 2))
