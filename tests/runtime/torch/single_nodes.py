"""Graphs of one node, in ONNX Runtime and in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from mjpeg_restore.runtime.torch.program import Program

Arrays = Sequence[NDArray[Any] | None]


def model(
    kind: str,
    inputs: Arrays,
    attributes: Mapping[str, Any],
    constants: Sequence[int] = (),
    outputs: int = 1,
    version: int = 18,
    domain: str = "",
) -> bytes:
    """An ONNX file with one node.

    Args:
        kind: the operator.
        inputs: None for one that is left out.
        attributes: of the node.
        constants: which of the inputs are constants of the graph.
        outputs: their number.
        version: of the operators.
        domain: of the operator.
    """
    names = ["" if array is None else f"in{i}" for i, array in enumerate(inputs)]
    results = [f"out{i}" for i in range(outputs)]
    given = [(names[i], array) for i, array in enumerate(inputs) if array is not None and i not in constants]
    kept = [
        onnx.numpy_helper.from_array(array, names[i])
        for i, array in enumerate(inputs)
        if array is not None and i in constants
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, names, results, domain=domain, **attributes)],
        "one",
        [_value(name, array) for name, array in given],
        [onnx.helper.make_empty_tensor_value_info(name) for name in results],
        kept,
    )
    imports = [onnx.helper.make_opsetid("", version), *([onnx.helper.make_opsetid(domain, 1)] if domain else [])]
    made = onnx.helper.make_model(graph, opset_imports=imports, ir_version=9)
    inferred = {
        one.name: one.type.tensor_type.elem_type for one in onnx.shape_inference.infer_shapes(made).graph.output
    }
    for output in made.graph.output:
        output.type.tensor_type.elem_type = inferred[output.name] or onnx.TensorProto.FLOAT
    return made.SerializeToString()


def _value(name: str, array: NDArray[Any]) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, [None] * array.ndim)


def by_pytorch(data: bytes, given: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    program = Program(data, "one.onnx", torch.device("cpu"))
    plan = program.plan(tuple(array.shape for array in given))
    tensors = [
        torch.from_numpy(np.array(array, order="C")).to(kind) for array, kind in zip(given, program.types, strict=True)
    ]
    with torch.inference_mode():
        made = plan(tensors)
    assert [(tuple(one.shape), one.dtype) for one in made] == plan.outputs
    return [one.numpy() for one in made]


def by_onnx_runtime(data: bytes, given: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    return [np.asarray(one) for one in session.run(None, dict(zip(names, given, strict=True)))]


def assert_equal_results(
    kind: str,
    inputs: Arrays,
    attributes: Mapping[str, Any] | None = None,
    constants: Sequence[int] = (),
    outputs: int = 1,
    tolerance: float = 1e-5,
) -> None:
    """Check that both runtimes give the same, up to a share of the largest value."""
    data = model(kind, inputs, attributes or {}, constants, outputs)
    given = [array for i, array in enumerate(inputs) if array is not None and i not in constants]
    for ours, theirs in zip(by_pytorch(data, given), by_onnx_runtime(data, given), strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        if theirs.dtype.kind == "f":
            room = tolerance * max(1.0, float(np.abs(theirs).max(initial=0)))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=room)
        else:
            np.testing.assert_array_equal(ours, theirs)
