"""A model with a state that needs no file and no runtime: its network is arithmetic in double precision.

Its gate believes the past of a block from which no coefficient is far away, and nothing of any other. Its network
smooths a little, with a reach of one sample. So a frame of which parts are computed has to equal one that is whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import COMPONENTS, GraphFile, Model, Port, Variant
from mjpeg_restore.catalogue.ports import FORMS, STATE, STATE_AFTER, PortKind
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import Inputs, Network, Planes, Progress
from mjpeg_restore.runtime.base import HostNetwork
from mjpeg_restore.runtime.cpu.activity import Activity
from mjpeg_restore.runtime.cpu.cells import blocks_of
from mjpeg_restore.runtime.cpu.history import History, before_finer
from mjpeg_restore.runtime.cpu.part_sizes import Grids, Size
from mjpeg_restore.runtime.cpu.parts import Frame, Part, Remembered, Sparse
from mjpeg_restore.runtime.cpu.projection import CHROMA_CONFIDENCE, LUMA_CONFIDENCE, PHASES
from mjpeg_restore.runtime.cpu.sparse import Cells
from mjpeg_restore.runtime.cpu.state import ComponentState
from mjpeg_restore.runtime.cpu.team import Team
from tests import state_formulas as formulas

FAR = 1.5
"""Steps beyond which a deviation is one that the gate does not believe."""
SMOOTHING = 0.25
"""Share of the mean of 3x3 samples in what is restored."""


def port(name: str, kind: PortKind) -> Port:
    return Port.parse(name, FORMS[kind].replace("C", name.partition(".")[0]).replace("G", name))


def graph(kind: str, *, state: bool = True) -> GraphFile:
    """A graph that is no file: "grey" or "colour"."""
    components = COMPONENTS if kind == "colour" else COMPONENTS[:1]
    taken = [port(f"{one}.{what}", what) for one in components for what in ("coefficients", "table")]
    given = [port(one, "samples") for one in components]
    if state:
        taken += [port(f"{one}.{what}", what) for one in components for what in STATE]
        given += [port(f"{one}.{what}", what) for one in components for what in STATE_AFTER]
    return GraphFile(f"video.{kind}.onnx", "", tuple(taken), tuple(given), Path("nowhere"))


def model(bytes_per_pixel: float = 100.0) -> Model:
    """A model with these graphs."""
    variant = Variant(None, {}, {kind: graph(kind) for kind in ("grey", "colour")})
    return Model("video", "x", 1, 1.0, 1, bytes_per_pixel, {}, (variant,), projected=True)


class Formulas(HostNetwork):
    """The network.

    Attributes:
        grids: blocks of luma of each picture, or part of one, that it has computed, high and wide.
        error: raised for the next picture, if there is one.
    """

    name = "formulas"

    def __init__(self) -> None:
        self.grids: list[tuple[int, int]] = []
        self.error: Exception | None = None

    @property
    def blocks(self) -> int:
        """Blocks of luma that it has computed in all."""
        return sum(high * wide for high, wide in self.grids)

    def run(self, inputs: Inputs) -> Planes:
        """Restore a picture or a part of one."""
        if self.error:
            error, self.error = self.error, None
            raise error
        self.grids.append(inputs[0].shape[:2])
        planes: list[NDArray[np.uint8]] = []
        after: list[NDArray[np.generic]] = []
        count = len(inputs) // 6
        for index in range(count):
            coefficients, table = inputs[2 * index : 2 * index + 2]
            *blocks, history = inputs[2 * count + 4 * index :][:4]
            known = ComponentState(*blocks), History.unpacked(history)
            plane, *state = restored(coefficients, table, *known, luma=index == 0)
            planes.append(plane)
            after += state
        return (*planes, *after)


def restored(
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    state: ComponentState,
    history: History,
    *,
    luma: bool,
) -> tuple[NDArray[np.uint8], NDArray[np.int16], NDArray[np.float16], NDArray[np.int16], NDArray[np.float32]]:
    """A component's plane; mean, evidence, correction and history after the frame."""
    state = before_finer(state, history, table)
    component = Component(coefficients, table, luma=luma)
    mean, evidence = component.take(state)
    component.run(mean, evidence)
    following = formulas.learnt(history, coefficients, table, state, evidence)
    plane, correction = component.restore(state.mean, state.correction, following)
    return plane, mean, evidence, correction, following.packed()


