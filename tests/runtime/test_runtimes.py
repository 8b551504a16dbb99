from __future__ import annotations

import importlib
import importlib.abc
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from measuring.metrics import psnr
from PIL import Image

from mjpeg_restore import catalogue, runtime
from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.restorer import components
from mjpeg_restore.runtime import Inputs, NativeDecode, Planes, Runtime, open_runtime
from mjpeg_restore.runtime.base import wrap_errors
from mjpeg_restore.runtime.cpu import projection
from tests.agreement import FINE, ROUNDED, assert_same, difference, plain_decode
from tests.jpeg.pictures import encode, scene
from tests.lacking import needs, needs_native_projection, needs_openvino

NETWORKS = ["stream", "stream-lite"]
CUT_OTHERWISE = "l4"
"""A network that ends with places, not with phases."""
DEVICES = ["onnxruntime", "openvino"]


def open_device(model: str, device: str, *, colour: bool = True, streams: int = 1) -> Runtime:
    if device == "openvino":
        needs("openvino")
    return open_runtime(catalogue.find(model).variants[0].file("colour" if colour else "grey"), device, 2, streams)


def inputs_of(coded: CodedPicture) -> Inputs:
    return components(coded)


def picture(sampling: str = "4:2:0", size: tuple[int, int] = (96, 64), seed: int = 0, quality: int = 40) -> Inputs:
    return inputs_of(read(encode(sampling, size, seed, quality=quality)))


def with_three_tables(inputs: Inputs) -> Inputs:
    """Cr has a table of its own (Q2)."""
    return [*inputs[:5], inputs[5] + np.uint16(9)] if len(inputs) == 6 else inputs


def assert_agree(ours: Planes, theirs: Planes, coded: Inputs, runtime: Runtime, share: float = ROUNDED) -> None:
    """Two runs, one of them in this runtime, gave the same picture, as far as its precision allows."""
    if runtime.name.endswith(", CPU, f32"):  # no eight bits, no bf16
        assert_same(ours, theirs)
    else:
        assert difference(ours, theirs, plain_decode(coded)) <= share


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO on a CPU that has no bf16."""
    needs("openvino")
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)


@pytest.mark.parametrize("device", DEVICES)
def test_planes_are_uint8_and_the_callers(device: str) -> None:
    loaded = open_device("stream-lite", device)
    first = loaded.run(picture(seed=1))
    kept = [plane.copy() for plane in first]
    loaded.run(picture(seed=2))
    assert [plane.shape for plane in first] == [(64, 96), (32, 48), (32, 48)]
    assert {plane.dtype for plane in first} == {np.dtype(np.uint8)}
    assert all(map(np.array_equal, first, kept))


@pytest.mark.parametrize(("model", "colour"), [*product(["decode", *NETWORKS], [True, False]), (CUT_OTHERWISE, False)])
def test_both_runtimes_give_the_same(model: str, colour: bool) -> None:
    one, other = (open_device(model, device, colour=colour) for device in DEVICES)
    for quality in (5, 40):
        coded = with_three_tables(picture("4:2:0" if colour else "gray", quality=quality))
        assert_agree(other.run(coded), one.run(coded), coded, other)


def broken(model: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """A network's graph, again and again, each time with one thing wrong."""
    onnx = needs("onnx")
    graph = onnx.load(catalogue.find(model).variants[0].file("colour"))
    for tensor in graph.graph.initializer:
        weight = onnx.numpy_helper.to_array(tensor)
        if not tensor.name.removesuffix(".half").endswith(".weight") or weight.ndim != 4:
            continue
        kept = onnx.TensorProto()
        kept.CopyFrom(tensor)
        wrongs = {"is missing": 0 * weight, "takes its channels in another order": weight[:, ::-1]}
        if "predict" in tensor.name:  # elsewhere a scale that is wrong may do little
            wrongs["is halved"] = weight / 2
        for what, wrong in wrongs.items():
            if np.array_equal(weight, wrong):  # it takes one channel
                continue
            tensor.CopyFrom(onnx.numpy_helper.from_array(wrong.astype(weight.dtype), tensor.name))
            onnx.save(graph, folder / "broken.onnx")
            yield f"{tensor.name} {what}", folder / "broken.onnx"
        tensor.CopyFrom(kept)


