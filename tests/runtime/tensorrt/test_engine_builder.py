"""Engines are built of every shipped graph, with progress, and cancelled by whoever watches."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.rewriting import for_tensorrt
from mjpeg_restore.runtime.tensorrt.builder import Built, Plan, _Meter, build
from mjpeg_restore.runtime.tensorrt.package import Target, load_package
from mjpeg_restore.runtime.tensorrt.profile import DYNAMIC, Profile
from tests.lacking import needs, needs_tensorrt_rtx
from tests.runtime.tensorrt.engine_requests import ADA, graph, ignore, shipped

pytestmark = needs_tensorrt_rtx
needs("onnx")


def plan(name: str, target: Target = ADA, profile: Profile = DYNAMIC, *, half: bool = True) -> Plan:
    source = graph(name)
    return Plan(name, for_tensorrt(source.path().read_bytes(), half=half), source.inputs, profile, target)


def built(plan: Plan, progress: Callable[[str, float], None] = ignore) -> Built:
    return build(plan, load_package("tensorrt-rtx"), progress)


def device_dtype(port: Port) -> str:
    """TensorRT's type."""
    if port.kind in ("coefficients", "samples"):
        return "UINT8"
    return "HALF" if port.dtype == "float16" else "FLOAT"


def device_shape(port: Port) -> tuple[int, ...]:
    shape = tuple(size if isinstance(size, int) else -1 for size in port.shape)
    return (*shape, 2) if port.kind == "coefficients" else shape


@pytest.mark.parametrize("graph", [*shipped()], ids=lambda graph: graph.file)
def test_every_shipped_graph_parses_with_the_contracts_inputs_and_outputs(graph: GraphFile) -> None:
    package = load_package("tensorrt-rtx")
    trt = package.module
    builder = trt.Builder(package.logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, package.logger)
    assert parser.parse(for_tensorrt(graph.path().read_bytes(), half=True)), package.failure()
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    for tensors, ports in ((inputs, graph.inputs), (outputs, graph.outputs)):
        assert [tensor.name for tensor in tensors] == [port.name for port in ports]
        assert [tensor.dtype.name for tensor in tensors] == [device_dtype(port) for port in ports]
        assert [tuple(tensor.shape) for tensor in tensors] == [device_shape(port) for port in ports]


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("decode.grey", (8, 0)),
        ("decode.colour", (12, 1)),
        ("stream.grey", (8, 6)),
        ("stream.colour", (8, 9)),
        ("stream-lite.grey", (8, 9)),
        ("stream-lite.colour", (12, 0)),
        ("l4-q10-60.grey", (8, 9)),
        ("qgcn.grey.context", (8, 9)),
        ("one-to-many-l2-q10.grey", (8, 9)),
        ("stream-video-lite.grey", (8, 9)),
    ],
)
def test_engines_are_built_without_a_gpu(name: str, capability: tuple[int, int]) -> None:
    package = load_package("tensorrt-rtx")
    if capability not in package.capabilities:
        pytest.skip("needs a later version of the package tensorrt_rtx")
    engine, timing = built(plan(name, Target(capability)))
    assert len(engine) > 100_000
    assert timing == b""


def test_an_engine_for_one_camera() -> None:
    static = built(plan("stream-lite.colour", profile=Profile.static((60, 80), (30, 40))))
    assert len(static.engine) > 100_000


def test_in_float32() -> None:
    assert len(built(plan("stream-lite.grey", half=False)).engine) > 100_000


# ---- profiles ----


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("y.coefficients", ((1, 1), (136, 240), (272, 512))),
        ("cr.coefficients", ((1, 1), (68, 120), (272, 512))),
        ("y.table", None),
        ("cb.table", None),
    ],
)
def test_a_profile_for_all_sizes_and_samplings(name: str, shapes: object) -> None:
    (port,) = (port for port in graph("stream.colour").inputs if port.name == name)
    assert DYNAMIC.shapes(port) == shapes


def test_noise_has_four_values_for_each_block_down_and_across() -> None:
    *_, noise = graph("one-to-many.colour").inputs
    assert DYNAMIC.shapes(noise) == ((4, 4), (544, 960), (1088, 2048))


def test_profiles_have_names_of_their_own() -> None:
    static = Profile.static((135, 240), (135, 120))
    assert (DYNAMIC.label, static.label) == ("272x512", "135x240+135x120")
    assert (DYNAMIC.largest, static.largest) == ((272, 512), (135, 240))
    assert len({str(DYNAMIC), str(static), str(Profile.up_to((272, 512), tuned=(90, 160)))}) == 3


# ---- progress ----


