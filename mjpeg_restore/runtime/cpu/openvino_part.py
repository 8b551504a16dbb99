"""A part of a frame, of a graph with a state: its gate and its network run in OpenVINO."""

# OpenVINO's stubs leave many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.base import Inputs, Planes
from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.openvino_library import ov
from mjpeg_restore.runtime.cpu.parts import Frame, Remembered, graph_inputs
from mjpeg_restore.runtime.cpu.projection import CHROMA_CONFIDENCE, LUMA_CONFIDENCE, PHASES
from mjpeg_restore.runtime.cpu.state import ComponentState


class OpenVinoPart:
    """A `Part` of a frame: gate and network run in OpenVINO, and everything else natively.

    It learns nothing of the frame's history.

    The gate's inputs after the graph's own are deviation and past of each component in turn, float16
    `[1, blocks_high, blocks_wide, 64]`; the network's are described by `openvino_graphs.gate_and_network`.
    """

    histories = None

    def __init__(self, lent: Callable[[Inputs], AbstractContextManager[list[ov.InferRequest]]], *, level: bool) -> None:
        """Begin a part.

        Args:
            lent: lends gate and network for a graph's inputs.
            level: whether the network has a significance map, and sees luma's level.
        """
        self._lent, self._has_level = lent, level

    def take(self, frame: Frame, states: Sequence[ComponentState], histories: Sequence[History]) -> Remembered:
        """Take the part into its state, as far as the gate believes the past; see `Part`."""
        own = [shareable(array) for array in graph_inputs(frame, states, histories)]
        sides: list[NDArray[np.float16]] = []
        for component, known in zip(frame, states, strict=True):
            deviation, share = np.empty((2, 1, *component[0].shape), np.float16)
            state.observe(*component, known, deviation, share)
            sides += [deviation, share]
        with self._lent(own) as (gate, _):
            bind(gate, [*_needed(own, gate), *sides])
            gate.infer()
            believed = [tensor.data for tensor in gate.output_tensors]
            return [state.take(*one, known, share) for one, known, share in zip(frame, states, believed, strict=True)]

    def run(self, frame: Frame, remembered: Remembered) -> None:
        """Run the network; see `Part`."""
        self._frame, self._remembered = frame, remembered
        # Of corrections and histories, the graph needs the shapes alone.
        states = [ComponentState(mean, evidence, mean) for mean, evidence in remembered]
        own = [shareable(array) for array in graph_inputs(frame, states, [History() for _ in frame])]
        entering = self._entering()
        with self._lent(own) as (_, network):
            bind(network, [*_needed(own, network), *entering])
            network.infer()
            self._phases = [part.copy() for part in phases_of(network)]

    def _entering(self) -> list[NDArray[Any]]:
        """What enters the network."""
        shares = [np.empty((1, *coefficients.shape), np.float16) for coefficients, _ in self._frame]
        level = np.empty_like(shares[0]) if self._has_level else None
        entering: list[NDArray[Any]] = []
        planes: list[NDArray[np.float32]] = []
        for group in filter(None, (self._frame[:1], self._frame[1:])):
            high, wide, _ = group[0][0].shape
            pair = np.empty((2, 1, len(group), 8 * high, 8 * wide), np.float32)
            entering.extend(pair)
            planes.extend(pair[:, 0].swapaxes(0, 1))
        if level is not None:
            entering.append(level)
        for index, (component, known) in enumerate(zip(self._frame, self._remembered, strict=True)):
            state.enter(*component, *known, *planes[index], share=shares[index], level=None if index else level)
        return [*shares, *entering]

    def restore(
        self,
        means: Sequence[NDArray[np.int16]],
        corrections: Sequence[NDArray[np.int16]],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
    ) -> Planes:
        """Put the network's residual on top of the mean, mixed with what was restored before; see `state.restore`."""
        ramps = LUMA_CONFIDENCE, CHROMA_CONFIDENCE, CHROMA_CONFIDENCE
        planes: list[NDArray[np.uint8]] = []
        for index, (component, remembered) in enumerate(zip(self._frame, self._remembered, strict=True)):
            after, history = ComponentState(*remembered, corrections[index]), histories[index]
            place = self._phases[index], *component, means[index], after, wanted[index], ramps[index]
            planes.append(state.restore(*place, history.noise, history.mean_tells))
        return tuple(planes)


def shareable(array: NDArray[Any]) -> NDArray[Any]:
    """An array whose memory OpenVINO takes: it refuses what is read-only, although it does not write to inputs."""
    return np.require(array, requirements=["C", "W"])


def _needed(own: Inputs, request: ov.InferRequest) -> list[NDArray[Any] | None]:
    """Those of a graph's own inputs that gate or network reads: the tables, and in a graph for any size the others, for
    their shapes."""
    is_fixed = request.model_inputs[0].get_partial_shape().is_static
    return [None if is_fixed and array.ndim > 1 else array for array in own]


def bind(request: ov.InferRequest, arrays: Sequence[NDArray[Any] | None]) -> None:
    """Let a request work on arrays, which are kept alive meanwhile; None stands for inputs that it does without."""
    for index, array in enumerate(arrays):
        if array is not None:
            request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))


def phases_of(network: ov.InferRequest) -> list[NDArray[np.float16]]:
    """The network's residual of each component."""
    return [part for one in network.output_tensors for part in np.split(one.data[0], one.shape[1] // PHASES**2)]
