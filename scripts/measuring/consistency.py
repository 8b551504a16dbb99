"""The guarantee about the quantisation cell, measured on a graph's output before rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mjpeg_restore.catalogue import COMPONENTS
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg.dct import DCT_MATRIX
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs


class Consistency:
    """Counts the coefficients, of luma and chroma, that quantise back to those of the file."""

    def __init__(self, restorer: Restorer) -> None:
        self.restorer = restorer
        self._outputs: dict[str, FloatOutput] = {}
        self._right = self._total = 0

    def add(self, coded: CodedPicture) -> None:
        """Restore a picture and count; does nothing for a network without the guarantee."""
        if not self.restorer.model.projected:
            return
        variant, kind = self.restorer.choose(coded)
        graph = variant.graphs[kind].file
        if graph not in self._outputs:
            self._outputs[graph] = FloatOutput(variant.graphs[kind].path())
        right, total = self._outputs[graph].consistent(self.restorer.inputs(coded))
        self._right, self._total = self._right + right, self._total + total

    @property
    def share(self) -> float | None:
        """The share of consistent coefficients, 0..1; None for a network without the guarantee."""
        return self._right / self._total if self._total else None


class FloatOutput:
    """A shipped graph whose outputs are the samples before rounding."""

    def __init__(self, graph: Path) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(graph)
        names = [f"{output.name}.samples" for output in model.graph.output if output.name in COMPONENTS]
        del model.graph.output[:]
        model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # no warning about the unused rounding
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def consistent(self, inputs: Inputs) -> tuple[int, int]:
        """Number of coefficients that quantise back to the file's, and of all coefficients."""
        names = [node.name for node in self.session.get_inputs()]
        restored = self.session.run(None, dict(zip(names, inputs, strict=True)))
        right = total = 0
        for samples, quantised, table in zip(restored, inputs[::2], inputs[1::2], strict=False):  # others may follow
            again = np.rint(np.asarray(samples)[0].astype(np.float64) @ DCT_MATRIX.T / table)
            right += int((again == quantised).sum())
            total += quantised.size
        return right, total