class Component:
    """A component of a frame, restored in the steps of a `Part`."""

    def __init__(self, coefficients: NDArray[np.int16], table: NDArray[np.uint16], *, luma: bool) -> None:
        self._frame = coefficients, table
        self._confidence = LUMA_CONFIDENCE if luma else CHROMA_CONFIDENCE

    def take(self, state: ComponentState) -> tuple[NDArray[np.int16], NDArray[np.float16]]:
        deviation, _ = formulas.observed(*self._frame, state)
        believed = (np.abs(deviation).max(axis=2, keepdims=True) < FAR).astype(float)
        mean, evidence, _ = formulas.remembered(*self._frame, state, believed)
        return formulas.in_memory(mean).round().astype(np.int16), evidence.astype(np.float16)

    def run(self, mean: NDArray[np.int16], evidence: NDArray[np.float16]) -> None:
        self._mean, self._evidence = mean.astype(float) / 16, evidence
        samples = formulas.network_input(self._mean)
        padded = np.pad(samples, 1, mode="edge")
        high, wide = samples.shape
        around = sum(padded[y : y + high, x : x + wide] for y in range(3) for x in range(3)) / 9
        smoother = SMOOTHING * (around - samples)
        self._phases = np.stack([smoother[y::PHASES, x::PHASES] for y in range(PHASES) for x in range(PHASES)])

    def restore(
        self, before: NDArray[np.int16], correction: NDArray[np.int16], history: History
    ) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
        coefficients, table = self._frame
        own = formulas.residual(self._phases.astype(np.float16), table, self._confidence)
        level, share = self._mean / table, formulas.share(table, self._evidence)
        last = (before.astype(float) + correction) / 16 / table - level
        known = formulas.Known(table, self._evidence, history.noise, history.mean_tells)
        mixed = formulas.mixed(coefficients, known, level, own, last, share)
        shown = formulas.shown(formulas.in_cell(coefficients, mixed), table).round()
        kept = (formulas.kept(coefficients, known, mixed, share) - level) * table
        return shown.astype(np.uint8), formulas.in_memory(kept).round().astype(np.int16)


class Stepped:
    """`Parts` of that network, several at the same time.

    Attributes:
        at_once, divides, sparse, prepare: see `Parts`.
        running: called while a part's network runs.
        blocks: of luma that the network has computed in all; several threads add theirs with the lock.
        restored: of each part that was restored, luma's means before the frame, and the histories after it.
    """

    divides = True

    def __init__(
        self,
        at_once: int = 3,
        running: Callable[[], object] = lambda: None,
        prepare: Callable[[Size, Grids], object] | None = None,
        *,
        sparse: bool = False,
    ) -> None:
        self.at_once, self.running, self.prepare = at_once, running, prepare
        self.sparse: Sparse | None = SteppedCells(self) if sparse else None
        self.blocks, self.lock = 0, threading.Lock()
        self.restored: list[tuple[NDArray[np.int16], Sequence[History]]] = []

    def part(self) -> Part:
        return SteppedPart(self)


class SteppedPart:
    """A part of a frame for that network."""

    histories = None

    def __init__(self, network: Stepped) -> None:
        self._network = network

    def take(self, frame: Frame, states: Sequence[ComponentState], histories: Sequence[History]) -> Remembered:
        return [one.take(state) for one, state in zip(components_of(frame), states, strict=True)]

    def run(self, frame: Frame, remembered: Remembered) -> None:
        self._network.running()
        high, wide, _ = frame[0][0].shape
        with self._network.lock:
            self._network.blocks += high * wide
        self._run = components_of(frame)
        for one, known in zip(self._run, remembered, strict=True):
            one.run(*known)

    def restore(
        self,
        means: Sequence[NDArray[np.int16]],
        corrections: Sequence[NDArray[np.int16]],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
    ) -> Planes:
        self._network.restored.append((means[0].copy(), histories))
        planes: list[NDArray[np.uint8]] = []
        for index, one in enumerate(self._run):
            plane, corrections[index][:] = one.restore(means[index], corrections[index], histories[index])
            planes.append(plane)
        return tuple(planes)


