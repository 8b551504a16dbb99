from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.runtime import Inputs, Network, open_network
from tests.agreement import ROUNDED, difference, plain_decode
from tests.lacking import needs
from tests.runtime.graphs import NETWORKS, graph_file, open_device, picture, run, with_three_tables


def broken(model: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Copies of a network's graph, each with one wrong weight, and a description of it."""
    onnx = needs("onnx")
    graph = onnx.load(catalogue.find(model).variants[0].graphs["colour"].path())
    for tensor in graph.graph.initializer:
        weight = onnx.numpy_helper.to_array(tensor)
        if not tensor.name.removesuffix(".half").endswith(".weight") or weight.ndim != 4:
            continue
        kept = onnx.TensorProto()
        kept.CopyFrom(tensor)
        wrongs = {"is zero": 0 * weight, "has its channels reversed": weight[:, ::-1]}
        if "predict" in tensor.name:  # elsewhere, a wrong scale may change little
            wrongs["is halved"] = weight / 2
        for what, wrong in wrongs.items():
            if np.array_equal(weight, wrong):  # a single channel, reversed
                continue
            tensor.CopyFrom(onnx.numpy_helper.from_array(wrong.astype(weight.dtype), tensor.name))
            onnx.save(graph, folder / "broken.onnx")
            yield f"{tensor.name} {what}", folder / "broken.onnx"
        tensor.CopyFrom(kept)


@pytest.mark.parametrize("model", NETWORKS)
def test_wrong_weights_differ_by_more_than_the_tolerance(model: str, tmp_path: Path) -> None:
    inputs = [with_three_tables(picture(quality=quality)) for quality in (5, 40)]
    right = [run(open_device(model, "onnxruntime"), coded) for coded in inputs]

    def error(loaded: Network, seen: Sequence[Inputs]) -> float:
        return max(
            difference(run(loaded, ours), planes, plain_decode(coded))
            for ours, planes, coded in zip(seen, right, inputs, strict=True)
        )

    exchanged = [[*coded[:3], coded[5], coded[4], coded[3]] for coded in inputs]
    found = {"tables exchanged": error(open_device(model, "onnxruntime"), exchanged)}
    for what, path in broken(model, tmp_path):
        found[what] = error(open_network(graph_file(path), "onnxruntime", 2), inputs)
    assert len(found) > 20
    assert min(found.values()) > ROUNDED, min(found, key=lambda what: found[what])


@pytest.mark.parametrize("model", NETWORKS)
def test_pairs_of_int8_products_fit_into_16_bits(model: str) -> None:
    onnx = needs("onnx")
    graph = onnx.load(catalogue.find(model).variants[0].graphs["colour"].path()).graph
    arrays = {entry.name.removesuffix(".half"): onnx.numpy_helper.to_array(entry) for entry in graph.initializer}
    layers = [name.removesuffix(".weight_step") for name in arrays if name.endswith(".weight_step")]
    assert len(layers) >= 8
    for layer in layers:
        weight = arrays[f"{layer}.weight"].astype(np.float32)
        steps = np.rint(weight / arrays[f"{layer}.weight_step"][:, None, None, None])
        for sign in (steps.clip(min=0), -steps.clip(max=0)):
            assert 255 * (sign[:, 0::2] + sign[:, 1::2]).max() < 2**15, layer
