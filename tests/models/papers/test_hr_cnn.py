from __future__ import annotations

from pathlib import Path

import pytest

from tests.lacking import needs

needs("torch")

import torch
from torch import nn

from mjpeg_restore.models.cost import macs_per_pixel
from mjpeg_restore.models.decode import Decode, blocks_to_plane, dct_matrix, plane_to_blocks
from mjpeg_restore.models.papers.hr_cnn import DetailBlock, HrCnn, coded_masks
from tests.models.layers import bias, conv
from tests.models.planes import restored_alike

SPANS = [(1, 1), (2, 1), (2, 2), (4, 1)]


@pytest.fixture(autouse=True)
def _the_same_numbers() -> None:
    torch.manual_seed(5)


def component(high: int, wide: int, batch: int = 1) -> list[torch.Tensor]:
    """Coefficients and table of a smooth, bright component."""
    down, along = torch.meshgrid(torch.arange(8.0 * high), torch.arange(8.0 * wide), indexing="ij")
    phase = torch.arange(1.0, batch + 1)[:, None, None]
    plane = 20 + 60 * torch.sin(along / 9 + phase) * torch.cos(down / 7)
    table = torch.randint(2, 9, (batch, 64)).float()
    return [(plane_to_blocks(plane) @ dct_matrix().T / table[:, None, None]).round(), table]


def components(span: tuple[int, int] = (2, 2), grid: tuple[int, int] = (2, 1), batch: int = 1) -> list[torch.Tensor]:
    """Coefficients and tables of Y, Cb, Cr; `grid` is chroma's, (high, wide)."""
    across, down = span
    grids = [(grid[0] * down, grid[1] * across), grid, grid]
    return [tensor for high, wide in grids for tensor in component(high, wide, batch)]


def body_of(block: object) -> torch.nn.Sequential:
    """The layers of a residual block."""
    assert isinstance(block, DetailBlock)
    return block.body


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return 10 * torch.log10(255**2 / (one - other).square().mean()).item()


def parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


# ---- what the paper states ----


def test_parameters_are_those_of_table_three() -> None:
    network = HrCnn()
    assert parameters(network.spectral, network.decoding) == 275_089
    assert parameters(network.details) == 232_068
    assert parameters(network) == 507_157


@pytest.mark.parametrize("rectified", [True, False])
def test_cost(rectified: bool) -> None:
    macs = {
        "extraction": 64,
        "spectral reconstruction": 64 * 64,
        "decoding": 64 * 8 * 25 + 8 * 9,
        "details": 4 * (64 * 121 + 64 * 16 * 49 + 16),
    }
    assert macs_per_pixel(HrCnn(rectified=rectified), colour=False) == sum(macs.values())


