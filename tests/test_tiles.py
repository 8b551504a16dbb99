from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.restorer.tiles import tiles
from mjpeg_restore.runtime import Inputs, Network, Planes, Progress
from mjpeg_restore.runtime.base import HostNetwork
from tests.agreement import ROUNDED, assert_same, difference
from tests.lacking import needs
from tests.restorers import NETWORKS, RESTORERS, jpeg, photograph

sides = st.integers(1, 60)
margins = st.integers(0, 6)


@given(sides, sides, margins, st.integers(1, 900))
def test_what_is_kept_covers_the_picture_once(high: int, wide: int, margin: int, most: int) -> None:
    kept = np.zeros((high, wide), int)
    for tile in tiles(high, wide, margin, most):
        kept[tile.rows.kept_start : tile.rows.kept_stop, tile.columns.kept_start : tile.columns.kept_stop] += 1
    assert (kept == 1).all()


limits = st.one_of(st.none(), st.tuples(st.integers(13, 30), st.integers(13, 30)))


@given(sides, sides, margins, st.integers(1, 900), limits)
def test_a_tile_sees_its_margin_or_the_pictures_edge(
    high: int, wide: int, margin: int, most: int, limit: tuple[int, int] | None
) -> None:
    for tile in tiles(high, wide, margin, most, limit):
        for span, length in ((tile.rows, high), (tile.columns, wide)):
            assert 0 <= span.start <= span.kept_start < span.kept_stop <= span.stop <= length
            assert span.kept_start - span.start >= min(margin, span.kept_start)
            assert span.stop - span.kept_stop >= min(margin, length - span.kept_stop)


@given(sides, sides, margins, st.integers(1, 900))
def test_all_tiles_have_one_size(high: int, wide: int, margin: int, most: int) -> None:
    found = tiles(high, wide, margin, most)
    assert len({(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start) for t in found}) == 1


def test_what_fits_is_one_tile() -> None:
    (tile,) = tiles(30, 40, 5, 1200)
    assert (tile.rows.start, tile.rows.stop, tile.columns.start, tile.columns.stop) == (0, 30, 0, 40)


def test_tiles_are_within_their_bound() -> None:
    for tile in tiles(300, 400, 5, 1000):
        assert (tile.rows.stop - tile.rows.start) * (tile.columns.stop - tile.columns.start) <= 1000


def test_the_tiles_are_those_of_least_work() -> None:
    """Two halves of a 1080p picture at 4:2:0, side by side; squares of that size would be half as much again."""
    found = tiles(68, 120, 7, 5000)
    assert [(t.rows.stop - t.rows.start, t.columns.stop - t.columns.start) for t in found] == [(68, 67)] * 2


@given(sides, sides, margins, st.sampled_from([(1, 1), (2, 2), (2, 1)]))
def test_cut_and_paste_make_the_picture_again(high: int, wide: int, margin: int, step: tuple[int, int]) -> None:
    whole = np.random.default_rng(0).integers(0, 255, (high * step[0], wide * step[1])).astype(np.uint8)
    again = np.zeros_like(whole)
    for tile in tiles(high, wide, margin, 50):
        tile.paste(np.asarray(tile.cut(whole, *step), np.uint8), again, *step)
    np.testing.assert_array_equal(again, whole)


# ---- restoring in tiles ----


@pytest.mark.parametrize(
    ("model", "sampling"),
    [*product(NETWORKS, ["4:2:0", "4:2:2", "4:4:4", "gray"]), ("l4", "4:2:0"), ("l4", "gray")],
)
def test_tiles_have_no_seams(model: str, sampling: str) -> None:
    pixels = photograph(480, 400)
    coded = read(jpeg(pixels, 20, sampling) if sampling != "gray" else jpeg(pixels[..., 0], 20))
    assert_seamless(RESTORERS[model], coded)


