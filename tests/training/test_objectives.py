from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.lacking import needs

needs("torch")

import torch
from measuring.metrics import ssim

from mjpeg_restore.models.decode import Decode, blocks_to_plane, plane_to_blocks
from mjpeg_restore.models.planes import to_grid
from mjpeg_restore.training.degradation import compress, scaled
from mjpeg_restore.training.objectives import (
    ABSOLUTE_SHARES,
    FLOOR,
    SQUARED_SHARES,
    OnPlanes,
    absolute_error,
    coefficients,
    edge_preserving,
    error_less_similarity,
    jpeg_loss,
    planes,
    root_mean_square,
    squared_error,
    structural_similarity,
)


class Fixed(torch.nn.Module):
    """Restores every component to what it is told."""

    def __init__(self, coefficients: list[torch.Tensor]) -> None:
        super().__init__()
        self.coefficients = coefficients

    def restore(self, *components: torch.Tensor) -> list[torch.Tensor]:
        return self.coefficients


def coded(span: tuple[int, int] | None = (2, 2)):
    rgb = torch.randint(0, 256, (2, 32, 32, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    tables = torch.from_numpy(scaled(20)[None].repeat(2, axis=0))
    return compress(rgb, tables, span, torch.ones(2))


def test_the_root_mean_square_is_at_its_floor_where_nothing_is_wrong() -> None:
    batch = coded()
    assert root_mean_square(Fixed(batch.original), batch).item() == pytest.approx(FLOOR**0.5 * 1.5)


def test_the_root_mean_square_weighs_luma_most() -> None:
    batch = coded()
    losses = [
        root_mean_square(Fixed([c + 5 * (i == wrong) for i, c in enumerate(batch.original)]), batch).item()
        for wrong in range(3)
    ]
    assert losses[0] > 2 * losses[1]
    assert losses[1] == pytest.approx(losses[2])


def test_planes_are_the_originals_and_what_came_back() -> None:
    batch = coded()
    restored, original = planes(Decode(), batch)
    assert [tuple(plane.shape) for plane in restored] == [(2, 32, 32), (2, 16, 16), (2, 16, 16)]
    for found, truth, samples in zip(restored, original, batch.planes, strict=True):
        torch.testing.assert_close(truth * 255 - 128, samples)
        assert 0 < (found - truth).abs().mean() < 0.2


class Interpolated(torch.nn.Module):
    """The plain decode with chroma at luma's size."""

    def forward(self, *components: torch.Tensor) -> tuple[torch.Tensor, ...]:
        luma, *chroma = (blocks_to_plane(blocks) for blocks in Decode()(*components))
        full = [to_grid(plane[:, None], *luma.shape[1:])[:, 0] for plane in chroma]
        return tuple(map(plane_to_blocks, (luma, *full)))


@pytest.mark.parametrize("span", [(2, 2), (2, 1), (1, 2), (4, 1), (1, 1)])
def test_chroma_at_lumas_size_is_held_against_the_originals_there(span: tuple[int, int]) -> None:
    batch = coded(span)
    restored, original = planes(Interpolated(), batch)
    assert {tuple(plane.shape) for plane in (*restored, *original)} == {(2, 32, 32)}
    for truth, own in zip(original, batch.planes, strict=True):
        averaged = to_grid((truth * 255 - 128)[:, None], *own.shape[1:])[:, 0]
        if span != (4, 1):  # of which `to_grid` takes the two samples in the middle
            torch.testing.assert_close(averaged, own, atol=0.51, rtol=0)


def test_coefficients_are_the_planes() -> None:
    batch = coded()
    _, original = planes(Decode(), batch)
    for found, truth in zip(coefficients(original), batch.original, strict=True):
        torch.testing.assert_close(found, truth, atol=2e-2, rtol=0)


@pytest.mark.parametrize("loss", [squared_error, edge_preserving, absolute_error])
def test_an_error_is_nothing_where_nothing_is_wrong(loss: Callable[..., torch.Tensor]) -> None:
    plane = torch.rand(2, 16, 16)
    assert loss([plane], [plane]).item() == 0
    assert loss([plane + 0.1], [plane]).item() > 0


def test_edges_count_beside_samples() -> None:
    plane = torch.zeros(1, 16, 16)
    step = torch.cat([plane, plane + 0.1], dim=2)
    flat = torch.full_like(step, 0.1 / 2**0.5)
    truth = torch.zeros_like(step)
    assert squared_error([step], [truth]).item() == pytest.approx(squared_error([flat], [truth]).item())
    assert edge_preserving([step], [truth]) > edge_preserving([flat], [truth])


def test_similarity_is_the_metrics() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (40, 24)).astype(np.uint8) for _ in range(2))
    ours = structural_similarity(*(torch.from_numpy(p.astype(np.float64))[None] / 255 for p in (a, b)))
    assert ours.item() == pytest.approx(ssim(a, b), abs=1e-6)


