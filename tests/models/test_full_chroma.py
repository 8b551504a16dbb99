"""Models that give chroma at luma's size: from their graphs to pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import needs, needs_tensorrt_rtx

needs("torch")
needs("onnx")
needs("onnxscript")

import av
import torch

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import read_manifest
from mjpeg_restore.cli.models import described
from mjpeg_restore.colour import to_sampling
from mjpeg_restore.compare import compose
from mjpeg_restore.errors import ModelCorrupt
from mjpeg_restore.frames import CodedPicture, FieldLayout, Picture, Sampling
from mjpeg_restore.interlace import split_fields, weave
from mjpeg_restore.jpeg import read, scan
from mjpeg_restore.jpeg.segments import COM
from mjpeg_restore.models.cost import DECODE_BYTES, bytes_per_pixel
from mjpeg_restore.models.decode import Decode
from mjpeg_restore.models.graph import Graph
from mjpeg_restore.orientation import fit, upright
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.planes import to_rgb
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime.rewriting import for_tensorrt
from mjpeg_restore.runtime.tensorrt.package import load_package
from mjpeg_restore.sinks import Comparing, OutputSettings, VideoFile
from mjpeg_restore.testing import ListSource
from mjpeg_restore.verification import verify
from tests.agreement import assert_same
from tests.jpeg.pictures import SAMPLINGS, encode, insert, segment
from tests.models.full_chroma import Sharpen, sharpen
from tests.restorers import RESTORERS

DEVICES = ["onnxruntime", "openvino", "torch:cpu"]
SIZES = [(163, 117), (1, 1), (17, 9)]
COLOURS = SAMPLINGS[1:]


def restored_by(device: str = "onnxruntime", **options: Any) -> Restorer:
    if device == "openvino":
        needs("openvino")
    return Restorer(sharpen(), device, threads=2, **options)


@pytest.fixture(scope="module", params=DEVICES)
def restorer(request: pytest.FixtureRequest) -> Restorer:
    return restored_by(request.param)


def expected(coded: CodedPicture) -> list[NDArray[np.uint8]]:
    """What the network makes of a picture, cropped."""
    with torch.no_grad():
        planes = Graph(Sharpen())(*map(torch.from_numpy, components(coded)))
    return [plane.numpy()[: coded.height, : coded.width] for plane in planes]


# ---- the graph and the catalogue ----


def test_the_manifest_says_what_the_graph_gives() -> None:
    graphs = sharpen().variants[0].graphs
    assert {str(port) for port in graphs["colour"].outputs} == {"uint8 [8*y.high, 8*y.wide]"}
    assert [graphs[kind].full_chroma for kind in ("grey", "colour")] == [False, True]
    assert sharpen().full_chroma
    assert any("full resolution" in line for line in described(sharpen()))


def test_no_model_that_projects_gives_chroma_at_lumas_size() -> None:
    assert not any(model.full_chroma for model in catalogue.shipped().values() if model.projected)


def refused(tmp_path: Path, told: str, **changes: Any) -> None:
    content = {"schema": 1, "models": {"sharpen": sharpen().as_dict() | changes}}
    del content["models"]["sharpen"]["name"]
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ModelCorrupt, match=told):
        read_manifest(tmp_path)


def with_outputs(**outputs: str) -> dict[str, Any]:
    """A variant whose colour graph has other outputs."""
    (variant,) = sharpen().as_dict()["variants"]
    colour = variant["graphs"]["colour"]
    return variant | {"graphs": variant["graphs"] | {"colour": colour | {"outputs": colour["outputs"] | outputs}}}


def test_a_manifest_that_contradicts_itself(tmp_path: Path) -> None:
    own = {name: f"uint8 [8*{name}.high, 8*{name}.wide]" for name in ("cb", "cr")}
    refused(tmp_path, "one of cb and cr is at luma's size, the other is not", variants=[with_outputs(cb=own["cb"])])
    refused(tmp_path, "some of its colour graphs", variants=[with_outputs(), with_outputs(**own)])
    refused(tmp_path, "projected, so it gives cb and cr at their own size", projected=True)
    twisted = "uint8 [8*cr.high, 8*cr.wide]"
    refused(tmp_path, "'cb' is .* not '.*cb.wide.' or '.*y.wide.'", variants=[with_outputs(cb=twisted)])


def test_a_graph_that_contradicts_its_manifest() -> None:
    model = sharpen()
    (variant,) = model.variants
    outputs = catalogue.find("decode").variants[0].graphs["colour"].outputs
    graphs = variant.graphs | {"colour": replace(variant.graphs["colour"], outputs=outputs)}
    restorer = Restorer(replace(model, variants=(replace(variant, graphs=graphs),)), "onnxruntime")
    with pytest.raises(ModelCorrupt, match="gives a plane of"):
        restorer.restore(read(encode("4:2:0")))


def test_chroma_at_lumas_size_takes_memory() -> None:
    assert bytes_per_pixel(Decode()) == DECODE_BYTES
    assert bytes_per_pixel(Sharpen()) == 2 * DECODE_BYTES


# ---- restoring ----


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_planes_have_lumas_size(restorer: Restorer, sampling: str, size: tuple[int, int]) -> None:
    coded = read(encode(sampling, size))
    picture = restorer.restore(coded)
    assert picture.source_sampling is coded.sampling
    assert picture.sampling is (Sampling.GRAY if sampling == "gray" else Sampling.YUV444)
    assert_same(picture.planes, expected(coded))
    if sampling != "gray":
        np.testing.assert_array_equal(picture.to_ndarray(), to_rgb(picture.planes, 1, 1))


@pytest.mark.parametrize("sampling", COLOURS)
def test_tiles_have_no_seams(sampling: str) -> None:
    coded = read(encode(sampling, (483, 390)))
    memory = int(sharpen().bytes_per_pixel * coded.width * coded.height / 4)
    whole, tiled = (restored_by(memory=limit).restore(coded) for limit in (10**9, memory))
    assert_same(tiled.planes, whole.planes)


def test_c4_of_swapped_and_flipped_components() -> None:
    data = encode("4:2:0")
    plain = restored_by().restore(read(data))
    swapped = restored_by().restore(read(insert(data, segment(COM, b"MTSJ"))))
    assert not np.array_equal(swapped.planes[1], plain.planes[1])
    data = insert(data, segment(COM, b"Intel(R) JPEG Library, version 1.51"))
    flipped = restored_by().restore(read(data, header=scan(data, codec_tag="MJPG")))
    for ours, theirs in zip(flipped.planes, plain.planes, strict=True):
        np.testing.assert_array_equal(ours, theirs[::-1])


@needs_tensorrt_rtx
def test_tensorrt_takes_the_graph() -> None:
    graph = sharpen().variants[0].graphs["colour"]
    content = for_tensorrt(graph.path().read_bytes(), half=True)
    package = load_package("tensorrt-rtx")
    network = package.module.Builder(package.logger).create_network(
        1 << int(package.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    assert package.module.OnnxParser(network, package.logger).parse(content), package.failure()
    assert [network.get_output(index).name for index in range(3)] == ["y", "cb", "cr"]


# ---- what is done with such a picture ----


def full(sampling: Sampling, size: tuple[int, int] = (64, 48)) -> Picture:
    """A picture of random samples whose chroma was restored at luma's size."""
    rng = np.random.default_rng(3)
    planes = tuple(rng.integers(0, 256, size[::-1]).astype(np.uint8) for _ in range(3))
    return Picture(planes, Sampling.YUV444, coded_sampling=sampling)


