"""`stream-video` on the CPU without a runtime: gate and network at some cells of a picture, wherever they are.

What moves in a camera's picture is small, scattered and of any shape. A runtime computes rectangles of few sizes, each
with a margin, and copies of what is in them (`areas.py`); here gate and network are computed in place, where they are
wanted.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.base import Planes
from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.part_sizes import Grids
from mjpeg_restore.runtime.cpu.parts import Frame
from mjpeg_restore.runtime.cpu.projection import CHROMA_CONFIDENCE, LUMA_CONFIDENCE
from mjpeg_restore.runtime.cpu.sparse import Cells, Weights
from mjpeg_restore.runtime.cpu.sparse_gate import SparseGate
from mjpeg_restore.runtime.cpu.sparse_network import Phases, SparseNetwork
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.cpu.team import Team

_SIZES = 16
"""Sizes of pictures for which it is known how much memory they need."""


class SparseModel:
    """Gate and network: a `Sparse` of `parts.py`."""

    def __init__(self, weights: Weights) -> None:
        """Lay the weights out for this CPU.

        Raises:
            KeyError: one is missing: it is another network.
            ValueError: channels do not fill a vector.
        """
        self._gate, self._network = SparseGate(weights), SparseNetwork(weights)
        self.nbytes = lru_cache(_SIZES)(self._nbytes)

    def take(
        self,
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        cells: Cells,
        team: Team,
    ) -> None:
        """Take cells of a frame into its state; see `SparseGate.take`."""
        self._gate.take(frame, before, after, cells, team)

    @contextmanager
    def run(self, frame: Frame, after: Sequence[ComponentState], cells: Cells, team: Team) -> Generator[list[Phases]]:
        """Run the network at cells of a frame that has been taken into its state; lend what it makes of them."""
        components = [(*component, known.mean, known.evidence) for component, known in zip(frame, after, strict=True)]
        with self._network.run(components, cells, team) as residual:
            yield residual

    @staticmethod
    def restore(
        residual: Sequence[Phases],
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
        planes: Planes,
        team: Team,
    ) -> None:
        """Put the residual on top of the means; see `state.restore`."""
        ramps = LUMA_CONFIDENCE, CHROMA_CONFIDENCE, CHROMA_CONFIDENCE
        for index, (phases, groups, group) in enumerate(residual):
            known = phases, *frame[index], before[index].mean, after[index]
            told = {"noise": histories[index].noise, "mean_tells": histories[index].mean_tells}
            place = {"confidence": ramps[index], "plane": planes[index], "groups": groups, "group": group}
            team.divide(partial(state.restore, *known, **place, **told), wanted[index])

    def _nbytes(self, grids: Grids) -> int:
        """A picture is in the gate or in the network, never in both."""
        return max(self._gate.nbytes(grids), self._network.nbytes(grids))
