"""Shipped graphs in PyTorch on the CPU, beside ONNX Runtime."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.lacking import needs

torch = needs("torch")
needs("onnxruntime")

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime import Inputs, open_network
from mjpeg_restore.runtime.devices import on_gpu, runtime_of
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.torch.program import Program
from tests.agreement import ROUNDED, assert_same, difference, plain_decode
from tests.runtime.graphs import NETWORKS, graph_file, open_device, picture, run, shipped
from tests.runtime.torch.single_nodes import by_onnx_runtime, by_pytorch, model

FILES = {
    graph.file: graph
    for one in catalogue.shipped().values()
    for variant in one.variants
    for graph in variant.graphs.values()
}


def inputs_of(graph: GraphFile, high: int, wide: int) -> Inputs:
    """Random inputs for a grid of chroma of that size, and luma twice as large."""
    rng = np.random.default_rng(high)
    colour = len(graph.inputs) > 3

    def filled(kind: str, shape: list[int]) -> np.ndarray:
        match kind:
            case "coefficients":
                return (rng.laplace(0, 1.5, shape) * (np.arange(64) % 9 < 4)).astype(np.int16)
            case "table":
                return rng.integers(3, 60, shape).astype(np.uint16)
            case "mean" | "correction":
                return (16 * rng.laplace(0, 3, shape)).astype(np.int16)
            case "evidence":
                return rng.random(shape).astype(np.float16)
        return rng.standard_normal(shape).astype(np.float32)

    found: list[np.ndarray] = []
    for port in graph.inputs:
        scale = port.per_block or 1
        scale *= 2 if colour and port.per_block and port.component == 0 else 1
        sizes = iter((high, wide))
        found.append(filled(port.kind, [n if isinstance(n, int) else scale * next(sizes) for n in port.shape]))
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_shipped_graph_gives_the_planes_of_onnx_runtime(file: str) -> None:
    graph = FILES[file]
    content = for_torch(graph.path().read_bytes(), half=False)
    for size in [(1, 1), (2, 3)]:
        inputs = inputs_of(graph, *size)
        ours, theirs = by_pytorch(content, inputs), by_onnx_runtime(content, inputs)
        if graph.outputs[0].kind == "context":
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-3, atol=1e-4)
        elif graph.has_state:  # the means are far from the frame's cells: what the network adds makes little difference
            pairs = [pair for pair in zip(ours, theirs, strict=True) if pair[0].ndim == 2]
            assert all(np.abs(one.astype(float) - other).mean() < 0.2 for one, other in pairs)
        else:
            assert_same(ours, theirs)


@pytest.mark.parametrize("name", [*NETWORKS, "qgac"])
def test_float16_is_near(name: str) -> None:
    content, coded = shipped(name).path().read_bytes(), picture()
    half, exact = (by_pytorch(for_torch(content, half=half), coded) for half in (True, False))
    assert difference(half, exact, plain_decode(coded)) <= ROUNDED


@pytest.mark.parametrize("name", NETWORKS)
def test_steps_of_eight_bits_mean_the_same(name: str) -> None:
    content, coded = shipped(name).path().read_bytes(), picture()
    assert difference(by_pytorch(content, coded), by_onnx_runtime(content, coded), plain_decode(coded)) <= ROUNDED


@pytest.mark.parametrize("name", ["decode", *NETWORKS])
@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4", "4:1:1", "4:4:0", "gray"])
def test_all_samplings(name: str, sampling: str) -> None:
    kind = "grey" if sampling == "gray" else "colour"
    network = open_network(shipped(name, kind), "torch:cpu", 2)
    content = for_torch(shipped(name, kind).path().read_bytes(), half=False)
    for size in [(56, 40), (8, 8)]:
        coded = picture(sampling, size)
        assert_same(run(network, coded), by_onnx_runtime(content, coded))


def test_arrays_need_be_neither_contiguous_nor_writable() -> None:
    network, coded = open_device("stream-lite", "torch:cpu"), picture()
    strided = [np.repeat(array, 2, axis=0)[::2] for array in coded]
    frozen = [array.copy() for array in coded]
    for array in frozen:
        array.setflags(write=False)
    expected = run(network, coded)
    assert all(map(np.array_equal, expected, run(network, strided)))
    assert all(map(np.array_equal, expected, run(network, frozen)))


def test_several_threads_get_the_results_of_one() -> None:
    network = open_device("stream-lite", "torch:cpu", streams=2)
    coded = [picture(sampling, seed=seed) for seed in range(2) for sampling in ("4:2:0", "4:4:4")]
    alone = [run(network, inputs) for inputs in coded]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(partial(run, network), coded * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert all(map(np.array_equal, one, other))


def settings() -> Iterator[object]:
    yield torch.get_num_threads()
    yield torch.is_grad_enabled()
    yield torch.is_inference_mode_enabled()
    yield torch.get_default_dtype()
    yield torch.backends.cudnn.benchmark
    yield torch.backends.cudnn.deterministic
    yield torch.backends.cudnn.allow_tf32
    yield torch.backends.cuda.matmul.allow_tf32
    yield torch.get_float32_matmul_precision()
    yield torch.initial_seed()


def test_what_pytorch_keeps_for_the_process_stays_as_it_is() -> None:
    before = list(settings())
    network = open_network(shipped("decode"), "torch:cpu", threads=3, streams=1)
    run(network, picture())
    elsewhere: list[int] = []
    thread = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert list(settings()) == before
    assert elsewhere == [before[0]]


@pytest.mark.parametrize(("threads", "streams", "each"), [(4, 2, 2), (1, 3, 1), (3, 1, 3)])
def test_threads_are_divided_among_the_streams(
    threads: int, streams: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = open_network(shipped("decode"), "torch:cpu", threads=threads, streams=streams)
    found: list[int] = []
    monkeypatch.setattr(network, "_plan", lambda shapes: found.append(torch.get_num_threads()) or fail())
    with pytest.raises(RuntimeUnavailable):
        run(network, picture())
    assert found == [each]


def fail() -> None:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried ...")


def test_out_of_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    network = open_network(shipped("decode"), "torch:cpu", threads=2, streams=3)
    monkeypatch.setattr(network, "_plan", lambda shapes: fail())
    with pytest.raises(RuntimeUnavailable, match=r"restore a picture of 96x64 \(out of memory\): try .*model"):
        run(network, picture())


def test_a_wrong_input_is_one_sentence() -> None:
    wrong = list(picture())
    wrong[1] = wrong[1][:3]
    with pytest.raises(
        RuntimeUnavailable, match=r"cannot run operator \w+ of decode\.colour\.onnx \(.+\): try "
    ) as caught:
        run(open_device("decode", "torch:cpu"), wrong)
    assert "\n" not in str(caught.value)


def test_the_name_has_library_device_and_precision() -> None:
    assert open_device("decode", "torch:cpu").name == f"PyTorch {torch.__version__}, CPU, fp32"


def test_texture_weights_are_mixed_in() -> None:
    from mjpeg_restore.runtime.base import Blend

    graph = shipped("stream-lite", "grey")
    stored = onnx.load(graph.path()).graph.initializer
    weights = {
        one.name: np.zeros_like(onnx.numpy_helper.to_array(one)) for one in stored if one.name.endswith("phases.bias")
    }
    assert weights
    plain, mixed = (open_network(graph, "torch:cpu", 1, 1, blend) for blend in (None, Blend(weights, 1.0)))
    coded = picture("gray", quality=10)
    assert not np.array_equal(run(plain, coded)[0], run(mixed, coded)[0])


def program(data: bytes) -> Program:
    return Program(data, "one.onnx", torch.device("cpu"))


x = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (model("Sinh", [x], {}), "no operator Sinh"),
        (model("Trilu", [x], {}), "no operator Trilu"),
        (model("Cast", [x], {"to": 1, "round_mode": "up"}, version=24), "no round_mode of operator Cast"),
        (model("Relu", [x], {}, version=12), "its operators are of version 12"),
        (b"no graph", "cannot load one.onnx"),
    ],
)
def test_what_it_does_not_know_is_one_sentence_when_it_is_loaded(data: bytes, words: str) -> None:
    with pytest.raises(RuntimeUnavailable) as caught:
        program(data)
    assert words in str(caught.value)
    assert "one.onnx" in str(caught.value)
    assert str(caught.value).endswith(": try device='onnxruntime'")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "outputs", "words"),
    [
        ("Resize", [x, None, np.array([1, 2], np.float32)], {"mode": "cubic"}, 1, "mode cubic"),
        ("Resize", [x, None, np.array([1, 2], np.float32)], {"antialias": 1}, 1, "antialias"),
        ("MaxPool", [np.ones((1, 1, 4, 4), np.float32)], {"kernel_shape": [2, 2]}, 2, "2 outputs"),
        ("MatMul", [x, x], {}, 1, "dim"),
    ],
)
def test_what_it_cannot_do_is_one_sentence_with_the_first_picture(
    kind: str, inputs: list[np.ndarray], attributes: dict[str, object], outputs: int, words: str
) -> None:
    constants = [i for i in range(1, len(inputs)) if inputs[i] is not None and kind == "Resize"]
    data = model(kind, inputs, attributes, constants, outputs)
    given = tuple(one.shape for i, one in enumerate(inputs) if one is not None and i not in constants)
    with pytest.raises(RuntimeUnavailable, match=f"operator {kind} of one.onnx .*{words}") as caught:
        program(data).plan(given)
    assert "\n" not in str(caught.value)


def test_sizes_that_depend_on_samples_are_refused() -> None:
    data = model("Reshape", [x, np.array([3, 2], np.int64)], {})
    with pytest.raises(RuntimeUnavailable, match=r"operator Reshape of one.onnx: sizes that depend on samples"):
        program(data).plan(((2, 3), (2,)))


def test_operators_of_other_domains_are_refused() -> None:
    data = onnx.load_model_from_string(model("Relu", [x], {}))
    data.graph.node[0].domain = "com.example"
    with pytest.raises(RuntimeUnavailable, match=r"no operator com\.example\.Relu"):
        program(data.SerializeToString())


def test_an_invalid_graph_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(RuntimeUnavailable, match=r"PyTorch cannot load broken\.onnx \(.+\): try device="):
        open_network(graph_file(tmp_path / "broken.onnx"), "torch:cpu")


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("torch", r"^this device needs torch: pip install torch \(the extra mjpeg-restore\[torch\]\)"),
        ("onnx", r"^PyTorch needs onnx: pip install onnx \(the extra mjpeg-restore\[torch\]\)"),
    ],
)
def test_without_a_package_the_error_names_the_extra(package: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith("mjpeg_restore.runtime.torch")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtra, match=words):
        open_network(replace(shipped("decode"), sha256="another"), "torch:cpu")


def test_without_cuda_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(RuntimeUnavailable, match=r"is installed without CUDA: try device='torch:cpu'"):
        open_network(shipped("decode"), "torch")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeUnavailable, match=r"finds no NVIDIA GPU 0, and none at all: try"):
        open_network(shipped("decode"), "torch:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(RuntimeUnavailable, match=r"finds no NVIDIA GPU 7, only 0, 1: try"):
        open_network(shipped("decode"), "torch:7")
    with pytest.raises(RuntimeUnavailable, match=r"no device 'GPU'"):
        open_network(shipped("decode"), "torch:GPU")


def test_what_is_there_is_told() -> None:
    assert runtime_of("torch")[0].check().endswith("CPU")


@pytest.mark.parametrize(
    ("device", "expected"),
    [("torch", True), ("torch:1", True), ("torch:cpu", False), ("onnxruntime", False), ("onnxruntime:cuda:1", True)],
)
def test_which_devices_are_gpus(device: str, expected: bool) -> None:
    assert on_gpu(device) is expected
