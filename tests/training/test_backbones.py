from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.errors import MissingExtra, ModelError
from mjpeg_restore.training.backbones import minc, vgg
from mjpeg_restore.training.features import perceptual_loss, texture_loss

VGG_16 = (2, 2, 3, 3, 3)
VGG_19 = (2, 2, 4, 4, 4)


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(2)


# ---- VGG and MINC, by a torchvision of our own ----


def layers(blocks: tuple[int, ...]) -> nn.Sequential:
    """The layers of a VGG, with few channels."""
    found: list[nn.Module] = []
    before = 3
    for number, count in enumerate(blocks):
        for _ in range(count):
            found += [nn.Conv2d(before, 4 + number, 3, padding=1), nn.ReLU(inplace=True)]
            before = 4 + number
        found.append(nn.MaxPool2d(2))
    return nn.Sequential(*found)


class TorchVision:
    """As much of torchvision as is asked for."""

    def __init__(self) -> None:
        weights = types.SimpleNamespace(url="https://example.org/models/vgg19-dcbb9e9d.pth")
        self.VGG19_Weights = types.SimpleNamespace(IMAGENET1K_V1=weights)
        self.models = self
        self.trained = layers(VGG_19)
        self.failure: Exception | None = None

    def vgg19(self, *, weights: object) -> types.SimpleNamespace:
        assert weights is self.VGG19_Weights.IMAGENET1K_V1
        if self.failure:
            raise self.failure
        return types.SimpleNamespace(features=self.trained)

    def vgg16(self, *, weights: None) -> types.SimpleNamespace:
        assert weights is None
        return types.SimpleNamespace(features=layers(VGG_16))


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> TorchVision:
    module = TorchVision()
    monkeypatch.setitem(sys.modules, "torchvision", module)
    return module


def test_vggs_layers_have_the_papers_names(torchvision: TorchVision) -> None:
    planes = torch.rand(1, 3, 32, 32)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (planes - mean[:, None, None]) / deviation[:, None, None]
    (last,) = vgg().features(planes)
    torch.testing.assert_close(last, torchvision.trained[:-1](normal.clone()))  # all but the last pooling
    assert last.shape == (1, 8, 2, 2)
    assert last.min() == 0
    (bare,) = vgg("conv5_4").features(planes)
    torch.testing.assert_close(bare.relu(), last)
    torch.testing.assert_close(vgg("relu2_1").features(planes)[0], torchvision.trained[:7](normal.clone()))


def test_a_grey_plane_is_seen_as_r_g_b(torchvision: TorchVision) -> None:
    grey, extractor = torch.rand(2, 1, 32, 32), vgg("relu3_1")
    torch.testing.assert_close(extractor.features(grey)[0], extractor.features(grey.repeat(1, 3, 1, 1))[0])
    assert perceptual_loss(extractor, grey, grey) == 0
    restored = (grey / 2).requires_grad_()
    perceptual_loss(extractor, restored, grey).backward()
    assert restored.grad is not None and restored.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


@pytest.mark.parametrize("layer", ["relu5_5", "pool5_1", "relu6_1"])
def test_a_layer_that_is_not_there(torchvision: TorchVision, layer: str) -> None:
    with pytest.raises(ValueError, match=layer):
        vgg(layer)


def test_without_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtra, match="pip install torchvision"):
        vgg()
    with pytest.raises(MissingExtra, match="pip install torchvision"):
        minc(tmp_path / "minc.pt")


def test_vggs_weights_that_cannot_be_had(torchvision: TorchVision) -> None:
    torchvision.failure = OSError("no route to host")
    with pytest.raises(ModelError, match=r"no route to host.*put vgg19-dcbb9e9d.pth into .*checkpoints"):
        vgg()


def test_mincs_weights_come_from_a_file(torchvision: TorchVision, tmp_path: Path) -> None:
    trained = layers(VGG_16)
    state = {f"features.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({**state, "classifier.0.weight": torch.zeros(3)}, tmp_path / "minc.pt")
    planes = torch.rand(1, 3, 32, 32)
    caffe = planes.flip(1) * 255 - torch.tensor([104.0, 117.0, 124.0])[:, None, None]  # B, G, R
    torch.testing.assert_close(minc(tmp_path / "minc.pt").features(planes)[0], trained[:-2](caffe))
    assert texture_loss(minc(tmp_path / "minc.pt"), planes, planes) == 0


def test_files_that_are_not_mincs_weights(torchvision: TorchVision, tmp_path: Path) -> None:
    path = tmp_path / "minc.pt"
    with pytest.raises(ModelError, match=r"minc\.pt"):
        minc(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="VGG-16"):
        minc(path)
    torch.save({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="VGG-16"):
        minc(path)