@pytest.mark.parametrize("model", NETWORKS)
def test_what_is_allowed_is_less_than_an_error_makes(model: str, tmp_path: Path) -> None:
    inputs = [with_three_tables(picture(quality=quality)) for quality in (5, 40)]
    right = [open_device(model, "onnxruntime").run(coded) for coded in inputs]

    def error(loaded: Runtime, seen: list[Inputs]) -> float:
        return max(
            difference(loaded.run(ours), planes, plain_decode(coded))
            for ours, planes, coded in zip(seen, right, inputs, strict=True)
        )

    exchanged: list[Inputs] = [[*coded[:3], coded[5], coded[4], coded[3]] for coded in inputs]
    found = {"tables exchanged": error(open_device(model, "onnxruntime"), exchanged)}
    for what, path in broken(model, tmp_path):
        found[what] = error(open_runtime(path, "onnxruntime", 2), inputs)
    assert len(found) > 20
    assert min(found.values()) > ROUNDED, min(found, key=lambda what: found[what])


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("quality", [10, 40])
def test_both_runtimes_gain_the_same(model: str, quality: int) -> None:
    original = np.asarray(Image.fromarray(scene(96, 64)).convert("L"))
    coded = picture("gray", quality=quality)
    before, one, other = (
        psnr(open_device(name, device, colour=False).run(coded)[0], original)
        for name, device in [("decode", "onnxruntime"), (model, "onnxruntime"), (model, "openvino")]
    )
    assert min(one, other) > before + 0.3
    # They are a sixth of the change apart; its square is no more than what is left of the error, where half is mended.
    assert abs(one - other) < 10 * np.log10(1 + ROUNDED**2)


