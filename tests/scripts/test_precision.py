"""What float16 costs, measured on the CPU: its rounding, and the script that checks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mjpeg_restore import catalogue
from tests.lacking import needs
from tests.scripts.running import run

onnx = needs("onnx")
onnxruntime = needs("onnxruntime")
image = needs("PIL.Image")

from measuring import precision
from measuring.precision import losses, round_as_float16

node, Kind = onnx.helper.make_node, onnx.TensorProto

ROW = "| stream-lite | luma | 40 |"


def slope(height: int = 64, width: int = 96) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture with an edge and noise, uint8 `[height, width, 3]`."""
    random = np.random.default_rng(0)
    plane = np.add.outer(np.arange(height), np.arange(width)) + 80.0 * (np.arange(width) > 40)
    return (plane[..., None] + random.normal(0, 4, (height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image.fromarray(slope()).save(tmp_path / "slope.png")
    return tmp_path


def test_every_result_in_float16_is_rounded_to_its_eleven_bits() -> None:
    nodes = [
        node("Cast", ["x"], ["half"], to=Kind.FLOAT16),
        node("Mul", ["half", "third"], ["product"]),
        node("Cast", ["product"], ["y"], to=Kind.FLOAT),
    ]
    third = np.array(1 / 3, np.float16)
    sides = [[onnx.helper.make_tensor_value_info(name, Kind.FLOAT, ["n"])] for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "graph", *sides, [onnx.numpy_helper.from_array(third, "third")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    round_as_float16(model)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.random.default_rng(0).normal(0, 100, 10_000).astype(np.float32)
    values = np.concatenate([values, 100 * values[:10]])
    (found,) = session.run(None, {"x": values})
    half = values.astype(np.float16).astype(np.float32)
    # A product of two numbers of 11 bits has 22, and so is exact in float32.
    np.testing.assert_array_equal(found, (half * np.float32(third)).astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("name", ["stream-lite", "stream-video-lite"])
def test_a_networks_losses_are_small_and_it_keeps_the_cells(name: str) -> None:
    (found,) = losses(catalogue.find(name), [slope()], 40, "colour")
    assert found.outside == 0
    assert abs(found.loss) < 0.02 < found.psnr
    assert found.largest <= 3


def test_a_picture_that_loses_too_much_fails_the_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--data", folder, "--model", "stream-lite", "--quality", 40)
    kept = run("check_precision", *words)
    assert (kept.returncode, kept.stderr) == (0, "")
    assert kept.stdout.splitlines()[-1].startswith(ROW)
    monkeypatch.setattr(precision, "MAX_LOSS", -1.0)
    lost = run("check_precision", *words)
    assert lost.returncode == 1
    assert lost.stdout == kept.stdout


def test_only_qualities_that_a_network_is_for_are_checked(folder: Path) -> None:
    done = run("check_precision", "--data", folder, "--model", "l4", "--quality", 30, 95)
    assert [line.split(" | ")[2] for line in done.stdout.splitlines()[2:]] == ["30"]


def test_an_unknown_network_is_one_line(folder: Path) -> None:
    done = run("check_precision", "--data", folder, "--model", "nothing")
    assert done.returncode == 1
    assert done.stderr.startswith("check_precision: ") and done.stderr.count("\n") == 1
