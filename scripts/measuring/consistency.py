"""The promise about the quantisation cell, measured on what a graph gives before rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.runtime import Inputs


class FloatOutput:
    """A shipped graph with its samples before rounding as outputs: for the promise about the quantisation cell."""

    def __init__(self, graph: Path) -> None:
        model = onnx.load(graph)
        names = [f"{output.name}.samples" for output in model.graph.output]
        del model.graph.output[:]
        model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # that the rounding is not needed here, it need not say
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def consistent(self, inputs: Inputs) -> tuple[int, int]:
        """How many coefficients quantise back to the file's, and how many there are."""
        names = [node.name for node in self.session.get_inputs()]
        restored = self.session.run(None, dict(zip(names, inputs, strict=True)))
        right = total = 0
        for samples, quantised, table in zip(restored, inputs[::2], inputs[1::2], strict=False):  # noise may follow
            again = np.rint(samples[0].astype(np.float64) @ DCT_MATRIX.T / table)
            right += int((again == quantised).sum())
            total += quantised.size
        return right, total
