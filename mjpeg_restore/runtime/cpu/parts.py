"""What a network with a state computes of a camera's frame, in steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue.ports import by_kind
from mjpeg_restore.runtime.base import Inputs, Planes
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size
from mjpeg_restore.runtime.cpu.sparse import Cells
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.cpu.team import Team

Frame = Sequence[tuple[NDArray[np.int16], NDArray[np.uint16]]]
"""Coefficients and table of each component."""

Remembered = list[tuple[NDArray[np.int16], NDArray[np.float16]]]
"""Mean and evidence of each component, as in `ComponentState`."""


def graph_inputs(frame: Frame, states: Sequence[ComponentState], histories: Sequence[History]) -> list[NDArray[Any]]:
    """What a graph with a state takes: the frame, then the state and history of each component."""
    inputs: list[NDArray[Any]] = [array for component in frame for array in component]
    for known, history in zip(states, histories, strict=True):
        inputs += [known.mean, known.evidence, known.correction, history.packed()]
    return inputs


class Part(Protocol):
    """A part of a frame, or all of it: three steps in this order, each once and on any thread.

    If `Parts.divides`, `run` and `restore` need no `take` before them: another object may have taken those blocks.
    """

    @property
    def histories(self) -> Sequence[History] | None:
        """What a graph that computes the whole part has learnt in the first step, of each component; else None."""
        ...

    def take(self, frame: Frame, states: Sequence[ComponentState], histories: Sequence[History]) -> Remembered:
        """Take the part into its state.

        Args:
            frame: the part.
            states: of the same blocks before the frame. Their corrections are still those of an earlier frame, if parts
                of several frames are under way.
            histories: of the components before the frame.

        Returns:
            Mean and evidence after the frame.
        """
        ...

    def run(self, frame: Frame, remembered: Remembered) -> None:
        """Run the network. It depends on nothing that other frames' steps change.

        Args:
            frame: the part.
            remembered: of the same blocks, after the frame.
        """
        ...

    def restore(
        self,
        means: Sequence[NDArray[np.int16]],
        corrections: Sequence[NDArray[np.int16]],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
    ) -> Planes:
        """Restore the part.

        Args:
            means: of each component before the frame.
            corrections: before the frame, now that those before it have been restored. They become those after it.
            wanted: `[blocks_high, blocks_wide]` of each component: the blocks to restore, at least.
            histories: of the components after the frame. A graph that computes the whole part has its own.

        Returns:
            The planes of its components.
        """
        ...


class Sparse(Protocol):
    """Gate and network at some cells of a frame, wherever they are, or at all. Safe from several threads."""

    def nbytes(self, grids: Grids, /) -> int:
        """Bytes that it needs for a picture whose components have so many blocks."""
        ...

    def take(
        self,
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        cells: Cells,
        team: Team,
    ) -> None:
        """Take cells into the state, as far as the gate believes the past.

        Args:
            frame: all of it.
            before: the state before the frame, of each component.
            after: its mean and evidence are filled at these cells.
            cells: the cells.
            team: computes; what is found does not depend on it.
        """
        ...

    def run(
        self, frame: Frame, after: Sequence[ComponentState], cells: Cells, team: Team
    ) -> AbstractContextManager[Sequence[Any]]:
        """Run the network, once all of the frame has been taken; lend what `restore` needs of it."""
        ...

    def restore(
        self,
        residual: Sequence[Any],
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
        planes: Planes,
        team: Team,
    ) -> None:
        """Restore cells.

        Args:
            residual: what `run` has lent, of these cells.
            frame: the frame.
            before: the state before it, of each component.
            after: the one after it, whose corrections are those before the frame, and become those after it.
            wanted: the cells' blocks.
            histories: of the components after the frame.
            planes: filled at these blocks.
            team: computes.
        """
        ...


class Parts(Protocol):
    """Makes parts of frames.

    Attributes:
        at_once: parts that may be under way at the same time.
        divides: whether `run` and `restore` do without what `take` has done, and so may be those of other parts.
        sparse: computes cells of a frame instead of parts, wherever they are; None if nothing does.
    """

    at_once: int
    divides: bool
    sparse: Sparse | None

    @property
    def prepare(self) -> Callable[[Size, Grids], object] | None:
        """Compiles the network for parts of a size in pictures of these grids; None if that is of no use.

        What it returns is kept as long as the size is.
        """
        ...

    def part(self) -> Part:
        """The next part."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """A network that may compute frames in steps."""

    def parts(self) -> Parts | None:
        """What makes the parts; None if its graph computes a part in one step."""
        ...


class WholeGraph:
    """`Parts` of a graph that has a state among its inputs and outputs: one at a time, computed in the first step."""

    at_once = 1
    divides = False
    sparse: Sparse | None = None
    prepare = None

    def __init__(self, run: Callable[[Inputs], Planes]) -> None:
        """Begin with what runs the graph."""
        self._run = run

    def part(self) -> Part:
        """The next part; see `Parts`."""
        return _WholePart(self._run)


class _WholePart:
    def __init__(self, run: Callable[[Inputs], Planes]) -> None:
        self._run = run
        self._planes: Planes = ()
        self._corrections: list[NDArray[np.int16]] = []
        self.histories: list[History] = []

    def take(self, frame: Frame, states: Sequence[ComponentState], histories: Sequence[History]) -> Remembered:
        found = self._run(graph_inputs(frame, states, histories))
        self._planes = found[: len(frame)]
        mean, evidence, correction, history = by_kind(found[len(frame) :])
        self._corrections, self.histories = correction, [History.unpacked(array) for array in history]
        return list(zip(mean, evidence, strict=True))

    def run(self, frame: Frame, remembered: Remembered) -> None:
        pass

    def restore(
        self,
        means: Sequence[NDArray[np.int16]],
        corrections: Sequence[NDArray[np.int16]],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
    ) -> Planes:
        for correction, found in zip(corrections, self._corrections, strict=True):
            correction[:] = found
        return self._planes
