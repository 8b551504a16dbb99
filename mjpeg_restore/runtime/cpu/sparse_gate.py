"""The gate of `stream-video` on the CPU, computed where it is wanted: see `Gate` in `models/stream_video.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.cells import blocks_of, cell, cells_of, subsampling, widened
from mjpeg_restore.runtime.cpu.lent import Lent
from mjpeg_restore.runtime.cpu.part_sizes import Grids
from mjpeg_restore.runtime.cpu.parts import Frame
from mjpeg_restore.runtime.cpu.sparse import Cells, Grid, Layer, Plan, Rectify, Weights
from mjpeg_restore.runtime.cpu.state import ComponentState, sense, take_judged
from mjpeg_restore.runtime.cpu.team import ALONE, Team

_REACH = 2
"""Blocks of luma around wanted cells that are judged as well: the reach of luma's gate. Of subsampled chroma as many
samples are, which is less than its gate's reach, as in a runtime's margin."""
_KINDS = 4
"""Numbers of a coefficient that the gate takes."""


class SparseGate:
    """The gate. Safe from several threads."""

    def __init__(self, weights: Weights) -> None:
        """Lay the weights out for this CPU.

        Raises:
            KeyError: one is missing.
            ValueError: channels do not fill a vector.
        """
        self._luma = _Branch(weights, "gate", 1)
        self._chroma = _Branch(weights, "chroma_gate", 2) if "chroma_gate.own" in weights else None
        self._memory = Lent(self._new)

    def nbytes(self, grids: Grids) -> int:
        """Bytes of memory for a picture whose components have so many blocks."""
        return self._memory.nbytes(grids)

    def take(
        self,
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        cells: Cells,
        team: Team = ALONE,
    ) -> None:
        """Take the wanted cells of a frame into its state, as far as the gate believes the past.

        Args:
            frame: of the picture.
            before: the state before the frame, of each component.
            after: its mean and evidence are filled at these cells.
            cells: the wanted ones.
            team: computes.
        """
        grids = tuple(coefficients.shape[:2] for coefficients, _ in frame)
        near, wanted = blocks_of(widened(cells), grids), blocks_of(cells, grids)
        with self._memory(grids) as picture:
            places = [(self._luma, picture.luma, 0)]
            if self._chroma and picture.chroma:
                places += [(self._chroma, picture.chroma, index) for index in range(2)]
            for component, known, blocks, (branch, memory, index) in zip(frame, before, near, places, strict=True):
                place = {"features": memory.entering, "groups": branch.components, "group": index}
                team.divide(partial(sense, *component, known, **place), blocks)
            picture.plan.compute(cells, team)
            taken = zip(frame, before, after, wanted, places, strict=True)
            for component, known, found, blocks, (branch, memory, index) in taken:
                judged = {"own": branch.own[index], "logits": memory.logits, "after": found}
                place = {"groups": branch.components, "group": index}
                team.divide(partial(take_judged, *component, known, **judged, **place), blocks)

    def _new(self, grids: Grids) -> _Picture:
        grid, plan = Grid(*grids[0], *cell(grids), (_REACH, _REACH)), Plan(cells_of(grids))
        luma, chroma = self._luma.memory(grid), None
        self._luma.lay_out(plan, luma)
        if self._chroma:
            chroma = self._chroma.memory(grid.coarser(*subsampling(grids)))
            self._chroma.lay_out(plan, chroma, luma.features, subsampling(grids))
        return _Picture(luma, chroma, plan)


@dataclass(frozen=True, slots=True)
class _Memory:
    """Memory for a branch of the gate: what enters, the features and those between two layers, and the logits."""

    grid: Grid
    entering: NDArray[np.float32]
    features: NDArray[np.float32]
    between: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in (self.entering, self.features, self.between, self.logits))


@dataclass(frozen=True, slots=True)
class _Picture:
    """Memory for a picture, and how the logits of what has entered are computed in it."""

    luma: _Memory
    chroma: _Memory | None
    plan: Plan

    @property
    def nbytes(self) -> int:
        """Bytes of both branches."""
        return self.luma.nbytes + (self.chroma.nbytes if self.chroma else 0)


class _Branch:
    """The gate of luma, or of both components of chroma."""

    def __init__(self, weights: Weights, name: str, components: int) -> None:
        self._judge, self._decide = weights.of_place(f"{name}.judge"), weights.of_place(f"{name}.decide")
        self._around = [weights.layer(f"{name}.around.{index}") for index in range(2)]
        self._guide = _guide(weights, f"{name}.guide") if f"{name}.guide.weight" in weights else None
        self.own = weights(f"{name}.own").reshape(components, -1)
        """Of each component; see `state.take_judged`."""
        self.components = components

    def memory(self, grid: Grid) -> _Memory:
        """Memory for pictures whose blocks lie on a grid."""
        entering, hidden, logits = self.components * _KINDS * 64, self._judge.outputs, self.components * 64
        numbers = [grid.numbers(channels) for channels in (entering, hidden, hidden, logits)]
        return _Memory(grid, *numbers)

    def lay_out(
        self, plan: Plan, memory: _Memory, guide: NDArray[np.float32] | None = None, scale: tuple[int, int] = (1, 1)
    ) -> None:
        """Add the layers that compute the logits of what has entered.

        Args:
            plan: of the picture.
            memory: likewise.
            guide: luma's features, for chroma, on a grid `scale` times as fine.
            scale: down and across.
        """
        grid, features, between, cells = memory.grid, memory.features, memory.between, plan.cells
        plan.clear(grid, features, between)
        if guide is None or self._guide is None:
            plan.add(self._judge(memory.entering, cells, grid, sums=features, rectify=Rectify.LAST))
        else:
            plan.add(
                self._judge(memory.entering, cells, grid, sums=between),
                self._guide(scale)(guide, cells, grid, added=between, sums=features, rectify=Rectify.LAST),
            )
        first, second = self._around
        plan.add(
            first(features, cells, grid, added=features, sums=between, rectify=Rectify.FIRST),
            second(between, cells, grid, added=between, sums=features, rectify=Rectify.FIRST),
            self._decide(features, cells, grid.within(), sums=memory.logits),
        )


def _guide(weights: Weights, name: str) -> Callable[[tuple[int, int]], Layer]:
    """The layer of luma's features by their scale: as many times as many places, down and across."""
    weight, bias = weights(f"{name}.weight"), weights(f"{name}.bias")

    @cache
    def of_scale(scale: tuple[int, int]) -> Layer:
        return Layer(weight, bias, stride=scale, padding=0)

    return of_scale
