"""Parts of `scripts/reproduce.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measuring.metrics import psnr, psnr_b
from measuring.pictures import encode, original, squares
from measuring.scores import samples

from mjpeg_restore.errors import SourceError
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from tests.jpeg.pictures import scene
from tests.lacking import DATA, needs, needs_data

needs("matplotlib")

from reproducing.equivalence import Ladder, equivalent
from reproducing.figures import mosaic
from reproducing.measurement import Kept
from reproducing.networks import Networks
from reproducing.one_to_many import grid
from reproducing.qgac import gains
from reproducing.qgac_tables import TABLE_1 as QGAC_TABLE_1
from reproducing.qgcn import leading
from reproducing.qgcn_tables import TABLE_2, TABLE_3
from reproducing.spp import SimplePostProcessing


@pytest.mark.parametrize("text", ["", '{"a":', "[]", '{"a": 5}', '{"a": ["b"]}'])
def test_a_file_that_holds_no_scores_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(SourceError, match=r"scores\.json: no scores of an earlier run \(.+\); delete it"):
        Kept(tmp_path / "scores.json")


def test_scores_are_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    Kept(path).put("a", (1.0,))
    path.with_name("earlier.json").hardlink_to(path)  # still leads to the bytes before
    Kept(path).put("b", (2.0,))
    assert (Kept(path).get("a"), Kept(path).get("b")) == ((1.0,), (2.0,))
    assert Kept(path.with_name("earlier.json")).get("b") is None


@needs_data("peers")
def test_other_authors_networks_are_measured_where_their_weights_are_at_hand(tmp_path: Path) -> None:
    needs("torch")
    needs("onnxscript")
    needs("scipy")
    assert Networks("onnxruntime", tmp_path).peer("AR-CNN", 10) is None
    networks = Networks("onnxruntime", tmp_path, DATA / "peers")
    network = networks.peer("AR-CNN", 10)
    assert network is not None and network is networks.peer("AR-CNN", 10)
    luma = original(scene(64, 48), "luma")
    coded = read(encode(luma, 10))
    assert psnr(samples(network, coded), luma) > psnr(samples(networks.plain(), coded), luma)


def test_the_best_of_the_rivals_is_the_best_at_that_quality() -> None:
    best = {quality: [*leading(scores)][1] for quality, scores in TABLE_3["live1"].items()}
    assert best == {10: "DMCNN", 20: "DMCNN", 30: "IDCN", 40: "DMCNN", 50: "IDCN"}
    assert [*leading(TABLE_2["live1"][10])] == ["JPEG", "AR-CNN", "EDSR", "QCN", "QGCN"]


def test_squares_are_cut_from_the_corner_and_whole() -> None:
    picture = np.arange(70 * 50, dtype=np.uint8).reshape(70, 50)
    found = squares(picture, 20)
    assert [square.shape for square in found] == 6 * [(20, 20)]
    np.testing.assert_array_equal(found[-1], picture[40:60, 20:40])


def test_spp_lowers_the_steps_at_block_edges_of_pictures_of_any_size() -> None:
    luma = original(scene(59, 37), "luma")
    coded = read(encode(luma, 10))
    decoded, restored = (samples(r, coded) for r in (Restorer("decode"), SimplePostProcessing("onnxruntime")))
    assert restored.shape == luma.shape
    assert psnr(restored, luma) > psnr(decoded, luma)
    assert psnr_b(restored, luma) > psnr_b(decoded, luma) + 1


def test_spp_leaves_what_the_table_does_not_coarsen() -> None:
    luma = original(scene(40, 24), "luma")
    coded = read(encode(luma, 100))
    restored = samples(SimplePostProcessing("onnxruntime"), coded)
    assert np.abs(restored.astype(int) - samples(Restorer("decode"), coded)).max() <= 1


def test_a_mosaic_has_gaps_and_one_scale_for_each_tile() -> None:
    whole = mosaic(np.stack([np.full((2, 3), value) for value in (-4.0, 1.0, 0.5)]), 2)
    np.testing.assert_array_equal(whole[:2], [2 * [-1] + [-1, 0, 1, 1, 1]] * 2)
    np.testing.assert_array_equal(whole[2], np.zeros(7))
    np.testing.assert_array_equal(whole[3], [1, 1, 1, 0, 0, 0, 0])


def test_a_grid_of_period_2_is_measured_and_a_coarser_one_is_not() -> None:
    ground = np.full((40, 60), 100.0)
    ground[1::2, ::2] += 3
    assert grid(ground) == 3
    ground[:] = 100
    ground[:, 2::4] += 3
    ground[:, 3::4] += 3
    assert grid(ground) == 0


def test_published_gains_are_over_the_papers_own_jpeg() -> None:
    table = QGAC_TABLE_1["live1"][10]
    found = {method: gains(score, table["JPEG"]) for method, score in table.items()}
    assert [f"{psnr:.2f} {ssim:.3f}" for psnr, ssim in found.values()] == [
        *("0.00 0.000", "1.06 0.037", "1.61 0.050", "2.02 0.061", "1.58 0.055", "2.05 0.064")
    ]


def test_the_plain_decode_is_equivalent_to_itself() -> None:
    decode = Restorer("decode")
    ladder = Ladder(scene(56, 72), decode, {})
    assert equivalent(ladder, decode, 30) == 30
    assert ladder.rung(30)[1] < ladder.rung(40)[1]