@pytest.mark.parametrize("sampling", COLOURS)
@pytest.mark.parametrize("how", ["side", "split"])
def test_before_and_after_in_one(sampling: str, how: Any) -> None:
    coded = read(encode(sampling))
    before, after = RESTORERS["decode"].restore(coded), restored_by().restore(coded)
    both = compose(before, after, how)
    assert (both.sampling, both.source_sampling) == (Sampling.YUV444, coded.sampling)
    for shown, one, other in zip(both.planes, to_sampling(before, Sampling.YUV444).planes, after.planes, strict=True):
        np.testing.assert_array_equal(shown[:, :64], one[:, :64])
        np.testing.assert_array_equal(shown[:, -64:], other[:, -64:])


@pytest.mark.parametrize("sampling", COLOURS)
def test_of_two_fields_each_has_its_own_colours(sampling: str) -> None:
    coded = [read(encode(sampling, (64, 49), seed)) for seed in (1, 2)]
    upper, lower = (restored_by().restore(one) for one in coded)
    woven = weave(upper, lower, FieldLayout())
    assert (woven.sampling, woven.source_sampling) == (Sampling.YUV444, coded[0].sampling)
    for field, again in zip((upper, lower), split_fields(to_sampling(woven, coded[0].sampling)), strict=True):
        for ours, theirs in zip(again.planes, to_sampling(field, coded[0].sampling).planes, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("compare", [False, True])
def test_a_run_is_verified_and_encoded_at_the_streams_sampling(tmp_path: Path, compare: bool) -> None:
    target = VideoFile(tmp_path / "a.mp4", OutputSettings())
    sink = Comparing(target, "split") if compare else target
    report = run(ListSource([encode()] * 2), restored_by(), sink, PipelineSettings(verify=True))
    assert (report.frames, report.sampling) == (2, "4:2:0")
    assert report.verified and report.verified.outside > 0  # it sharpens, and does not project
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt in ("yuv420p", "yuvj420p")


@pytest.mark.parametrize("sampling", COLOURS)
def test_it_is_verified_in_the_streams_blocks(sampling: str) -> None:
    """Chroma that was up-sampled by repetition, and nothing else, comes back as it was."""
    coded = read(encode(sampling, (160, 128)))
    decoded = RESTORERS["decode"].restore(coded)
    across, down = coded.sampling.value or (1, 1)
    luma, *chroma = decoded.planes
    repeated = [plane.repeat(down, axis=0).repeat(across, axis=1)[:128, :160] for plane in chroma]
    picture = replace(decoded, planes=(luma, *repeated), sampling=Sampling.YUV444, coded_sampling=coded.sampling)
    assert verify(picture, coded) == verify(decoded, coded)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_turned_it_is_encoded_as_its_stream_is(sampling: Sampling, size: tuple[int, int], orientation: int) -> None:
    if sampling.value is None:
        return
    restored, plain = full(sampling, size), to_sampling(full(sampling, size), sampling)
    turned = upright(restored, orientation)
    assert turned.sampling is Sampling.YUV444
    assert turned.source_sampling is upright(plain, orientation).source_sampling


@pytest.mark.parametrize("letterbox", [True, False])
def test_at_another_size_it_lies_where_its_original_lies(letterbox: bool) -> None:
    restored = full(Sampling.YUV420, (65, 47))
    plain = to_sampling(restored, Sampling.YUV420)
    one, other = (fit(picture, 133, 50, letterbox=letterbox) for picture in (restored, plain))
    np.testing.assert_array_equal(one.planes[0], other.planes[0])
    assert [plane.shape for plane in one.planes] == [(50, 133)] * 3


def test_what_is_converted_has_the_sampling_that_was_asked_for() -> None:
    for sampling in (Sampling.YUV420, Sampling.YUV422, Sampling.GRAY):
        assert to_sampling(full(Sampling.YUV411), sampling).source_sampling is sampling