def assert_seamless(restorer: Restorer, coded: CodedPicture, divisor: int = 3) -> None:
    """A picture restored with a part of the memory that it takes is the picture restored at once."""
    whole = restorer.restore(coded)
    memory = int(restorer.model.bytes_per_pixel * coded.width * coded.height / divisor)
    tiled = Restorer(restorer.model, "onnxruntime", threads=2, memory=memory).restore(coded)
    if restorer.model.name in NETWORKS:  # in eight bits; without a margin they would be a third apart at the seams
        decoded = RESTORERS["decode"].restore(coded).planes
        assert difference(tiled.planes, whole.planes, decoded) <= ROUNDED
    else:
        assert_same(tiled.planes, whole.planes)


def test_tiles_see_their_own_share_of_the_noise() -> None:
    assert_seamless(Restorer("one-to-many", "onnxruntime", threads=2), read(jpeg(photograph(240, 208), 10, "4:4:4")), 4)


@pytest.fixture(scope="module")
def contextual(tmp_path_factory: pytest.TempPathFactory) -> Restorer:
    """QGCN with a context drawn at random: the shipped one is the same for every picture."""
    onnx, folder, random = needs("onnx"), tmp_path_factory.mktemp("contextual"), np.random.default_rng(5)
    shipped = catalogue.find("qgcn")
    variant, graphs = shipped.variants[0], {}
    for kind, entry in variant.graphs.items():
        model, path = onnx.load(variant.graphs[kind].path()), folder / entry.file
        for tensor in model.graph.initializer:
            if "global_branch" in tensor.name or "merge" in tensor.name:
                weight = onnx.numpy_helper.to_array(tensor)
                spread = np.sqrt(2 / np.prod(weight.shape[1:]))
                weight = random.normal(0, spread, weight.shape).astype(weight.dtype)
                tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
        onnx.save(model, path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        graphs[kind] = replace(entry, sha256=sha256, folder=folder)
    model = replace(shipped, variants=(catalogue.Variant(None, {}, graphs),))
    return Restorer(model, "onnxruntime", threads=2)


@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_tiles_share_the_context_of_the_whole_picture(contextual: Restorer, kind: str) -> None:
    pixels = photograph(320, 288)
    pixels[:, :160] //= 2  # what one tile would make of itself is not what another would
    coded = read(jpeg(pixels, 20, "4:4:4") if kind == "colour" else jpeg(pixels[..., 0], 20))
    assert contextual.choose(coded)[1] == kind
    assert_seamless(contextual, coded, 4)


class Small(Restorer):
    """A restorer whose network takes few blocks at a time, as an engine with a small profile does."""

    largest = 20, 28

    def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
        return _Limited(super().network(graph, progress), self.largest)


class _Limited(HostNetwork):
    name = "limited"

    def __init__(self, network: Network, largest: tuple[int, int]) -> None:
        self.largest: tuple[int, int] | None = largest
        self._session = network.session(INLINE)

    def run(self, inputs: Inputs) -> Planes:
        high, wide = inputs[0].shape[:2]
        assert high <= 20
        assert wide <= 28
        return self._session.submit(inputs).result()


@pytest.mark.parametrize(("model", "sampling"), [("l4", "4:2:0"), ("decode", "4:2:2"), ("decode", "4:4:4")])
def test_pictures_larger_than_the_network_takes_have_no_seams(model: str, sampling: str) -> None:
    coded = read(jpeg(photograph(480, 200), 20, sampling))
    whole, tiled = (kind(model, "onnxruntime", threads=2).restore(coded) for kind in (Restorer, Small))
    assert_same(tiled.planes, whole.planes)


@given(sides, sides, margins, st.integers(14, 30), st.integers(14, 30))
def test_tiles_are_as_large_as_the_network_takes(high: int, wide: int, margin: int, down: int, across: int) -> None:
    for tile in tiles(high, wide, margin, 10**6, (down, across)):
        for span, limit in ((tile.rows, down), (tile.columns, across)):
            assert span.stop - span.start <= limit