def test_similarity_is_rewarded() -> None:
    plane = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert error_less_similarity([plane], [plane]).item() == pytest.approx(-0.05)


def rgb(luma: torch.Tensor, cb: torch.Tensor, cr: torch.Tensor) -> torch.Tensor:
    """T.871's R, G and B."""
    return torch.stack([luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb])


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_components_count_as_in_rgb(side: int, wrong: int) -> None:
    luma, chroma = torch.zeros(1, 16, 16), torch.zeros(1, side, side)
    error = [torch.tensor(float(index == wrong)) for index in range(3)]
    found = [plane + part for plane, part in zip((luma, chroma, chroma), error, strict=True)]
    all_alike = [plane + 1 for plane in (luma, chroma, chroma)]
    truth = [luma, chroma, chroma]
    squared, absolute = rgb(*error).square().mean(), rgb(*error).abs().mean()
    assert squared_error(found, truth).item() == pytest.approx(squared.item() / sum(SQUARED_SHARES), abs=1e-3)
    assert absolute_error(found, truth).item() == pytest.approx(absolute.item() / sum(ABSOLUTE_SHARES), abs=1e-3)
    assert absolute_error(all_alike, truth).item() == pytest.approx(1)


def test_chroma_is_weighed_as_chroma_where_it_is_alone() -> None:
    cb, cr = torch.zeros(1, 8, 8), torch.zeros(1, 8, 8)
    more = squared_error([cb + 1, cr], [cb, cr]) / squared_error([cb, cr + 1], [cb, cr])
    assert more.item() == pytest.approx(1.086 / 0.825)


def test_chroma_alone_leaves_luma_out() -> None:
    class Bad(torch.nn.Module):
        def forward(self, *components: torch.Tensor) -> tuple[torch.Tensor, ...]:
            luma, *chroma = Decode()(*components)
            return (luma + 50, *chroma)

    batch, objective = coded(), OnPlanes(absolute_error, chroma_alone=True)
    assert objective(Bad(), batch).item() == pytest.approx(objective(Decode(), batch).item())
    assert str(objective) == "absolute_error of chroma"


def test_grey_batches_have_luma_alone() -> None:
    batch = coded(None)
    assert len(batch.components()) == 2
    assert len(batch.planes) == len(batch.original) == 1


# ---- the JPEG loss ----


def cell() -> tuple[torch.Tensor, torch.Tensor]:
    """Quantised coefficients and a table."""
    return torch.randint(-3, 4, (2, 2, 3, 64)).float(), torch.randint(2, 60, (2, 64)).float()


def test_the_jpeg_loss_is_nothing_inside_the_cell() -> None:
    quantised, table = cell()
    within = (quantised + torch.rand_like(quantised) - 0.5) * table[:, None, None]
    assert jpeg_loss(within, quantised, table) < 1e-9


def test_the_jpeg_loss_is_the_squared_distance_to_the_cell() -> None:
    quantised, table = cell()
    edge = (quantised + 0.5) * table[:, None, None]
    for beyond in (0.5, 3.0):
        assert jpeg_loss(edge + beyond, quantised, table).item() == pytest.approx(beyond**2, rel=1e-4)
        below = (quantised - 0.5) * table[:, None, None] - beyond
        assert jpeg_loss(below, quantised, table).item() == pytest.approx(beyond**2, rel=1e-4)


def test_the_jpeg_loss_pulls_back_what_is_outside_and_nothing_else() -> None:
    quantised, table = torch.zeros(1, 1, 1, 64), torch.full((1, 64), 10.0)
    restored = torch.zeros(1, 1, 1, 64)
    restored[..., 0], restored[..., 1], restored[..., 2] = 9, -8, 4
    restored.requires_grad_()
    jpeg_loss(restored, quantised, table).backward()
    assert restored.grad is not None
    slope = restored.grad[0, 0, 0]
    assert slope[0] > 0 > slope[1]
    assert not slope[2:].any()