class SteppedCells:
    """That network at cells of a frame: `Sparse`, which says that it needs `NBYTES` for any picture.

    Attributes:
        teams: sizes of the teams that ran it.
    """

    NBYTES = 1000

    def __init__(self, network: Stepped) -> None:
        self._network = network
        self.teams: list[int] = []

    def nbytes(self, grids: Grids, /) -> int:
        return self.NBYTES

    def take(
        self,
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        cells: Cells,
        team: Team,
    ) -> None:
        wanted = blocks_of(cells, [coefficients.shape[:2] for coefficients, _ in frame])
        for one, known, found, blocks in zip(components_of(frame), before, after, wanted, strict=True):
            mean, evidence = one.take(known)
            found.mean[blocks], found.evidence[blocks] = mean[blocks], evidence[blocks]

    @contextmanager
    def run(
        self, frame: Frame, after: Sequence[ComponentState], cells: Cells, team: Team
    ) -> Generator[list[Component]]:
        self._network.running()
        self.teams.append(team.size)
        blocks, *_ = blocks_of(cells, [coefficients.shape[:2] for coefficients, _ in frame])
        with self._network.lock:
            self._network.blocks += int(blocks.sum())
        components = components_of(frame)
        for one, known in zip(components, after, strict=True):
            one.run(known.mean, known.evidence)
        yield components

    def restore(
        self,
        residual: Sequence[Component],
        frame: Frame,
        before: Sequence[ComponentState],
        after: Sequence[ComponentState],
        wanted: Sequence[NDArray[np.bool_]],
        histories: Sequence[History],
        planes: Planes,
        team: Team,
    ) -> None:
        self._network.restored.append((before[0].mean.copy(), histories))
        for index, one in enumerate(residual):
            blocks, known = wanted[index], after[index].correction
            plane, correction = one.restore(before[index].mean, known, histories[index])
            known[blocks] = correction[blocks]
            np.copyto(planes[index], plane, where=np.kron(blocks, np.ones((8, 8), np.bool_)))


def components_of(frame: Frame) -> list[Component]:
    return [Component(*one, luma=index == 0) for index, one in enumerate(frame)]


class VideoRestorer(Restorer):
    """Restores with that network.

    Attributes:
        formulas: the network.
    """

    def __init__(self, bytes_per_pixel: float = 100.0) -> None:
        super().__init__(model(bytes_per_pixel), threads=1)
        self.formulas = Formulas()

    def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
        """The network, whatever the graph."""
        return self.formulas


def learnt(activity: Activity) -> list[dict[str, list[float]]]:
    """What is known of each component's noise by now."""
    limits = activity._limits  # pyright: ignore[reportPrivateUsage]
    return [{name: np.ravel(getattr(one, name)).tolist() for name in ("noise", "once", "twice")} for one in limits]


# ---- clips ----

Pixel = TypeVar("Pixel", np.float64, np.uint8)


def picture(wide: int, high: int, seed: int = 0) -> NDArray[np.float64]:
    """A scene like a photograph: RGB, far from black and white."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:high, :wide]
    slopes = [110 + 30 * np.sin((x + 5 * index) / 9) + 25 * np.cos(y / (11 + index)) for index in range(3)]
    return np.stack(slopes, axis=2) + random.normal(0, 6, (high, wide, 3))


def with_object(scene: NDArray[Pixel], left: int, top: int, side: int = 12) -> NDArray[Pixel]:
    """The scene with a bright object in front of it, cut at the edge."""
    found = scene.copy()
    found[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = (200, 60, 120)
    return found
