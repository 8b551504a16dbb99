"""What is computed of a camera's frame: rectangles of it, or cells wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.base import Planes
from mjpeg_restore.runtime.cpu.areas import Area, Place
from mjpeg_restore.runtime.cpu.cells import blocks_of
from mjpeg_restore.runtime.cpu.history import History
from mjpeg_restore.runtime.cpu.part_sizes import Grids
from mjpeg_restore.runtime.cpu.parts import Frame, Part, Sparse
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.cpu.team import Team


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame, its state before and after it, and its history before it.

    Attributes:
        is_alone: whether it is a picture by itself, without a past or a future.
    """

    frame: Frame
    grids: Grids
    before: Sequence[ComponentState]
    after: Sequence[ComponentState]
    histories: Sequence[History]
    is_alone: bool


class PartOfFrame:
    """A part of a frame: cut out of it and of its state, and put into what is found.

    The parts that the gate judges need not be those that the network computes (`Parts.divides`).
    """

    def __init__(self, part: Part, area: Area, scene: Scene) -> None:
        self._part, self._area, self._scene = part, area, scene

    @property
    def histories(self) -> Sequence[History] | None:
        """After the frame, as `Part.histories`."""
        return self._part.histories

    def inner(self, component: int) -> Sequence[Place]:
        """What it has of a component, without margins."""
        return self._area.inner[component]

    def leave_others(self, component: int, blocks: NDArray[np.bool_]) -> None:
        """Set the blocks that it has of a component to False, `[high, wide]`."""
        for place in self.inner(component):
            blocks[place] = False

    def take(self) -> None:
        """Take it into the state."""
        gather = self._area.gather
        states = [
            ComponentState(*(gather(index, part) for part in (known.mean, known.evidence, known.correction)))
            for index, known in enumerate(self._scene.before)
        ]
        taken = self._part.take(self._gathered(), states, self._scene.histories)
        for index, (known, remembered) in enumerate(zip(self._scene.after, taken, strict=True)):
            for part, found in zip((known.mean, known.evidence), remembered, strict=True):
                self._area.scatter(index, found, part)

    def run(self) -> None:
        """Run the network, once all of the frame has been taken."""
        gather, after = self._area.gather, enumerate(self._scene.after)
        remembered = [(gather(index, known.mean), gather(index, known.evidence)) for index, known in after]
        self._part.run(self._gathered(), remembered)

    def restore(self, planes: Planes, histories: Sequence[History]) -> None:
        """Restore it, in the planes of its frame; `histories` are those of `Part.restore`."""
        area = self._area
        means = [area.gather(index, known.mean) for index, known in enumerate(self._scene.before)]
        # Those of frames that were under way have changed since it was taken.
        corrections = [area.gather(index, known.correction) for index, known in enumerate(self._scene.after)]
        wanted = [area.wanted(index) for index in range(len(planes))]
        restored = self._part.restore(means, corrections, wanted, histories)
        for index, (found, correction) in enumerate(zip(restored, corrections, strict=True)):
            area.scatter_samples(index, found, planes[index])
            area.scatter(index, correction, self._scene.after[index].correction)

    def _gathered(self) -> Frame:
        gather = self._area.gather
        return [(gather(index, coefficients), table) for index, (coefficients, table) in enumerate(self._scene.frame)]


class CellsOfFrame:
    """Cells of a frame, which are computed natively, wherever they are: for the gate, or for the network."""

    histories = None
    """None: it is no graph, which would have learnt them; see `PartOfFrame.histories`."""

    def __init__(self, model: Sparse, cells: NDArray[np.bool_], scene: Scene, team: Team) -> None:
        self._model, self._cells = model, cells
        self._scene, self._team = scene, team
        self._blocks = blocks_of(cells, scene.grids)
        self._lent = ExitStack()

    def leave_others(self, component: int, blocks: NDArray[np.bool_]) -> None:
        """Set the blocks that it has of a component to False, `[high, wide]`."""
        blocks[self._blocks[component]] = False

    def take(self) -> None:
        """Take them into the state."""
        scene = self._scene
        self._model.take(scene.frame, scene.before, scene.after, self._cells, self._team)

    def run(self) -> None:
        """Run the network, once all of the frame has been taken."""
        lent = self._model.run(self._scene.frame, self._scene.after, self._cells, self._team)
        self._residual = self._lent.enter_context(lent)

    def restore(self, planes: Planes, histories: Sequence[History]) -> None:
        """Restore them, in the planes of their frame; `histories` are those of `Part.restore`."""
        with self._lent:
            known = self._scene.frame, self._scene.before, self._scene.after
            self._model.restore(self._residual, *known, self._blocks, histories, planes, self._team)


Computed = PartOfFrame | CellsOfFrame
"""What is computed of a frame by gate or network."""


def beyond(parts: Sequence[Computed], grids: Grids) -> list[NDArray[np.bool_]]:
    """All blocks of each component but those of some parts."""
    found = [np.ones(grid, np.bool_) for grid in grids]
    for component, blocks in enumerate(found):
        for part in parts:
            part.leave_others(component, blocks)
    return found