def test_progress_rises_from_nothing_to_all() -> None:
    told: list[tuple[str, float]] = []
    built(plan("stream.grey"), lambda what, share: told.append((what, share)))
    assert {what for what, _ in told} == {"building stream.grey for compute capability 8.9"}
    shares = [share for _, share in told]
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares == sorted(shares)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeUnavailable, ZeroDivisionError])
def test_an_exception_of_the_one_who_watches_cancels_and_is_raised(kind: type[BaseException]) -> None:
    mine = kind("enough")

    def watch(what: str, share: float) -> None:
        assert threading.current_thread() is threading.main_thread()
        if share:
            raise mine

    with pytest.raises(kind) as caught:
        built(plan("stream.colour"), watch)
    assert caught.value is mine
    assert not any("engine-build" in thread.name for thread in threading.enumerate())


def test_a_cancelled_build_stops_at_its_next_step() -> None:
    meter = _Meter()
    meter.start("all", None, 2)
    assert meter.step("all", 0)
    meter.cancelled = True
    assert not meter.step("all", 1)


def test_a_share_counts_what_inner_phases_have_done() -> None:
    meter = _Meter()
    meter.start("all", None, 4)
    meter.start("half", "all", 2)
    meter.step("half", 0)
    assert meter.share == 1 / 8
    meter.start("detail", "half", 5)
    meter.step("detail", 3)
    assert meter.share == pytest.approx((1 + 4 / 5) / 8)
    meter.finish("detail")
    meter.step("half", 1)
    meter.finish("half")
    meter.step("all", 0)
    assert meter.share == 1 / 4
    meter.start("another", "all", 3)
    meter.step("another", 0)
    assert meter.share == pytest.approx((1 + 1 / 3) / 4)
    meter.step("unknown", 7)
    meter.finish("unknown")
    assert meter.share == pytest.approx((1 + 1 / 3) / 4)


# ---- what goes wrong ----


def test_a_graph_as_it_is_shipped_is_refused_in_one_line() -> None:
    source = graph("stream.colour")
    with pytest.raises(RuntimeUnavailable) as caught:
        built(Plan("stream.colour", source.path().read_bytes(), source.inputs, DYNAMIC, ADA))
    assert str(caught.value).startswith("TensorRT-RTX ")
    assert "does not take stream.colour (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(RuntimeUnavailable, match="does not take nonsense"):
        built(Plan("nonsense", b"nonsense", (), DYNAMIC, ADA))


def test_a_failed_build_says_why() -> None:
    huge = Profile.static((1 << 20, 1 << 20), (1, 1))
    with pytest.raises(
        RuntimeUnavailable, match=r"cannot build decode\.grey \(.*y\.coefficients: tensor volume exceeds"
    ):
        built(plan("decode.grey", profile=huge))


def test_the_objects_of_a_failed_build_are_gone_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The garbage collector may run while TensorRT logs, and then the end of one of them would wait for ever.
    module = load_package("tensorrt-rtx").module
    make: Callable[[object], Any] = module.Builder
    kept: list[weakref.ref[Any]] = []

    def builder(logger: object) -> object:
        one = make(logger)
        kept.append(weakref.ref(one))
        return one

    monkeypatch.setattr(module, "Builder", builder)
    with pytest.raises(RuntimeUnavailable) as caught:
        built(Plan("nonsense", b"nonsense", (), DYNAMIC, ADA))
    assert caught.value.__traceback__
    assert [one() for one in kept] == [None]


# ---- the other package ----


def test_tensorrt_builds_for_the_gpu_that_is_there_and_measures(tensorrt: Path) -> None:
    entered: list[str] = []

    @contextmanager
    def current() -> Any:
        entered.append(threading.current_thread().name)
        yield

    gpu: Callable[[], AbstractContextManager[object]] = current
    package = load_package("tensorrt")
    first = plan("decode.grey", Target((8, 9), "NVIDIA L4", gpu))
    told: list[str] = []
    engine, timing = build(first, package, lambda what, share: told.append(what))
    assert len(engine) > 100_000
    assert timing == b"measured"
    assert build(first, package, ignore, timing).timing == b"measured twice"
    assert build(first, package, ignore, b"of another GPU").timing == b"measured"
    assert told[0] == "building decode.grey for NVIDIA L4"
    assert len(entered) == 3
    assert all(name.startswith("engine-build") for name in entered)


def test_tensorrt_without_a_gpu(tensorrt: Path) -> None:
    code = "class Builder:\n    def __init__(self, logger): raise TypeError('factory function returned nullptr')\n"
    tensorrt.write_text(tensorrt.read_text() + code)
    with pytest.raises(RuntimeUnavailable, match=r"TensorRT 10\.13\.3 finds no GPU, or its driver is too old"):
        build(plan("decode.grey", Target((8, 9), "NVIDIA L4")), load_package("tensorrt"), ignore)
