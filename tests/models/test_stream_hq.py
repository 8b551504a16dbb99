from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import export, load_weights
from mjpeg_restore.models.int8 import Int8Conv
from mjpeg_restore.models.stream_hq import STREAM_HQ, Level, StreamHq, StreamHqConfig
from mjpeg_restore.runtime import open_network
from mjpeg_restore.runtime.cpu.projection import CELL
from mjpeg_restore.runtime.rewriting import for_tensorrt
from tests.models.layers import bias
from tests.models.networks import assert_restored_alike
from tests.runtime.graphs import graph_file
from tests.runtime.rewriting.running import Loaded, as_bytes

TINY = StreamHqConfig(widths=(8, 12, 16), blocks=(1, 1, 1), chroma_widths=(8, 12), chroma_blocks=(1, 1))
SPANS = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)]


def components(span: tuple[int, int] = (2, 2), grid: tuple[int, int] = (2, 3)) -> list[torch.Tensor]:
    """Coefficients and tables of Y, Cb, Cr; `grid` is chroma's, (high, wide)."""
    across, down = span
    high, wide = grid
    random = torch.Generator().manual_seed(1)
    found = []
    for h, w in [(high * down, wide * across), grid, grid]:
        found += [
            torch.randint(-6, 7, (1, h, w, 64), generator=random).float(),
            torch.randint(8, 200, (1, 64), generator=random).float(),
        ]
    return found


def scrambled(scale: float = 0.1) -> StreamHq:
    """A network with random weights everywhere, its last layers included."""
    torch.manual_seed(3)
    network = StreamHq(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, scale)
    return network.eval()


def test_the_cost_is_what_a_gpu_is_worth() -> None:
    network = StreamHq(STREAM_HQ)
    assert 150_000 < macs_per_pixel(network) < 300_000
    assert sum(parameter.numel() for parameter in network.parameters()) < 6.5e6


def test_it_works_in_floating_point() -> None:
    assert not any(isinstance(module, Int8Conv) for module in StreamHq(STREAM_HQ).modules())


def test_a_level_hands_features_of_half_the_grid_down() -> None:
    level = Level((4, 6, 10), (1, 2, 3))
    seen: list[tuple[int, ...]] = []
    for module in level.modules():
        if isinstance(module, Level):
            module.register_forward_hook(lambda _, given, result: seen.append(tuple(result.shape[1:])))
    assert level(torch.randn(1, 4, 8, 12)).shape == (1, 4, 8, 12)
    assert seen == [(10, 2, 3), (6, 4, 6), (4, 8, 12)]


def test_an_untrained_network_is_the_plain_decode() -> None:
    inputs = components()
    with torch.no_grad():
        for ours, plain in zip(StreamHq(TINY).eval()(*inputs), Decode()(*inputs), strict=True):
            torch.testing.assert_close(ours, plain, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("span", "grid"), list(product(SPANS, [(1, 1), (2, 3)])))
def test_every_sampling_down_to_one_block_stays_in_the_cell(span: tuple[int, int], grid: tuple[int, int]) -> None:
    inputs = components(span, grid)
    with torch.no_grad():
        restored = scrambled(1.0).restore(*inputs)
    for found, quantised, table in zip(restored, inputs[::2], inputs[1::2], strict=True):
        assert found.shape == quantised.shape
        place = found / table[:, None, None] - quantised
        assert 0.1 < place.abs().max() <= CELL + 1e-4


def test_chroma_is_guided_by_luma() -> None:
    network, inputs = scrambled(), components()
    with torch.no_grad():
        assert not torch.equal(network(*inputs)[1], network(inputs[0].flip(1), *inputs[1:])[1])


def test_nothing_reaches_beyond_the_margin() -> None:
    network = StreamHq(TINY).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # All that is added up is positive: nothing cancels, and no rectifier is shut.
            parameter.fill_(0 if "condition" in name else 1 if name.endswith("bias") else 1 / parameter[0].numel())
        for predict in (network.predict, network.chroma_predict):
            predict.phases.weight.mul_(1e-3)
            bias(predict.phases).zero_()
    wide = 2 * network.margin + 9
    inputs = components((1, 1), (1, wide))
    for tensor in inputs[::2]:
        tensor.zero_()
    inputs[0].requires_grad_()
    middle = wide // 2
    _, cb, _ = network(*inputs)
    (slope,) = torch.autograd.grad(cb[0, 0, middle].sum(), inputs[0])
    reached = slope[0, 0].any(dim=1).nonzero().flatten()
    farthest = max(middle - reached.min().item(), reached.max().item() - middle)
    assert network.margin - 3 <= farthest <= network.margin


def picture(grids: list[tuple[int, int]]) -> list[NDArray[np.generic]]:
    random = np.random.default_rng(5)
    found: list[NDArray[np.generic]] = []
    for grid in grids:
        found += [
            random.integers(-2, 3, (*grid, 64)).astype(np.int16),
            random.integers(20, 60, 64).astype(np.uint16),
        ]
    return found


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[StreamHq, Path]:
    """A network and its colour graph."""
    needs("onnxscript")
    network, path = scrambled(), tmp_path_factory.mktemp("hq") / "hq.onnx"
    export(network, path, colour=True)
    return network, path


@pytest.mark.slow
def test_both_runtimes_give_what_the_network_gives(exported: tuple[StreamHq, Path]) -> None:
    for module in ("onnxruntime", "openvino"):
        needs(module)
    network, path = exported
    load_weights(network, path)  # large ones are kept as float16
    for runtime in ("onnxruntime", "openvino"):
        opened = open_network(graph_file(path), runtime, 1)
        for grids in ([(4, 6), (2, 3), (2, 3)], [(1, 1)] * 3, [(3, 6), (3, 3), (3, 3)]):
            assert_restored_alike(opened, network, picture(grids), bf16=runtime == "openvino")


@pytest.mark.slow
def test_the_forms_for_a_gpu_give_what_the_graph_gives(exported: tuple[StreamHq, Path]) -> None:
    needs("onnxruntime")
    graph = exported[1].read_bytes()
    original, single, half = map(Loaded, (graph, *(for_tensorrt(graph, half=half) for half in (False, True))))
    inputs = picture([(4, 6), (2, 3), (2, 3)])
    planes = zip(original.run(inputs), single.run(as_bytes(inputs)), half.run(as_bytes(inputs)), strict=True)
    for before, floating, rounded in planes:
        np.testing.assert_array_equal(floating, before)
        assert np.abs(rounded.astype(int) - before).max() <= 1