@pytest.mark.parametrize("model", NETWORKS)
def test_no_pair_of_weights_is_too_large_for_sixteen_bits(model: str) -> None:
    onnx = needs("onnx")
    graph = onnx.load(catalogue.find(model).variants[0].file("colour")).graph
    arrays = {entry.name.removesuffix(".half"): onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    layers = [name.removesuffix(".weight_step") for name in arrays if name.endswith(".weight_step")]
    assert len(layers) >= 8
    for layer in layers:
        weight = arrays[f"{layer}.weight"].astype(np.float32)
        steps = np.rint(weight / arrays[f"{layer}.weight_step"][:, None, None, None])
        for sign in (steps.clip(min=0), -steps.clip(max=0)):
            assert 255 * (sign[:, 0::2] + sign[:, 1::2]).max() < 2**15, layer


@pytest.mark.parametrize("model", NETWORKS)
def test_onnx_runtime_is_the_network_itself(model: str) -> None:
    torch = needs("torch")
    needs("onnx")
    from mjpeg_restore.models.graph import Graph, load_weights
    from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream

    network = Stream({"stream": STREAM, "stream-lite": STREAM_LITE}[model]).eval()
    load_weights(network, catalogue.find(model).variants[0].file("colour"))
    coded = picture(quality=20)
    with torch.no_grad():
        expected = Graph(network)(*map(torch.from_numpy, coded))
    ours = open_device(model, "onnxruntime").run(coded)
    assert difference(ours, [plane.numpy() for plane in expected], plain_decode(coded)) <= ROUNDED


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.usefixtures("without_bf16")
def test_both_runtimes_give_the_same_without_bf16(model: str) -> None:
    one, other = (open_device(model, device) for device in DEVICES)
    assert other.name.endswith(", int8 and f32")
    for quality, share in [(5, ROUNDED), (40, ROUNDED), (90, FINE)]:
        coded = with_three_tables(picture(quality=quality))
        assert_agree(other.run(coded), one.run(coded), coded, other, share)


@needs_native_projection
@needs_openvino
@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_the_rest_of_the_graph_gives_what_the_native_extension_gives(
    model: str, colour: bool, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bf16:
        monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)
    native = open_device(model, "openvino", colour=colour)
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.native", None)
    monkeypatch.setattr(projection, "native", None)
    without = open_device(model, "openvino", colour=colour)
    assert native.name == without.name
    coded = with_three_tables(picture("4:2:0" if colour else "gray"))
    planes = without.run(coded)
    monkeypatch.undo()
    assert_agree(native.run(coded), planes, coded, native)


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("device", DEVICES)
def test_any_shape_after_the_first(device: str, model: str) -> None:
    loaded, reference = open_device(model, device), open_device(model, "onnxruntime")
    shapes = [("4:2:0", (96, 64)), ("4:2:2", (40, 40)), ("4:1:1", (33, 9)), ("4:4:4", (24, 40)), ("4:2:0", (80, 48))]
    for sampling, size in [*shapes, *shapes]:  # more than have a compiled graph of their own
        coded = picture(sampling, size)
        assert_agree(loaded.run(coded), reference.run(coded), coded, loaded)


@pytest.mark.parametrize("device", DEVICES)
def test_several_threads_get_what_one_gets(device: str) -> None:
    loaded = open_device("stream-lite", device, streams=2)
    coded = [picture(sampling, seed=seed) for seed in range(3) for sampling in ("4:2:0", "4:4:4")]
    alone = [loaded.run(inputs) for inputs in coded]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(loaded.run, coded * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert all(map(np.array_equal, one, other))


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_need_not_be_contiguous(device: str) -> None:
    loaded = open_device("stream-lite", device)
    coded = picture()
    strided = [np.repeat(array, 2, axis=0)[::2] for array in coded]
    assert not strided[0].flags.c_contiguous
    assert all(map(np.array_equal, loaded.run(coded), loaded.run(strided)))


@pytest.mark.usefixtures("without_bf16")
@pytest.mark.parametrize("model", NETWORKS)
def test_the_cell_is_kept_without_bf16(model: str) -> None:
    test_the_cell_is_kept_whatever_the_precision("openvino", model)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", NETWORKS)
def test_the_cell_is_kept_whatever_the_precision(device: str, model: str) -> None:
    coded = read(encode("4:4:4", (96, 64), quality=12))
    planes = open_device(model, device).run(inputs_of(coded))
    for plane, blocks, table in zip(planes, coded.coefficients, coded.tables, strict=True):
        unclamped = ((plane > 0) & (plane < 255)).reshape(8, 8, 12, 8).all(axis=(1, 3))
        place = to_coefficients(plane)[unclamped] / table - blocks[unclamped]
        # Rounding to 8 bits moves a coefficient by 4 at the very most, here an eighth of a step at most.
        coarse = table >= 32
        assert coarse.sum() > 30
        assert np.abs(place[:, coarse]).max() < 0.5 + 4 / 32
        assert (np.abs(place[:, coarse]) < 0.5 + 1.5 / 32).mean() > 0.999


def test_the_name_says_what_runs() -> None:
    assert open_device("decode", "onnxruntime").name.startswith("ONNX Runtime ")
    assert open_device("decode", "openvino").name.endswith(", CPU, f32")


@pytest.mark.usefixtures("without_bf16")
def test_auto_is_openvino_where_it_is_installed() -> None:
    assert open_device("stream-lite", "auto").name.startswith("OpenVINO ")


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_device("decode", "auto").run(picture())
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cpu.openvino", raising=False)
    assert open_device("decode", "auto").name.startswith("ONNX Runtime ")


@pytest.mark.parametrize("device", ["cuda", "", "onnxruntime:GPU", "openvinos"])
def test_an_unknown_device_names_those_that_are_known(device: str) -> None:
    with pytest.raises(RuntimeUnavailable, match="there are auto, onnxruntime, openvino") as caught:
        open_runtime(catalogue.find("decode").variants[0].file("colour"), device)
    assert repr(device) in str(caught.value)


def test_openvinos_missing_device_names_those_that_are_there() -> None:
    needs("openvino")
    with pytest.raises(RuntimeUnavailable, match=r"OpenVINO has no device 'NPU\.7' here, only .*CPU"):
        open_runtime(catalogue.find("decode").variants[0].file("colour"), "openvino:NPU.7")


def test_openvino_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cpu.openvino", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install openvino \(the extra mjpeg-restore\[openvino\]\)"):
        open_runtime(catalogue.find("decode").variants[0].file("colour"), "openvino")


def test_onnx_runtime_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cpu.onnxruntime", raising=False)
    graph = catalogue.find("decode").variants[0].file("colour")
    with pytest.raises(MissingExtra, match=r"pip install onnxruntime \(the extra mjpeg-restore\[onnxruntime\]\)"):
        open_runtime(graph, "onnxruntime")
    if find_spec("openvino"):
        assert open_runtime(graph).name.startswith("OpenVINO ")
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cpu.openvino", raising=False)
    with pytest.raises(MissingExtra, match="needs OpenVINO"):  # of the two, the faster one
        open_runtime(graph)


def test_what_is_missing_passes_between_processes() -> None:
    error = MissingExtra("SciPy", "peers", "Reading weights")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "Reading weights needs SciPy: pip install scipy (the extra mjpeg-restore[peers])"


def test_usable_cores_is_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.usable_cores() >= 1
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    assert runtime.usable_cores() >= 1


def without_openvino(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """An import of OpenVINO ends with `error`."""

    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "openvino":
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "mjpeg_restore.runtime.cpu.openvino", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])


