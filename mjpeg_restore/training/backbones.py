"""Networks trained on photographs, for the papers' feature losses: torchvision's VGG on ImageNet and on MINC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from mjpeg_restore.errors import MissingExtra, ModelError


class Vgg(nn.Module):
    """The first layers of a VGG network, up to the layer whose output is compared; its weights are constants."""

    shift: Tensor
    scale: Tensor

    def __init__(self, layers: nn.Sequential, shift: Sequence[float], scale: float | Sequence[float]) -> None:
        """Wrap the layers.

        Args:
            layers: of a VGG with three input channels.
            shift: subtracted from R, G and B, 0..1.
            scale: divisor of the difference.
        """
        super().__init__()
        self.layers = layers
        self.register_buffer("shift", torch.tensor(shift)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(scale).expand(3)[:, None, None], persistent=False)
        self.eval().requires_grad_(False)

    def features(self, planes: Tensor) -> list[Tensor]:
        """The last layer's feature map of planes `[batch, 1 or 3, height, width]`; a grey plane is R, G and B."""
        return [self.layers((planes.expand(-1, 3, -1, -1) - self.shift) / self.scale)]


def vgg(layer: str = "relu5_4") -> Vgg:
    """A VGG trained on ImageNet, from torchvision, for One-to-Many's perceptual loss.

    The paper describes the last convolution of the 16-layer network, but names it relu5_4. Only the 19-layer network
    has a layer of this name; we follow the name and take VGG-19.

    Args:
        layer: `conv5_4` for the convolution's output, `relu5_4` for the output of its rectifier.

    Raises:
        MissingExtra: torchvision is not installed.
        ModelError: the weights are not on disk and cannot be downloaded.
        ValueError: VGG-19 has no such layer.
    """
    models = _torchvision("The perceptual loss on VGG-19").models
    weights = models.VGG19_Weights.IMAGENET1K_V1
    try:
        network = models.vgg19(weights=weights)
    except (OSError, RuntimeError) as error:
        name, folder = weights.url.rsplit("/", 1)[-1], Path(torch.hub.get_dir()) / "checkpoints"
        raise ModelError(f"VGG-19's weights cannot be loaded ({error}): put {name} into {folder}") from error
    return Vgg(_up_to(network.features, layer), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def minc(path: Path, layer: str = "conv5_3") -> Vgg:
    """A VGG-16 trained on the Materials in Context database, for QGAC's texture loss.

    QGAC compares layer 5, convolution 3, before the rectifier, as does ESRGAN.

    Args:
        path: a state dict with torchvision's names, `features.0.weight` and so on; weights of a classifier are
            ignored. Its authors trained the network in Caffe on B, G, R, 0..255, minus 104, 117, 124; the input is
            converted to that here.
        layer: as for `vgg`.

    Raises:
        MissingExtra: torchvision is not installed.
        ModelError: the file cannot be read, or holds other weights.
        ValueError: VGG-16 has no such layer.
    """
    layers = _torchvision("The texture loss on MINC").models.vgg16(weights=None).features
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        kept = {name.removeprefix("features."): w for name, w in state.items() if name.startswith("features.")}
        layers.load_state_dict(kept)
    except Exception as error:  # torch.load raises many kinds of errors for malformed files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: not the weights of a VGG-16 trained on MINC ({reason})") from error
    with torch.no_grad():
        layers[0].weight.copy_(layers[0].weight.flip(1))  # from B, G, R to R, G, B
    return Vgg(_up_to(layers, layer), (124 / 255, 117 / 255, 104 / 255), 1 / 255)


def _torchvision(purpose: str) -> ModuleType:
    try:
        import torchvision  # pyright: ignore[reportMissingImports]  (part of no extra: its weights are not ours to ship)
    except ImportError as error:
        raise MissingExtra("torchvision", "", purpose) from error
    return torchvision


def _up_to(layers: nn.Sequential, layer: str) -> nn.Sequential:
    """The layers of a VGG up to `layer`: `conv` or `relu`, number of the block, number within the block."""
    block, convolution = 1, 0
    for index, module in enumerate(layers):
        if isinstance(module, nn.MaxPool2d):
            block, convolution = block + 1, 0
            continue
        convolution += isinstance(module, nn.Conv2d)
        kind = "conv" if isinstance(module, nn.Conv2d) else "relu"
        if layer == f"{kind}{block}_{convolution}":
            return nn.Sequential(*list(layers)[: index + 1])
    raise ValueError(f"no layer {layer!r} in this VGG")
