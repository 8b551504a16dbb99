from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import DATA, needs, needs_data
from tests.runtime.graphs import run

needs("torch")
needs("onnxscript")
needs("h5py")
needs("scipy.io")

import h5py
import scipy.io
import torch
from measuring.peers import (
    AR_CNN_LAYERS,
    ArCnn,
    DnCnn,
    LumaNetwork,
    load_ar_cnn,
    load_dn_cnn,
    publish,
)

from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode, blocks_to_plane
from mjpeg_restore.runtime import open_network

WEIGHTS = DATA / "peers"
"""The authors' files, where there are any."""

Components = list[NDArray[np.generic]]


@pytest.fixture
def components() -> Components:
    """Coefficients and table of a colour picture of 96x64 at 4:2:0, mid-grey with a little of everything."""
    random = np.random.default_rng(1)
    grids = [(8, 12), (4, 6), (4, 6)]
    tables = [np.full(64, step, np.uint16) for step in (16, 20, 20)]
    blocks = [random.integers(-2, 3, (*grid, 64)).astype(np.int16) for grid in grids]
    return [array for pair in zip(blocks, tables, strict=True) for array in pair]


def planes(network: torch.nn.Module, components: Components) -> list[NDArray[np.float32]]:
    with torch.no_grad():
        blocks = network(*[torch.from_numpy(a.astype(np.float32))[None] for a in components])
    return [blocks_to_plane(samples)[0].numpy() for samples in blocks]


def rounded(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an 8-bit decoder would have made of it, centred."""
    return np.clip(np.rint(plane + 128), 0, 255) - 128


def ar_cnn_file(path: Path, first: NDArray[np.float64]) -> None:
    """Weights that hand the picture through, but for the first layer's one kernel `[9, 9]`."""
    content: dict[str, NDArray[np.float64]] = {}
    after = [64, 32, 16, 1]
    for (name, before, side), out in zip(AR_CNN_LAYERS, after, strict=True):
        kernel = np.zeros((side, side))
        kernel[side // 2, side // 2] = 1
        weights = np.zeros((before, side * side, out))
        weights[0, :, 0] = (first if name == "conv1" else kernel).flatten(order="F")
        content[f"weights_{name}"] = weights[..., 0] if name == "conv3" else weights  # as MATLAB drops the last axis
        content[f"biases_{name}"] = np.zeros((out, 1))
    scipy.io.savemat(path, content)


def dn_cnn_file(path: Path, layers: int = 20) -> None:
    """Weights of which only the last layer's bias is not zero: it takes 1/255 off every sample."""
    channels = [1] + [64] * (layers - 1) + [1]
    with h5py.File(path, "w") as file:
        kind = h5py.special_dtype(ref=h5py.Reference)
        listed = []
        for number in range(layers):
            group = file.create_group(f"#refs#/layer{number}")
            shape = (channels[number + 1], channels[number], 3, 3)
            kernels = np.zeros(shape[1:] if number == layers - 1 else shape, np.float32)
            biases = np.full((1, shape[0]), 1 / 255 if number == layers - 1 else 0, np.float32)
            parts = [
                file.create_dataset(f"#refs#/{n}{number}", data=part).ref for n, part in (("k", kernels), ("b", biases))
            ]
            group.create_dataset("weights", data=np.array(parts, dtype=kind)[:, None], dtype=kind)
            rectifier = file.create_group(f"#refs#/rectifier{number}")
            listed += [group.ref, rectifier.ref][: 2 if number < layers - 1 else 1]
        file.create_dataset("net/layers", data=np.array(listed, dtype=kind)[:, None], dtype=kind)


def test_ar_cnn_kernels_are_stored_column_by_column(tmp_path: Path, components: Components) -> None:
    kernel = np.zeros((9, 9))
    kernel[4, 7] = 1  # looks three samples to the right
    ar_cnn_file(tmp_path / "arcnn-q10.mat", kernel)
    restored = planes(load_ar_cnn(tmp_path, 10), components)[0]
    decoded = rounded(planes(Decode(), components)[0])
    assert restored[:, :-3] == pytest.approx(decoded[:, 3:], abs=1e-4)
    assert restored[:, -3:] == pytest.approx(np.repeat(decoded[:, -1:], 3, axis=1), abs=1e-4)  # the edge repeats


@pytest.mark.parametrize(("quality", "nearest"), [(5, 10), (14, 10), (27, 30), (95, 40)])
def test_ar_cnn_takes_the_weights_of_the_nearest_quality(tmp_path: Path, quality: int, nearest: int) -> None:
    for known in (10, 20, 30, 40):
        ar_cnn_file(tmp_path / f"arcnn-q{known}.mat", np.full((9, 9), float(known)))
    first = load_ar_cnn(tmp_path, quality).body[0]
    assert isinstance(first, torch.nn.Conv2d)
    assert first.weight[0, 0, 0, 0] == nearest


def test_dn_cnn_takes_its_prediction_off_the_picture(tmp_path: Path, components: Components) -> None:
    dn_cnn_file(tmp_path / "dncnn3.mat")
    restored = planes(load_dn_cnn(tmp_path), components)[0]
    assert restored == pytest.approx(rounded(planes(Decode(), components)[0]) - 1, abs=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    dn_cnn_file(tmp_path / "dncnn3.mat", layers=17)
    with pytest.raises(ValueError, match="kernels"):
        load_dn_cnn(tmp_path)


def test_weights_of_another_shape_are_refused() -> None:
    kernels, biases = np.zeros((64, 1, 5, 5), np.float32), np.zeros(64, np.float32)
    with pytest.raises(ValueError, match=r"kernels \(64, 1, 5, 5\), where \(64, 1, 3, 3\) are expected"):
        DnCnn().take([(kernels, biases)] * 20)


@pytest.mark.parametrize("network", [ArCnn(), DnCnn()], ids=["AR-CNN", "DnCNN-3"])
def test_chroma_is_the_plain_decode(network: LumaNetwork, components: Components) -> None:
    for restored, decoded in zip(planes(network, components)[1:], planes(Decode(), components)[1:], strict=True):
        assert np.array_equal(restored, decoded)


@pytest.mark.parametrize(("network", "kmac"), [(ArCnn(), 107), (DnCnn(), 667)], ids=["AR-CNN", "DnCNN-3"])
def test_the_cost_is_the_published_one(network: LumaNetwork, kmac: int) -> None:
    assert macs_per_pixel(network, colour=False) / 1000 == pytest.approx(kmac, rel=0.01)


@pytest.mark.slow
def test_a_published_graph_does_what_the_network_does(tmp_path: Path, components: Components) -> None:
    torch.manual_seed(1)
    network = ArCnn().eval()
    model = publish("peer", network, tmp_path)
    assert model.parameters == 106_561
    for kind, inputs in (("colour", components), ("grey", components[:2])):
        found = run(open_network(model.variants[0].graphs[kind], "onnxruntime"), inputs)
        expected = planes(network, inputs)
        assert len(found) == len(expected)
        for plane, wanted in zip(found, expected, strict=True):
            assert plane.dtype == np.uint8
            assert np.abs(plane - (rounded(wanted) + 128)).max() <= 1


@needs_data("peers")
def test_the_authors_weights_fit() -> None:
    assert sum(weight.numel() for weight in load_ar_cnn(WEIGHTS, 10).parameters()) == 106_561
    assert sum(weight.numel() for weight in load_dn_cnn(WEIGHTS).parameters()) == 665_921
