from __future__ import annotations

import hashlib
import io
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore import catalogue
from mjpeg_restore.errors import ModelCorrupt, RuntimeUnavailable, UnknownModel
from mjpeg_restore.frames import Sampling
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.restorer.arrays import components, pad_blocks
from mjpeg_restore.restorer.loaded import texture_of
from mjpeg_restore.runtime import Inputs, NativeDecode, Network, Planes, Session, open_network
from mjpeg_restore.runtime.base import HostNetwork, HostSession
from tests.exact_decode import to_pixels
from tests.jpeg.pictures import SAMPLINGS, encode
from tests.lacking import needs, needs_native_projection
from tests.restorers import NETWORKS, RESTORERS, in_folder, jpeg, photograph
from tests.runtime.graphs import run

SIZES = [(163, 117), (1, 1), (8, 8), (17, 9)]


@pytest.mark.parametrize("model", RESTORERS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_planes_have_the_pictures_size(model: str, size: tuple[int, int], sampling: str) -> None:
    width, height = size
    picture = RESTORERS[model].restore(read(encode(sampling, size)))
    assert (picture.width, picture.height, picture.sampling.label) == (width, height, sampling)
    across, down = picture.sampling.value or (1, 1)
    for index, plane in enumerate(picture.planes):
        expected = (height, width) if index == 0 else (-(-height // down), -(-width // across))
        assert plane.shape == expected
        assert plane.dtype == np.uint8
    assert len(picture.planes) == (1 if sampling == "gray" else 3)


@pytest.mark.parametrize("device", ["auto", "onnxruntime"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_decode_is_the_inverse_dct(size: tuple[int, int], sampling: str, device: str) -> None:
    coded = read(encode(sampling, size))
    picture = Restorer("decode", device, threads=2).restore(coded)
    for plane, blocks, table in zip(picture.planes, coded.coefficients, coded.tables, strict=True):
        exact = to_pixels(blocks, table)[: plane.shape[0], : plane.shape[1]].clip(0, 255)
        assert np.abs(plane - exact).max() <= 0.501


@pytest.mark.parametrize("quality", [5, 30, 75, 98])
def test_decode_of_grey_is_libjpegs_within_1(quality: int) -> None:
    data = encode("gray", (163, 117), quality=quality)
    theirs = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    ours = RESTORERS["decode"].restore(read(data)).planes[0]
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_decode_of_colour_is_libjpegs_luma_within_1(sampling: str) -> None:
    data = encode(sampling, (163, 117))
    image = Image.open(io.BytesIO(data))
    image.draft("YCbCr", image.size)
    theirs = np.asarray(image).astype(int)
    picture = RESTORERS["decode"].restore(read(data))
    assert np.abs(picture.planes[0] - theirs[..., 0]).max() <= 1
    if sampling == "4:4:4":
        assert np.abs(picture.planes[1] - theirs[..., 1]).max() <= 1
        assert np.abs(picture.planes[2] - theirs[..., 2]).max() <= 1


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("sampling", ["gray", "4:2:0", "4:4:4"])
def test_a_network_changes_the_picture(model: str, sampling: str) -> None:
    coded = read(encode(sampling, (64, 48), quality=10))
    before, after = (RESTORERS[name].restore(coded) for name in ("decode", model))
    for old, new in zip(before.planes, after.planes, strict=True):
        assert (old != new).mean() > 0.2


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("quality", [10, 30, 60])
def test_8_bit_output_quantises_back_nearly_always(model: str, quality: int) -> None:
    coded = read(jpeg(photograph(128, 96), quality, "4:4:4"))
    picture = RESTORERS[model].restore(coded)
    for plane, blocks, table in zip(picture.planes, coded.coefficients, coded.tables, strict=True):
        again = np.rint(to_coefficients(plane) / table)
        # Rounding to 8 bits moves a coefficient by less than one level: it matters where the step is about as small.
        assert (again == blocks)[..., table >= 10].mean() > 0.97
        assert np.abs(again - blocks)[..., table >= 10].max(initial=0) <= 1


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize(("quality", "sampling"), [(10, "4:2:0"), (50, "4:4:4"), (75, "4:2:2"), (90, "4:2:0")])
def test_float_output_quantises_back_always(model: str, quality: int, sampling: str) -> None:
    needs("onnx")
    from scripts.measuring.consistency import FloatOutput

    coded = read(jpeg(photograph(163, 117), quality, sampling))
    restorer = RESTORERS[model]
    inputs = restorer.inputs(coded)
    right, total = FloatOutput(restorer.model.variants[0].graphs["colour"].path()).consistent(inputs)
    assert right == total


@pytest.mark.parametrize("model", NETWORKS)
def test_a_shipped_network_brings_the_picture_nearer_to_its_original(model: str) -> None:
    original = photograph(128, 96)
    coded = read(jpeg(original[..., 1], 10))
    before, after = (RESTORERS[name].restore(coded).planes[0] for name in ("decode", model))
    errors = [np.mean((plane.astype(float) - original[..., 1]) ** 2) for plane in (before, after)]
    assert errors[1] < errors[0]


def test_the_quality_is_estimated() -> None:
    assert RESTORERS["decode"].restore(read(encode(quality=42))).quality == 42


def test_several_threads_get_what_one_gets() -> None:
    restorer = Restorer("stream-lite", "onnxruntime", threads=2, streams=2)
    pictures = [read(encode(sampling, size)) for sampling in SAMPLINGS for size in ((64, 48), (33, 25))]
    alone = [restorer.restore(coded) for coded in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(restorer.restore, pictures * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert all(map(np.array_equal, one.planes, other.planes))


def test_padding_continues_the_edge_with_flat_blocks() -> None:
    blocks = np.arange(2 * 3 * 64, dtype=np.int16).reshape(2, 3, 64)
    padded = pad_blocks(blocks, 3, 5)
    assert padded.shape == (3, 5, 64)
    np.testing.assert_array_equal(padded[:2, :3], blocks)
    assert padded[0, 4, 0] == blocks[0, 2, 0]
    assert padded[2, 4, 0] == blocks[1, 2, 0]
    assert not padded[2:, :, 1:].any()
    assert not padded[:, 3:, 1:].any()
    assert pad_blocks(blocks, 2, 3) is blocks


def test_padding_completes_lumas_grid() -> None:
    coded = read(encode("4:2:0", (163, 117)))
    assert coded.sampling is Sampling.YUV420
    luma, _, cb, _, cr, _ = components(coded)
    assert coded.coefficients[0].shape[:2] == (15, 21)  # C2
    assert luma.shape[:2] == (16, 22)
    assert cb.shape == cr.shape == (8, 11, 64)


@needs_native_projection
def test_the_decode_loads_no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.restorer.loaded.open_network", pytest.fail)
    restorer = Restorer("decode")
    restorer.restore(read(encode()))
    assert restorer.runtime_name.startswith("native")


def test_the_decode_has_a_runtime_where_the_extension_was_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NativeDecode, "available", False)
    restorer = Restorer("decode")
    restorer.restore(read(encode()))
    assert restorer.runtime_name.startswith("ONNX Runtime")


def test_another_graph_without_weights_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    shipped = catalogue.find("decode")
    monkeypatch.setattr("mjpeg_restore.restorer.loaded.open_network", lambda graph, *_, **__: opened.append(graph))
    Restorer(replace(shipped, name="sharpen")).network(shipped.variants[0].graphs["colour"])
    assert opened == [shipped.variants[0].graphs["colour"]]


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"threads": -3}, {"streams": 0}])
def test_no_threads_are_no_restorer(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="one or more of each"):
        Restorer("decode", threads=wrong.get("threads"), streams=wrong.get("streams", 1))


def test_an_unknown_model_is_named_at_once() -> None:
    with pytest.raises(UnknownModel, match="no model 'strem'; there are"):
        Restorer("strem")


def test_an_unknown_device_is_named_with_the_first_picture() -> None:
    with pytest.raises(RuntimeUnavailable, match="no device 'tpu'"):
        Restorer("decode", "tpu").restore(read(encode()))


def test_a_missing_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = catalogue.shipped()
    moved = {name: in_folder(model, tmp_path) for name, model in shipped.items()}
    monkeypatch.setattr(catalogue, "shipped", lambda: moved)
    with pytest.raises(ModelCorrupt, match="No such file"):
        Restorer("decode", "onnxruntime").restore(read(encode()))


def test_texture_is_for_models_that_have_some() -> None:
    with pytest.raises(UnknownModel, match="'stream' has no texture to blend in"):
        Restorer("stream", texture=0.5)


@pytest.mark.parametrize("sampling", ["4:2:0", "4:4:4", "gray"])
def test_components_pass_a_network_on_planes_one_by_one(sampling: str) -> None:
    coded = read(encode(sampling, (48, 40), quality=10))
    restorer = Restorer("l4", "onnxruntime", threads=2)
    restored, inputs = restorer.planes(coded), components(coded)
    graph = open_network(restorer.model.variant(10).graphs["grey"], "onnxruntime", 2)
    assert len(restored) == len(coded.coefficients)
    for index, plane in enumerate(restored):
        (alone,) = run(graph, inputs[2 * index : 2 * index + 2])
        assert np.abs(alone.astype(int) - plane).max() <= 1


class Watched(HostNetwork):
    """Remembers the sizes, in blocks, that pass each of its sessions."""

    name = "watched"

    def __init__(self, network: Network) -> None:
        self._session = network.session(INLINE)
        self.seen: list[set[tuple[int, ...]]] = []

    def run(self, inputs: Inputs) -> Planes:
        return self._session.submit(inputs).result()

    def session(self, pool: Executor) -> Session:
        sizes = set[tuple[int, ...]]()
        self.seen.append(sizes)

        def run(inputs: Inputs) -> Planes:
            sizes.add(inputs[0].shape[:2])
            return self.run(inputs)

        return HostSession(run, pool)


def test_luma_and_chroma_have_a_session_each_whose_size_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    restorer = Restorer("l4", "onnxruntime", threads=2)
    watched = Watched(restorer.network(restorer.model.variant(10).graphs["grey"]))
    monkeypatch.setattr(restorer, "network", lambda *_: watched)
    with restorer.stream() as stream:
        for _ in range(2):
            stream.planes(read(encode("4:2:0", (96, 64), quality=10))).result()
    assert watched.seen == [{(8, 12)}, {(4, 6)}]


def test_a_seed_is_a_picture() -> None:
    coded = read(jpeg(photograph(96, 64), 20))
    luma = [Restorer("one-to-many", "onnxruntime", seed=seed).restore(coded).planes[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(luma[0], luma[1])
    assert (luma[0] != luma[2]).mean() > 0.2


# ---- texture ----


def textured(folder: Path) -> tuple[catalogue.Model, dict[str, NDArray[np.floating]]]:
    """A model with weights to blend in, and these."""
    random = np.random.default_rng(2)
    weights = {
        "layer.weight.half": random.normal(0, 1, (3, 5)).astype(np.float16),
        "layer.bias": random.normal(0, 1, 7).astype(np.float32),
    }
    path = folder / "model.texture.npz"
    np.savez_compressed(path, **weights)
    entry = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    stream = catalogue.find("stream")
    return replace(in_folder(stream, folder), texture=entry), weights


def test_texture_comes_with_its_share(tmp_path: Path) -> None:
    model, weights = textured(tmp_path)
    found = texture_of(model, 0.25)
    assert found.share == 0.25
    assert found.weights.keys() == weights.keys()
    for name, array in found.weights.items():
        assert array.dtype == weights[name].dtype
        np.testing.assert_array_equal(array, weights[name])


def test_altered_texture_is_refused(tmp_path: Path) -> None:
    model, _ = textured(tmp_path)
    wrong = replace(model, texture={"file": "model.texture.npz", "sha256": "0" * 64})
    with pytest.raises(ModelCorrupt, match=r"model\.texture\.npz: not the file that the manifest describes"):
        texture_of(wrong, 0.5)


def test_missing_texture_is_named(tmp_path: Path) -> None:
    model, _ = textured(tmp_path)
    (tmp_path / "model.texture.npz").unlink()
    with pytest.raises(ModelCorrupt, match=r"model\.texture\.npz: No such file"):
        texture_of(model, 0.5)


def test_without_texture_there_is_nothing_to_blend() -> None:
    with pytest.raises(UnknownModel, match="'stream' has no texture to blend in"):
        texture_of(catalogue.find("stream"), 0.5)
