"""`scripts/gpu_check.py` on runtimes of the CPU, which stand in for those of a GPU."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from tests.lacking import needs

needs("PIL")
needs("onnx")
needs("onnxruntime")

import gpu_check
from measuring import gpu, gpu_card, gpu_page

from mjpeg_restore import catalogue
from mjpeg_restore.errors import RuntimeUnavailable

CARD = {
    "name": "NVIDIA Test",
    "capability": "8.9",
    "memory_gb": 24.0,
    "cuda": "13.0",
    "bindings": "cuda-bindings 13.5.0",
    "cpu": "a CPU, 2 cores",
    "up_gbs": 20.0,
    "down_gbs": 10.0,
    "peak_tflops": 100.0,
}
SMALL = (96, 64)


class Check:
    """Runs the script in a folder of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.json, self.page = folder / "gpu.json", folder / "gpu.md"
        self.patch = monkeypatch

    def __call__(self, *words: str) -> int:
        given = ["--json", str(self.json), "--page", str(self.page), "--seconds", "0.01", *words]
        self.patch.setattr(sys, "argv", ["gpu_check.py", *given])
        return gpu_check.main()

    @property
    def results(self) -> dict[str, Any]:
        return json.loads(self.json.read_text())[CARD["name"]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setattr(gpu_card, "card", lambda: CARD)
    monkeypatch.setattr(gpu_check, "SIZES", (SMALL,))
    monkeypatch.setattr(gpu_check, "FIRST", (("stream-lite", SMALL),))
    monkeypatch.setattr(gpu_check, "ON_CAMERAS", SMALL)
    return Check(tmp_path, monkeypatch)


def test_all_parts_are_measured_and_written(check: Check) -> None:
    assert check("--model", "stream-lite", "qgcn", "--device", "onnxruntime") == 0
    found = check.results
    assert len(found["speed"]) == 2
    assert len(found["cameras"]) == 1
    assert len(found["parity"]) == 2 * (2 + 4)
    for row in found["speed"].values():
        assert row["runtime"].startswith("ONNX Runtime")
        assert row["fps"] > 0
        assert row["ms"] > 0
    for key, row in found["parity"].items():
        if "qgcn" in key:  # without layers in eight bits, the same arithmetic
            assert row["most"] <= 1
    page = check.page.read_text()
    assert "## NVIDIA Test" in page
    assert "| `stream-lite` | 96x64 | ONNX Runtime" in page
    assert "### The same as on the CPU" in page


def test_a_second_call_measures_only_what_is_missing(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    words = "--model", "decode", "--device", "onnxruntime", "--parts"
    assert check(*words, "speed") == 0
    before = check.results["speed"]
    capfd.readouterr()
    assert check(*words, "speed", "parity") == 0
    assert check.results["speed"] == before
    assert all(line.startswith("parity ") for line in capfd.readouterr().out.splitlines())


def test_without_time_nothing_begins_and_the_next_call_is_asked_for(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check("--model", "decode", "--device", "onnxruntime", "--budget", "0") == 0
    assert "5 left: call this again" in capfd.readouterr().out
    assert not any(check.results[part] for part in gpu_check.PARTS)


DONE = {"runtime": "x", "fps": 1.0, "ms": 1.0, "load_s": 0.1, "device_mb": None, "macs": 1000}


def test_a_runtime_that_is_absent_is_noted_once_and_nothing_is_measured(check: Check) -> None:
    assert check("--model", "decode", "--device", "onnxruntime:nothing", "onnxruntime", "--parts", "speed") == 0
    assert {key.split()[2] for key in check.results["speed"]} == {"onnxruntime"}
    assert check.results["absent"]["onnxruntime"] is None
    assert "* onnxruntime:nothing: ONNX Runtime has no device 'nothing' here, only CPU" in check.page.read_text()


def test_what_fails_is_noted_and_tried_again_after_what_is_new(
    check: Check, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> dict[str, Any]:
        raise RuntimeUnavailable("out of memory")

    def surprising(*_: object) -> dict[str, Any]:
        raise KeyError("no such layer")

    words = "--device", "onnxruntime", "--parts", "speed"
    monkeypatch.setattr(gpu, "speed", broken)
    assert check("--model", "stream-lite", *words) == 0
    monkeypatch.setattr(gpu, "speed", surprising)
    assert check("--model", "decode", *words) == 0
    page = check.page.read_text()
    assert "* onnxruntime, 1 measurement: out of memory\n" in page
    assert "* onnxruntime, 1 measurement: it fails ('no such layer')\n" in page
    assert "### Speed" not in page
    monkeypatch.setattr(gpu, "speed", lambda *_: DONE)
    capfd.readouterr()
    assert check("--model", "stream-lite", "decode", "l8", *words) == 0
    assert [line.split()[1] for line in capfd.readouterr().out.splitlines()] == ["l8", "stream-lite", "decode"]
    assert "error" not in json.dumps(check.results)
    assert "### Not run" not in check.page.read_text()


def test_an_engine_whose_building_takes_too_long_is_noted_and_comes_last_in_the_next_call(
    check: Check, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def building(subject: gpu.Subject, *_: object) -> dict[str, Any]:
        subject.progress("building", 0.5)  # ends it, once the time is up
        return DONE

    monkeypatch.setattr(gpu, "speed", building)
    monkeypatch.setattr(gpu_check, "OVERTIME", -1000.0)
    words = "--model", "decode", "--device", "onnxruntime", "--parts", "speed"
    assert check(*words) == 0
    assert [row["error"] for row in check.results["speed"].values()] == ["building takes too long"]
    assert "1 left: call this again" in capfd.readouterr().out
    monkeypatch.setattr(gpu_check, "OVERTIME", 20.0)
    assert check("--model", "decode", "l8", *words[2:]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["l8", "decode"]
    assert "error" not in json.dumps(check.results)


def test_results_are_kept_as_they_come(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def speed(subject: gpu.Subject, *_: object) -> dict[str, Any]:
        if subject.model.name == "qgac":
            raise KeyboardInterrupt
        return DONE

    monkeypatch.setattr(gpu, "speed", speed)
    with pytest.raises(KeyboardInterrupt):
        check("--model", "l8", "qgac", "qgcn", "--device", "onnxruntime", "--parts", "speed")
    assert [key.split()[0] for key in check.results["speed"]] == ["l8"]
    assert [path.name for path in check.json.parent.iterdir()] == ["gpu.json"]


def test_without_a_gpu_it_is_one_sentence(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    def none() -> dict[str, Any]:
        raise RuntimeUnavailable("there is no NVIDIA driver here")

    check.patch.setattr(gpu_card, "card", none)
    assert check("--model", "decode") == 4
    assert capfd.readouterr().err == "error: there is no NVIDIA driver here\n"
    assert not check.json.exists()


def test_a_package_that_it_needs_is_named_before_anything_is_measured(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    check.patch.setitem(sys.modules, "PIL", None)
    assert check("--model", "decode") == 4
    assert "Checking a GPU needs Pillow" in capfd.readouterr().err
    assert not check.json.exists()


def test_a_folder_that_is_not_there_is_one_sentence(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    check.json = check.json.parent / "none" / "gpu.json"
    assert check("--model", "decode", "--device", "onnxruntime") == 4
    assert capfd.readouterr().err.startswith(f"error: cannot write {check.json} (")


@pytest.mark.usefixtures("check")
def test_what_has_a_target_comes_first_and_nothing_twice() -> None:
    options = Namespace(engine_cache=None, seconds=0.1)
    models = [*catalogue.shipped().values()]
    found = [*gpu_check.tasks(options, ["tensorrt", "torch"], models, until=0.0)]
    names = [f"{task.part} {task.key}" for task in found]
    assert len(names) == len(set(names)) == 2 + 2 + 1 + 32 * 2 * 2 + 11 * 2
    order = list(dict.fromkeys((task.part, task.key.split()[0].partition(".")[0]) for task in found))
    first = [(part, "stream-lite") for part in ("speed", "cameras", "parity", "static")]
    assert order[:4] == first
    assert found[-1].part == "speed"


def test_results_of_another_card_stay(check: Check) -> None:
    other = {"NVIDIA Other": {"card": CARD | {"name": "NVIDIA Other"}, **{part: {} for part in gpu_check.PARTS}}}
    gpu_page.save(check.json, other)
    assert check("--model", "decode", "--device", "onnxruntime", "--parts", "speed") == 0
    assert list(json.loads(check.json.read_text())) == ["NVIDIA Other", "NVIDIA Test"]
    page = check.page.read_text()
    assert page.index("## NVIDIA Other") < page.index("## NVIDIA Test")


def test_a_card_that_pytorch_cannot_use_is_measured_without_its_peak(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    torch = needs("torch")

    def randn(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nSee x")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "randn", randn)
    assert gpu_card._peak() is None
    assert "PyTorch cannot use the GPU (CUDA error: no kernel image is" in capfd.readouterr().err


@pytest.mark.parametrize("path", [(), ("card", "up_gbs"), ("speed", "stream-lite 0 torch 96x64", "fps")])
@pytest.mark.parametrize("value", [None, "x", [], {}, 0])
def test_damaged_results_are_one_sentence(
    path: tuple[str, ...], value: object, check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Any] = {"card": dict(CARD), "absent": {}, "speed": {"stream-lite 0 torch 96x64": dict(DONE)}}
    where = found
    for step in path[:-1]:
        where = where[step]
    where[path[-1] if path else "speed"] = value
    check.json.write_text(json.dumps({CARD["name"]: found}))
    legal = value == ({} if not path else 0) and path[:1] != ("card",)
    assert check("--page-only") == (0 if legal else 4)
    assert capfd.readouterr().err.startswith("" if legal else f"error: {check.json}: damaged results of an earlier")


@pytest.mark.parametrize("text", ["{", "[]", '{"NVIDIA Test": 1}', '{"NVIDIA Test": {"speed": {}}}', "\xff"])
def test_a_file_of_something_else_is_one_sentence(text: str, check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    check.json.write_bytes(text.encode("latin-1"))
    assert check("--model", "decode") == 4
    assert capfd.readouterr().err.startswith(f"error: {check.json}: no results of an earlier check")
    assert check.json.read_bytes() == text.encode("latin-1")


def test_the_page_without_a_card_says_that_nothing_was_measured(check: Check) -> None:
    assert check("--page-only") == 0
    page = check.page.read_text()
    assert page.startswith("# GPUs\n")
    assert "Nothing yet: no network has run on a GPU" in page


def test_the_floor_is_that_of_copies_and_of_arithmetic() -> None:
    macs = catalogue.find("stream").macs_per_pixel
    copies, arithmetic = gpu_page.floor(macs, "1920x1080", CARD)
    samples = 1920 * 1080 * 1.5
    assert copies == pytest.approx(1e3 * (2 * samples / 20e9 + samples / 10e9))
    assert arithmetic == pytest.approx(1e3 * 2 * macs * 1920 * 1080 / 100e12)
    assert gpu_page.floor(macs, "1920x1080", CARD | {"peak_tflops": None}) == (copies, None)


@pytest.mark.parametrize(
    ("fps", "ms", "verdict"),
    [
        (1000, 1.9, "1000 frames/s reached, 2 ms reached"),
        (999, 2.0, "1000 frames/s MISSED, 2 ms MISSED"),
    ],
)
def test_targets_are_reached_or_missed(fps: float, ms: float, verdict: str) -> None:
    row = DONE | {"fps": fps, "ms": ms, "device_mb": 300.0}
    page = gpu_page.page({"one": {"card": CARD, "speed": {"stream 0-1 tensorrt 1920x1080": row}}})
    assert f"| {verdict} |" in page


@pytest.mark.parametrize(
    ("precision", "most", "loss", "agrees"),
    [("fp32", 1, 0.0, True), ("fp32", 2, 0.0, False), ("fp16", 9, 0.02, True), ("fp16", 1, 0.021, False)],
)
def test_parity_is_judged_by_the_precision(precision: str, most: float, loss: float, agrees: bool) -> None:
    row = {"runtime": "x", "most": most, "off": 0.1, "loss_db": loss}
    page = gpu_page.page({"one": {"card": CARD, "parity": {f"l8.grey.onnx 0 tensorrt {precision}": row}}})
    assert ("| reached |" if agrees else "| MISSED by l8.grey.onnx |") in page


def test_networks_come_in_the_order_of_the_catalogue_and_sizes_from_small_to_large() -> None:
    keys = [
        "zoo 0 torch 640x480",
        "stream-lite 0 torch 1920x1080",
        "stream 0 torch 1920x1080",
        "stream 0 torch 640x480",
    ]
    page = gpu_page.page({"one": {"card": CARD, "speed": dict.fromkeys(keys, DONE)}})
    rows = [
        line.split(" | ")[:2]
        for line in page.splitlines()
        if line.startswith(("| `stream", "| `zoo")) and " x " in line
    ]
    assert rows == [
        ["| `stream`", "640x480"],
        ["| `stream`", "1920x1080"],
        ["| `stream-lite`", "1920x1080"],
        ["| `zoo`", "640x480"],
    ]


def test_an_engine_for_one_size_stands_beside_the_one_for_all() -> None:
    key, other = "stream 0 tensorrt 1920x1080", "stream-hq 0 tensorrt 1920x1080"
    static = {key: {"runtime": "x", "fps": 1500.0}, other: {"runtime": "x", "fps": 200.0}}
    page = gpu_page.page({"one": {"card": CARD, "static": static, "speed": {key: DONE | {"fps": 1400.0}}}})
    assert "| `stream` | 1920x1080 | x | 1500 | 1400 |" in page
    assert "| `stream-hq` | 1920x1080 | x | 200 | - |" in page
