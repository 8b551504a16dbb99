"""ONNX Runtime and OpenVINO: the same results and errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from measuring.metrics import psnr
from PIL import Image

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime import Network, open_network
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.parts import graph_inputs
from mjpeg_restore.runtime.cpu.state import ComponentState
from tests.agreement import ROUNDED
from tests.jpeg.pictures import encode, scene
from tests.lacking import needs
from tests.runtime.graphs import (
    DEVICES,
    NETWORKS,
    assert_agree,
    graph_file,
    open_device,
    picture,
    run,
    with_three_tables,
)

CUT_AT_PLACES = "l4"
"""A network whose graph is cut at `*.place`, not at `*.phases`."""


@pytest.mark.parametrize("device", DEVICES)
def test_planes_are_uint8_and_owned_by_the_caller(device: str) -> None:
    loaded = open_device("stream-lite", device)
    first = run(loaded, picture(seed=1))
    kept = [plane.copy() for plane in first]
    run(loaded, picture(seed=2))
    assert [plane.shape for plane in first] == [(64, 96), (32, 48), (32, 48)]
    assert {plane.dtype for plane in first} == {np.dtype(np.uint8)}
    assert all(map(np.array_equal, first, kept))


@pytest.mark.parametrize(("model", "colour"), [*product(["decode", *NETWORKS], [True, False]), (CUT_AT_PLACES, False)])
def test_both_runtimes_give_the_same(model: str, colour: bool) -> None:
    one, other = (open_device(model, device, colour=colour) for device in DEVICES)
    for quality in (5, 40):
        coded = with_three_tables(picture("4:2:0" if colour else "gray", quality=quality))
        assert_agree(run(other, coded), run(one, coded), coded, other)


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("quality", [10, 40])
def test_both_runtimes_improve_a_picture_equally(model: str, quality: int) -> None:
    original = np.asarray(Image.fromarray(scene(96, 64)).convert("L"))
    coded = picture("gray", quality=quality)
    before, one, other = (
        psnr(run(open_device(name, device, colour=False), coded)[0], original)
        for name, device in [("decode", "onnxruntime"), (model, "onnxruntime"), (model, "openvino")]
    )
    assert min(one, other) > before + 0.3
    # They differ by a sixth of the change at most, and the change's energy is at most the remaining error's.
    assert abs(one - other) < 10 * np.log10(1 + ROUNDED**2)


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("device", DEVICES)
def test_shapes_may_change(device: str, model: str) -> None:
    loaded, reference = open_device(model, device), open_device(model, "onnxruntime")
    shapes = [("4:2:0", (96, 64)), ("4:2:2", (40, 40)), ("4:1:1", (33, 9)), ("4:4:4", (24, 40)), ("4:2:0", (80, 48))]
    for sampling, size in [*shapes, *shapes]:  # more shapes than compiled graphs
        coded = picture(sampling, size)
        assert_agree(run(loaded, coded), run(reference, coded), coded, loaded)


@pytest.mark.parametrize("device", DEVICES)
def test_several_threads_get_the_results_of_one(device: str) -> None:
    loaded = open_device("stream-lite", device, streams=2)
    coded = [picture(sampling, seed=seed) for seed in range(3) for sampling in ("4:2:0", "4:4:4")]
    alone = [run(loaded, inputs) for inputs in coded]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(partial(run, loaded), coded * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert all(map(np.array_equal, one, other))


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_need_not_be_contiguous(device: str) -> None:
    loaded = open_device("stream-lite", device)
    coded = picture()
    strided = [np.repeat(array, 2, axis=0)[::2] for array in coded]
    assert not strided[0].flags.c_contiguous
    assert all(map(np.array_equal, run(loaded, coded), run(loaded, strided)))


@pytest.mark.parametrize("model", ["stream", "stream-video"])
@pytest.mark.parametrize("device", DEVICES)
def test_arrays_may_be_read_only(device: str, model: str) -> None:
    loaded, inputs = open_device(model, device), [array.copy() for array in picture()]
    if model == "stream-video":
        frame = list(zip(inputs[::2], inputs[1::2], strict=True))
        states = [ComponentState.empty(*coefficients.shape[:2]) for coefficients, _ in frame]
        inputs = graph_inputs(frame, states, [History() for _ in states])
    expected = run(loaded, inputs)
    for array in inputs:
        array.flags.writeable = False
    assert all(map(np.array_equal, run(loaded, inputs), expected))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", NETWORKS)
def test_coefficients_stay_in_their_cells(device: str, model: str) -> None:
    assert_in_cells(open_device(model, device))


@pytest.mark.usefixtures("without_bf16")
@pytest.mark.parametrize("model", NETWORKS)
def test_coefficients_stay_in_their_cells_without_bf16(model: str) -> None:
    assert_in_cells(open_device(model, "openvino"))


def assert_in_cells(runtime: Network) -> None:
    coded = read(encode("4:4:4", (96, 64), quality=12))
    planes = run(runtime, components(coded))
    for plane, blocks, table in zip(planes, coded.coefficients, coded.tables, strict=True):
        unclamped = ((plane > 0) & (plane < 255)).reshape(8, 8, 12, 8).all(axis=(1, 3))
        offsets = to_coefficients(plane)[unclamped] / table - blocks[unclamped]
        # Rounding to 8 bits moves a coefficient by at most 4, here an eighth of a step.
        coarse = table >= 32
        assert coarse.sum() > 30
        assert np.abs(offsets[:, coarse]).max() < 0.5 + 4 / 32
        assert (np.abs(offsets[:, coarse]) < 0.5 + 1.5 / 32).mean() > 0.999


def test_the_name_has_library_device_and_precision() -> None:
    assert open_device("decode", "onnxruntime").name.startswith("ONNX Runtime ")
    assert open_device("decode", "openvino").name.endswith(", CPU, f32")


@pytest.mark.parametrize("device", DEVICES)
def test_the_error_for_an_invalid_graph_names_its_file(device: str, tmp_path: Path) -> None:
    if device == "openvino":
        needs("openvino")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeUnavailable, match=r"cannot load broken\.onnx \(.+\): try device=") as caught:
        open_network(graph_file(tmp_path / "broken.onnx"), device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", DEVICES)
def test_the_error_of_a_failed_run_has_the_size_and_a_hint(device: str) -> None:
    loaded = open_device("decode", device)
    wrong = list(picture(size=(96, 64)))
    wrong[1] = wrong[1][:3]
    with pytest.raises(RuntimeUnavailable, match=r"restore a picture of 96x64 \(.+\): try .*threads") as caught:
        run(loaded, wrong)
    assert "\n" not in str(caught.value)
