from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.training.degradation import (
    LIMITED_ODDS,
    SPANS,
    STEADY_ODDS,
    Compressed,
    Degradation,
    compress,
    compress_clips,
    draw_clip_tables,
    draw_tables,
    to_ycbcr,
)
from tests.jpeg.pictures import scene

CAMERAS = np.full((2, 2, 64), 40, np.float32)


def compressed(rgb: NDArray[np.uint8], quality: int, span: tuple[int, int], contrast: float = 1.0) -> Compressed:
    tables = torch.from_numpy(np.stack(scaled_tables(quality)).astype(np.float32))[None]
    return compress(torch.from_numpy(rgb[None].copy()), tables, span, torch.tensor([contrast]))


def encoded(rgb: NDArray[np.uint8], quality: int, subsampling: str) -> list[NDArray[np.int16]]:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return list(read(buffer.getvalue()).coefficients)


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize(
    ("subsampling", "span", "share"),
    [("4:4:4", (1, 1), 0.99), ("4:2:2", (2, 1), 0.97), ("4:2:0", (2, 2), 0.97)],
)
def test_coefficients_are_nearly_always_libjpegs(
    quality: int, subsampling: str, span: tuple[int, int], share: float
) -> None:
    rgb = scene(128, 96)
    ours, theirs = compressed(rgb, quality, span).quantised, encoded(rgb, quality, subsampling)
    for one, other in zip(ours, theirs, strict=True):
        difference = np.abs(one[0].numpy() - other)
        assert difference.max() <= 1
        assert (difference == 0).mean() > share


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_grey_coefficients_are_nearly_always_libjpegs(quality: int) -> None:
    luma = scene(128, 96)[..., 1]
    ours = compressed(luma[..., None].repeat(3, axis=2), quality, (1, 1)).quantised[0][0].numpy()
    (theirs,) = encoded(luma, quality, "4:4:4")
    assert np.abs(ours - theirs).max() <= 1
    assert (ours == theirs).mean() > 0.99