@pytest.mark.parametrize(
    "error", [ImportError("libtbb.so.12: no such file"), OSError("Exception from core.cpp:\nlibtbb.so.12: no\n\n")]
)
def test_openvino_in_disorder_is_told_or_passed_over(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    without_openvino(monkeypatch, error)
    with pytest.raises(
        RuntimeUnavailable, match=r"does not load \(libtbb\.so\.12: .*\): try device='onnxrun"
    ) as caught:
        open_runtime(catalogue.find("decode").variants[0].file("colour"), "openvino")
    assert not isinstance(caught.value, MissingExtra)
    assert open_device("decode", "auto").name.startswith("ONNX Runtime ")


@pytest.mark.parametrize("device", DEVICES)
def test_a_graph_that_cannot_be_loaded_is_named(device: str, tmp_path: Path) -> None:
    if device == "openvino":
        needs("openvino")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeUnavailable, match=r"cannot load broken\.onnx \(.+\): try device=") as caught:
        open_runtime(tmp_path / "broken.onnx", device)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_that_fails_names_the_size_and_a_way_out(device: str) -> None:
    loaded = open_device("decode", device)
    wrong = list(picture(size=(96, 64)))
    wrong[1] = wrong[1][:3]
    with pytest.raises(RuntimeUnavailable, match=r"restore a picture of 96x64 \(.+\): try .*threads") as caught:
        loaded.run(wrong)
    assert "\n" not in str(caught.value)


@needs_native_projection
def test_a_native_decode_that_fails_names_the_size() -> None:
    wrong = list(picture(size=(96, 64)))
    wrong[1] = wrong[1][:3]
    with pytest.raises(RuntimeUnavailable, match=r"cannot decode a picture of 96x64 \(table: 12 bytes"):
        NativeDecode().run(wrong)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("A:\nNode 'x': Failed to allocate memory for 8\n")])
def test_want_of_memory_is_one_line(error: Exception) -> None:
    with (
        pytest.raises(RuntimeUnavailable, match=r"^it fails \(out of memory\): try less"),
        wrap_errors("it fails", Hint("try less")),
    ):
        raise error
    with pytest.raises(MissingExtra), wrap_errors("it fails", Hint("try less")):
        raise MissingExtra("OpenVINO", "openvino", "this")
