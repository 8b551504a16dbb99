"""The network of `stream-video` on the CPU, at wanted cells and half a cell around them, layer by layer (`sparse.py`).

It is what `models/stream_video.py` computes between means and residual, for both sizes of the network. Luma's branch
and chroma's are alike: `sparse_branch.py`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu import state
from mjpeg_restore.runtime.cpu.cells import blocks_of, cell, cells_of, subsampling, widened
from mjpeg_restore.runtime.cpu.lent import Lent
from mjpeg_restore.runtime.cpu.part_sizes import Grids
from mjpeg_restore.runtime.cpu.sparse import BORDER, Cells, Grid, Plan, Weights
from mjpeg_restore.runtime.cpu.sparse_branch import Branch, Guide, Memory
from mjpeg_restore.runtime.cpu.team import ALONE, Team

REACH = 4
"""Features of luma around wanted cells that are computed as well: 8 samples. The network's reach is larger, but what
lies beyond changes little."""
_FEATURES = 4
"""Features of a block, down and across."""

Component = tuple[NDArray[np.int16], NDArray[np.uint16], NDArray[np.int16], NDArray[np.float16]]
"""Coefficients and table of a frame, mean and evidence after it: of one component."""
Phases = tuple[NDArray[np.float16], int, int]
"""A residual `[2 blocks_high, 2 blocks_wide, components, 16]`, the number of components, and which of them it is."""


class SparseNetwork:
    """The network. Safe from several threads."""

    def __init__(self, named: Weights) -> None:
        """Lay the weights out for this CPU.

        Raises:
            KeyError: one is missing.
            ValueError: it has other blocks than are known, or channels that do not fill vectors.
        """
        self._luma = Branch(named, "", 1)
        self._chroma = Branch(named, "chroma_", 2, guided=True) if "chroma_enter.weight" in named else None
        self._past = [_map(named(f"past.{index}.weight")) for index in range(3 if self._chroma else 1)]
        self._significance = None
        if "significance.shares.weight" in named:
            self._significance = _map(named("significance.shares.weight"), named("significance.shares.bias"))
        self._memory, self._residuals = Lent(self._new), Lent(self._residual)

    def nbytes(self, grids: Grids) -> int:
        """Bytes of memory for a picture whose components have so many blocks."""
        return self._memory.nbytes(grids) + self._residuals.nbytes(grids)

    @contextmanager
    def run(self, components: Sequence[Component], cells: Cells, team: Team = ALONE) -> Generator[list[Phases]]:
        """Lend the residual of each component, at the wanted cells; elsewhere it is whatever it was.

        While it is lent, other pictures may be computed in the memory for what is before it, 30 to 70 times as much.

        Args:
            components: of a picture.
            cells: the wanted ones.
            team: computes.
        """
        grids = tuple(coefficients.shape[:2] for coefficients, *_ in components)
        tables = np.stack([table for _, table, *_ in components])
        with self._residuals(grids) as residual:
            with self._memory(grids) as picture:
                near, plan = blocks_of(widened(cells), grids), self._plan(picture, tables, grids)
                self._enter(components[:1], near, picture.luma, 0, team)
                last = [self._luma.predicted(picture.luma, plan.cells, residual.luma)]
                found: list[Phases] = [(residual.luma, 1, 0)]
                if self._chroma and picture.chroma and residual.chroma is not None:
                    self._enter(components[1:], near, picture.chroma, 1, team)
                    last.append(self._chroma.predicted(picture.chroma, plan.cells, residual.chroma))
                    found += [(residual.chroma, 2, 0), (residual.chroma, 2, 1)]
                plan.compute(cells, team, last)
            yield found

    def _plan(self, picture: _Picture, tables: NDArray[np.uint16], grids: Grids) -> Plan:
        """How what has entered is computed with these tables, up to the residual: as for the last frame, if it had
        them."""
        if picture.plan is None or not np.array_equal(picture.tables, tables):
            plan = Plan(cells_of(grids))
            self._luma.lay_out(plan, tables[:1], picture.luma)
            if self._chroma and picture.chroma:
                guide = Guide(picture.luma.fine.sums, subsampling(grids))
                self._chroma.lay_out(plan, tables[1:], picture.chroma, guide)
            picture.plan, picture.tables = plan, tables
        return picture.plan

    def _enter(
        self, components: Sequence[Component], near: Sequence[NDArray[np.bool_]], memory: Memory, first: int, team: Team
    ) -> None:
        """Fill the planes, in the order of the weights: samples, luma's significance map, deviations, the past.

        Args:
            components: of luma, or of chroma.
            near: blocks of all components for which they are filled.
            memory: has the planes.
            first: the first component's number.
            team: computes.
        """
        count, planes = len(components), iter(memory.planes)
        samples = [next(planes) for _ in range(count)]
        significance = (self._significance, next(planes)) if self._significance is not None and first == 0 else None
        left, past = [[next(planes) for _ in range(count)] for _ in range(2)]
        for index, component in enumerate(components):
            planes = component, samples[index], left[index], (self._past[first + index], past[index]), significance
            team.divide(partial(_enter, *planes), near[first + index])

    def _new(self, grids: Grids) -> _Picture:
        grid = _grid(grids)
        chroma = self._chroma.memory(grid.coarser(*subsampling(grids))) if self._chroma else None
        return _Picture(self._luma.memory(grid), chroma)

    def _residual(self, grids: Grids) -> _Residual:
        grid = _grid(grids)
        chroma = self._chroma.phases(grid.coarser(*subsampling(grids))) if self._chroma else None
        return _Residual(self._luma.phases(grid), chroma)


@dataclass(slots=True)
class _Picture:
    """Memory for a picture, and how it is computed in it up to the residual, with the tables of the last frame."""

    luma: Memory
    chroma: Memory | None
    plan: Plan | None = None
    tables: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))

    @property
    def nbytes(self) -> int:
        """Bytes of both branches."""
        return self.luma.nbytes + (self.chroma.nbytes if self.chroma else 0)


@dataclass(frozen=True, slots=True)
class _Residual:
    """Memory for the residual of a picture."""

    luma: NDArray[np.float16]
    chroma: NDArray[np.float16] | None

    @property
    def nbytes(self) -> int:
        """Bytes of both branches."""
        return self.luma.nbytes + (0 if self.chroma is None else self.chroma.nbytes)


def _grid(grids: Grids) -> Grid:
    """Where the features of luma lie, of pictures whose components have so many blocks."""
    down, across = (_FEATURES * length for length in cell(grids))
    return Grid(_FEATURES * grids[0][0], _FEATURES * grids[0][1], down, across, (REACH, REACH))


def _enter(
    component: Component,
    samples: NDArray[np.float32],
    left: NDArray[np.float32],
    past: state.Mapped,
    significance: state.Mapped | None,
    wanted: NDArray[np.bool_],
) -> None:
    """Fill the planes of a component at wanted blocks; see `state.enter`."""
    state.enter(*component, samples, left, past=past, significance=significance, wanted=wanted, border=BORDER)


def _map(weight: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """A linear layer as `state.enter` takes it."""
    return np.ascontiguousarray(np.vstack([weight.T, np.zeros(len(weight)) if bias is None else bias]), np.float32)