@pytest.mark.parametrize("span", SPANS)
def test_shapes_of_every_sampling(span: tuple[int, int]) -> None:
    across, down = span
    coded = compressed(scene(64, 32), 50, span)
    grids = [(4, 8), (4 // down, 8 // across), (4 // down, 8 // across)]
    assert [tuple(part.shape) for part in coded.quantised] == [(1, *grid, 64) for grid in grids]
    assert [tuple(part.shape) for part in coded.components()[1::2]] == [(1, 64)] * 3


def test_originals_lie_in_the_quantisation_cell() -> None:
    coded = compressed(scene(64, 64), 30, (2, 2))
    for original, quantised, table in zip(coded.original, coded.quantised, coded.tables, strict=True):
        assert (original / table[:, None, None] - quantised).abs().max() <= 0.5


def test_ycbcr_is_t871s() -> None:
    colours = torch.tensor([[[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]]]], dtype=torch.uint8)
    luma, cb, cr = to_ycbcr(colours)[0, :, 0].tolist()
    assert luma == [127, -128, 76 - 128, 29 - 128]
    assert cb[:3] == [0, 0, -43]
    assert cb[3] == pytest.approx(127.5, abs=0.5)
    assert cr[:2] == [0, 0]


def test_contrast_makes_limited_range() -> None:
    white = np.full((16, 16, 3), 255, np.uint8)
    full, limited = (compressed(white, 50, (1, 1), contrast).original[0][0, 0, 0, 0] for contrast in (1, 219 / 255))
    assert full == pytest.approx(127 * 8)
    assert limited == pytest.approx(round(127 * 219 / 255) * 8)


def test_limited_range_is_for_grey_pictures_alone() -> None:
    rng = np.random.default_rng(0)
    assert set(Degradation().contrast(200, (2, 2), rng)) == {1}
    share = np.mean(Degradation().contrast(2000, None, rng) < 1)
    assert share == pytest.approx(LIMITED_ODDS, abs=0.05)


def test_some_batches_of_a_network_for_both_are_grey() -> None:
    rng = np.random.default_rng(0)
    spans = [Degradation(grey_odds=0.3).span(rng) for _ in range(2000)]
    assert np.mean([span is None for span in spans]) == pytest.approx(0.3, abs=0.05)
    assert set(spans) == {None, *SPANS}
    assert None not in {Degradation().span(rng) for _ in range(200)}
    assert {Degradation(colour=False).span(rng) for _ in range(20)} == {None}


def clip_tables(frames: int, batch: int) -> torch.Tensor:
    return torch.from_numpy(draw_clip_tables(frames, batch, CAMERAS, np.random.default_rng(0)))


@pytest.mark.parametrize("span", [*SPANS, None])
def test_each_frame_of_a_clip_is_compressed_like_a_picture(span: tuple[int, int] | None) -> None:
    seen = torch.from_numpy(np.stack([scene(64, 32), scene(64, 32)[::-1], scene(64, 32)[:, ::-1]]))
    seen = torch.stack([seen, 255 - seen], dim=1)
    tables = clip_tables(3, 2)
    coded = compress_clips(seen, seen, tables, span)
    assert len(coded.quantised) == len(coded.original) == (3 if span else 1)
    for frame in range(3):
        alone = compress(seen[frame], tables[frame], span, torch.ones(2))
        assert all(map(torch.equal, coded.components(frame), alone.components()))
        for found, expected in zip(coded.original, alone.original, strict=True):
            # The truth is not rounded: at most half a level for each rounding, over a block.
            assert (found[frame] - expected).abs().max() <= 8


def test_the_truth_of_a_clip_is_not_what_was_seen() -> None:
    truth = torch.full((2, 1, 16, 16, 3), 100.25)
    seen = torch.full((2, 1, 16, 16, 3), 103.0)
    coded = compress_clips(truth, seen, torch.ones(2, 1, 2, 64), (2, 2))
    luma, cb, _ = coded.original
    torch.testing.assert_close(luma[..., 0], torch.full((2, 1, 2, 2), 8 * (100.25 - 128)))
    assert cb.abs().max() < 1e-3
    torch.testing.assert_close(coded.quantised[0][..., 0], torch.full((2, 1, 2, 2), 8.0 * (103 - 128)))


def test_floats_and_bytes_are_compressed_alike() -> None:
    seen = torch.from_numpy(scene(32, 32))[None, None]
    tables = clip_tables(1, 1)
    one, other = (compress_clips(seen.float(), kind, tables, (2, 2)) for kind in (seen, seen.float()))
    assert all(map(torch.equal, one.quantised, other.quantised))


def test_a_rate_control_changes_the_tables_of_some_clips() -> None:
    tables = draw_clip_tables(12, 300, CAMERAS, np.random.default_rng(0))
    assert (tables.shape, tables.dtype) == ((12, 300, 2, 64), np.float32)
    assert np.array_equal(tables, np.rint(tables))
    assert tables.min() >= 1
    assert tables.max() <= 255
    changes = (tables[1:] != tables[:-1]).any(axis=(2, 3)).sum(axis=0)
    assert set(changes) == {0, 1, 2, 3}
    assert np.mean(changes == 0) == pytest.approx(STEADY_ODDS, abs=0.1)
    assert (draw_clip_tables(1, 20, CAMERAS, np.random.default_rng(0)) >= 1).all()


@pytest.mark.parametrize("cameras", [CAMERAS, CAMERAS[:0]])
def test_drawn_tables_are_whole_numbers_of_8_bits(cameras: NDArray[np.float32]) -> None:
    tables = draw_tables(400, cameras, np.random.default_rng(0))
    assert tables.shape == (400, 2, 64)
    assert tables.dtype == np.float32
    assert np.array_equal(tables, np.rint(tables))
    assert tables.min() >= 1
    assert tables.max() <= 255


def test_drawn_tables_are_of_many_kinds() -> None:
    tables = draw_tables(400, CAMERAS, np.random.default_rng(0))
    standard = {np.stack(scaled_tables(quality)).astype(np.float32).tobytes() for quality in range(1, 101)}
    share = np.mean([table.tobytes() in standard for table in tables])
    assert 0.7 < share < 0.9
    assert len({table.tobytes() for table in tables}) > 130
    assert 3 < np.quantile(tables[:, 0], 0.1) < np.quantile(tables[:, 0], 0.9) < 250
