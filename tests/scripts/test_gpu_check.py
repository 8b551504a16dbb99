"""`scripts/gpu_check.py` on runtimes of the CPU, which stand in for those of a GPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lacking import needs

needs("PIL")
needs("onnx")
needs("onnxruntime")

import gpu_check
from measuring import gpu, gpu_page

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
        self._patch = monkeypatch

    def __call__(self, *words: str) -> int:
        given = ["--json", str(self.json), "--page", str(self.page), "--seconds", "0.01", *words]
        self._patch.setattr(sys, "argv", ["gpu_check.py", *given])
        return gpu_check.main()

    @property
    def results(self) -> dict[str, Any]:
        return json.loads(self.json.read_text())[CARD["name"]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setattr(gpu, "card", lambda: CARD)
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
        assert row["device_mb"] is None
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
    assert "5 measurements are left: call this again" in capfd.readouterr().out
    assert not any(check.results[part] for part in gpu_check.PARTS)


def test_what_cannot_run_is_noted_once_and_tried_again(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--model", "decode", "--device", "openvino:NPU", "--parts", "speed", "parity"

    def broken(*_: object) -> dict[str, Any]:
        raise RuntimeUnavailable("it does not work")

    monkeypatch.setattr(gpu, "speed", broken)
    monkeypatch.setattr(gpu, "parity", broken)
    monkeypatch.setattr(gpu, "is_absent", lambda device: True)
    assert check(*words) == 0
    assert {row["error"] for part in ("speed", "parity") for row in check.results[part].values()} == {
        "it does not work"
    }
    assert "* openvino:NPU, 5 measurements: it does not work" in check.page.read_text()
    monkeypatch.setattr(gpu, "speed", lambda *_: {"runtime": "x", "fps": 1, "ms": 1, "load_s": 0, "device_mb": None})
    monkeypatch.setattr(gpu, "parity", lambda *_: {"runtime": "x", "most": 1, "off": 0.1, "loss_db": 0.0})
    assert check(*words) == 0
    assert "error" not in json.dumps(check.results)


def test_results_of_another_card_stay(check: Check) -> None:
    other = {"NVIDIA Other": {"card": CARD | {"name": "NVIDIA Other"}, **{part: {} for part in gpu_check.PARTS}}}
    gpu_page.save(check.json, other)
    assert check("--model", "decode", "--device", "onnxruntime", "--parts", "speed") == 0
    assert list(json.loads(check.json.read_text())) == ["NVIDIA Other", "NVIDIA Test"]
    page = check.page.read_text()
    assert page.index("## NVIDIA Other") < page.index("## NVIDIA Test")


def test_a_file_of_something_else_is_one_sentence(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    check.json.write_text("{")
    assert check("--model", "decode") == 4
    assert capfd.readouterr().err.startswith("error: ")
    assert check.json.read_text() == "{"


def test_the_page_without_a_card_says_that_nothing_was_measured(check: Check) -> None:
    assert check("--page-only") == 0
    page = check.page.read_text()
    assert page.startswith("# GPUs\n")
    assert "Nothing yet." in page


def test_the_floor_is_that_of_copies_and_of_arithmetic() -> None:
    copies, arithmetic = gpu_page.floor("stream", "1920x1080", CARD)
    samples = 1920 * 1080 * 1.5
    assert copies == pytest.approx(1e3 * (2 * samples / 20e9 + samples / 10e9))
    macs = catalogue.find("stream").macs_per_pixel * 1920 * 1080
    assert arithmetic == pytest.approx(1e3 * 2 * macs / 100e12)
    assert gpu_page.floor("of-others", "64x64", CARD)[1] is None


@pytest.mark.parametrize(
    ("fps", "ms", "verdict"),
    [
        (1000, 1.9, "1000 frames/s reached, 2 ms reached"),
        (999, 2.0, "1000 frames/s MISSED, 2 ms MISSED"),
    ],
)
def test_targets_are_reached_or_missed(fps: float, ms: float, verdict: str) -> None:
    row = {"runtime": "x", "fps": fps, "ms": ms, "load_s": 0.1, "device_mb": 300.0}
    parts = {"speed": {"stream 0-1 tensorrt 1920x1080": row}, "cameras": {}, "parity": {}}
    page = gpu_page.page({"one": {"card": CARD, **parts}})
    assert f"| {verdict} |" in page


@pytest.mark.parametrize(
    ("precision", "most", "loss", "agrees"),
    [("fp32", 1, 0.0, True), ("fp32", 2, 0.0, False), ("fp16", 9, 0.02, True), ("fp16", 1, 0.021, False)],
)
def test_parity_is_judged_by_the_precision(precision: str, most: float, loss: float, agrees: bool) -> None:
    row = {"runtime": "x", "most": most, "off": 0.1, "loss_db": loss}
    parts = {"parity": {f"l8.grey.onnx 0 tensorrt {precision}": row}, "speed": {}, "cameras": {}}
    page = gpu_page.page({"one": {"card": CARD, **parts}})
    assert ("| reached |" if agrees else "| MISSED by l8.grey.onnx |") in page


def test_the_page_of_the_repository_is_that_of_its_results() -> None:
    docs = Path(gpu_page.__file__).parents[2] / "docs"
    assert (docs / "gpu.md").read_text() == gpu_page.page(gpu_page.load(docs / "gpu.json"))