def test_channel_extraction_is_a_permutation() -> None:
    masks = coded_masks()
    assert masks.sum(dim=(1, 2, 3)).tolist() == [1] * 64
    assert all(masks[channel, 0, channel // 8, channel % 8] == 1 for channel in range(64))
    coefficients, table = torch.randint(-9, 10, (2, 3, 5, 64)).float(), torch.ones(2, 64)
    network = HrCnn()
    split = network.split(network.k_space(coefficients, table))
    assert torch.equal(split, ((coefficients + network.shift) / 255).permute(0, 3, 1, 2))


def test_the_masks_are_constant() -> None:
    network = HrCnn()
    assert not network.masks.requires_grad
    network(*component(1, 2))[0].square().mean().backward()
    assert network.masks.grad is None
    assert "masks" not in network.state_dict()


def test_a_sample_of_the_k_space_image_is_the_dequantised_coefficient() -> None:
    coefficients, table = torch.zeros(1, 1, 2, 64), torch.full((1, 64), 5.0)
    coefficients[0, 0, 1, 8 * 3 + 6] = 2  # frequency 3 down, 6 across
    image = 255 * HrCnn().k_space(coefficients, table)[0, 0]
    assert image[3, 8 + 6].item() == pytest.approx(10)
    assert image[0, 0].item() == image[0, 8].item() == pytest.approx(1024)
    assert image.count_nonzero() == 3


def test_without_rectifiers_a_network_on_bright_pictures_is_linear() -> None:
    inputs = component(2, 2)
    for rectified in (False, True):
        network = HrCnn(rectified=rectified)
        with torch.no_grad():
            for block in network.details:
                conv(body_of(block)[-1]).weight.uniform_(-0.1, 0.1)
                bias(body_of(block)[0]).uniform_(-0.5, 0.5)
            zero, half, whole = (network(share * inputs[0], inputs[1])[0] for share in (0, 0.5, 1))
            assert whole.min() > -128
        assert torch.allclose(2 * half, zero + whole, atol=1e-2) is not rectified


# ---- initialisation ----


@pytest.mark.parametrize("rectified", [True, False])
def test_an_untrained_network_is_about_the_decode(rectified: bool) -> None:
    inputs = component(4, 6, batch=2)
    with torch.no_grad():
        (restored,), (decoded,) = HrCnn(rectified=rectified)(*inputs), Decode()(*inputs)
    assert decoded.std() > 20
    assert 40 < psnr(restored, decoded) < 80  # not quite it either: all weights are to learn


@pytest.mark.parametrize("rectified", [True, False])
def test_every_weight_learns_from_the_start(rectified: bool) -> None:
    network = HrCnn(rectified=rectified)
    network(*component(2, 2))[0].square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


# ---- the contract ----


def test_samples_are_never_negative() -> None:
    coefficients, table = component(2, 3)
    coefficients[..., 0] -= (1200 / table[:, None, None, 0]).round()
    (restored,) = HrCnn()(coefficients, table)
    assert Decode()(coefficients, table)[0].min() < -140
    assert restored.min() == -128


@pytest.mark.parametrize("chroma", [True, False])
@pytest.mark.parametrize("span", SPANS)
def test_blocks_of_each_component_come_back(span: tuple[int, int], chroma: bool) -> None:
    inputs, network = components(span, (1, 1), batch=2), HrCnn(chroma=chroma)
    with torch.no_grad():
        restored = network(*inputs)
        assert [blocks.shape for blocks in restored] == [blocks.shape for blocks in inputs[::2]]
        for index, decoded in enumerate(Decode()(*inputs)[1:], 1):
            assert torch.equal(restored[index], decoded) is not chroma
            if chroma:  # as if it were luma
                assert torch.equal(restored[index], network(*inputs[2 * index : 2 * index + 2])[0])


def test_a_flat_picture_stays_flat_up_to_its_edges() -> None:
    network = DetailBlock(rectified=True)
    flat = network(torch.full((1, 1, 24, 24), 0.4))
    torch.testing.assert_close(flat, flat[:, :, 12:13, 12:13].expand_as(flat))


def test_training_in_bf16_decodes_in_float32() -> None:
    network, inputs = HrCnn(), component(2, 2)
    with torch.no_grad():
        for block in network.details:
            conv(body_of(block)[-1]).weight.zero_()
        with torch.autocast("cpu", torch.bfloat16):
            (coarse,) = network(*inputs)
        torch.testing.assert_close(coarse, network(*inputs)[0], atol=1e-3, rtol=0)


def test_nothing_beyond_the_margin_is_seen() -> None:
    network = HrCnn(rectified=True).double()  # the margin's end has a share of 1e-9
    coefficients, table = torch.zeros(1, 1, 13, 64).double(), torch.full((1, 64), 4.0).double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.uniform_(0.5, 1).div_(weight[0].numel())
        before = network(coefficients, table)[0]
        coefficients[:, :, 6, 0] = 1e4
        seen = (network(coefficients, table)[0] - before).abs().amax(dim=(0, 1, 3)) > 0
    reached = seen.nonzero().flatten()
    assert 6 - reached.min() == reached.max() - 6 == network.margin == 5


# ---- figure 4 ----


def test_snapshots() -> None:
    network, (coefficients, table) = HrCnn(), component(2, 3, batch=2)
    with torch.no_grad():
        found = network.snapshots(coefficients, table)
        (restored,) = network(coefficients, table)
        (decoded,) = Decode()(coefficients, table)
    names = ["input", "split", "spectral", "decoded", "second block", "output"]
    assert list(found) == names
    assert [tuple(found[name].shape) for name in names] == [
        (2, 2, 3) if name == "split" else (2, 16, 24) for name in names
    ]
    assert torch.equal(found["split"], found["input"][:, ::8, ::8])
    torch.testing.assert_close(found["output"] * 255 - 128, blocks_to_plane(restored))
    # The first channel drawn at full size is each block's mean, to begin with.
    means = (decoded.mean(dim=3) + 128) / 255
    drawn = found["spectral"].unfold(1, 8, 8).unfold(2, 8, 8).mean(dim=(3, 4))
    torch.testing.assert_close(drawn, means, atol=0.01, rtol=0)
    for name in ("decoded", "second block"):
        assert psnr(found[name] * 255 - 128, blocks_to_plane(decoded)) > 40


# ---- as a graph ----


@pytest.mark.slow
def test_it_is_exported(tmp_path: Path) -> None:
    needs("onnxscript")
    from mjpeg_restore.models.graph import export, load_weights

    network, path = HrCnn(chroma=True, rectified=True).eval(), tmp_path / "hr-cnn.onnx"
    with torch.no_grad():
        for block in network.details:
            conv(body_of(block)[-1]).weight.uniform_(-0.5, 0.5)
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):  # equal ones share a place in the file
                parameter.uniform_(-0.01, 0.01)
    export(network, path, colour=True)
    cases = [((2, 2), (3, 5)), ((2, 1), (1, 2)), ((1, 1), (1, 3))]
    for _, expected in restored_alike(network, path, [components(span, grid) for span, grid in cases]):
        assert expected[0].std() > 5
    again = HrCnn(chroma=True, rectified=True)
    load_weights(again, path)
    for ours, theirs in zip(again.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-3)  # the file may hold halves
