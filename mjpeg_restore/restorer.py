"""CodedPicture to Picture: runs a model's graph on a picture of any size and sampling."""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model, Variant, verified
from mjpeg_restore.errors import UnknownModel
from mjpeg_restore.frames import CodedPicture, Picture, Sampling
from mjpeg_restore.jpeg.tables import LUMA, estimate_quality
from mjpeg_restore.runtime import Blend, Inputs, NativeDecode, Planes, Runtime, open_runtime
from mjpeg_restore.tiles import Tile, tiles

DEFAULT_MEMORY = 300_000_000
"""Default limit of memory for the restoration of one picture, bytes."""


class Restorer:
    """A loaded model that restores pictures of any size and sampling.

    Safe from several threads. Each graph is loaded with the first picture that needs it. A forked process loads its
    graphs again: the threads of a runtime do not survive a fork. Fork while no other thread restores with OpenVINO: a
    lock of its scheduler that is held then stays locked in the child.
    """

    def __init__(
        self,
        model: str | Model = catalogue.DEFAULT,
        device: str = "auto",
        *,
        threads: int | None = None,
        streams: int = 1,
        texture: float = 0.0,
        seed: int = 0,
        memory: int = DEFAULT_MEMORY,
    ) -> None:
        """Choose a model.

        Args:
            model: a name from the catalogue, or a `catalogue.Model`.
            device: "auto", "onnxruntime" or "openvino"; see `runtime.open_runtime`. With "auto", `decode` takes the
                native extension where it was built, else ONNX Runtime.
            threads: CPU threads in all; every core by default.
            streams: pictures that callers restore at the same time.
            texture: amount of invented texture, 0..1, for a model with texture weights: their share in the blend (QGAC,
                appendix B.2).
            seed: of the noise, for a model that gives one of many possible pictures; equal seeds give equal pictures.
            memory: approximate limit for the restoration of one picture, bytes; larger pictures are restored in tiles.

        Raises:
            UnknownModel: no such model, or a texture for a model without texture weights.
            ValueError: a texture outside 0..1, a seed below 0, or fewer than one thread or stream.
        """
        if streams < 1 or (threads is not None and threads < 1):
            raise ValueError(f"threads {threads}, streams {streams}: one or more of each")
        if not 0 <= texture <= 1 or seed < 0:
            raise ValueError(f"texture {texture}, seed {seed}: texture is 0..1, and a seed 0 or more")
        self.model = model if isinstance(model, Model) else catalogue.find(model)
        if texture and not self.model.texture:
            able = [name for name, known in catalogue.models().items() if known.texture]
            raise UnknownModel(f"model {self.model.name!r} has no texture to blend in; {', '.join(able) or 'none'} has")
        self._device = device
        self._threads = threads
        self.streams = streams
        self._texture = texture
        self._seed = seed
        self._memory = memory
        self._runtimes: dict[str, Runtime] = {}
        self._loading = threading.Lock()
        _restorers.add(self)

    def choose(self, coded: CodedPicture) -> tuple[Variant, str]:
        """The variant that suits a picture best, and the key of the graph that restores it: "grey" or "colour"."""
        variant = self.model.variant(estimate_quality(coded.tables[0], LUMA))
        return variant, "grey" if coded.sampling is Sampling.GRAY or self.model.per_component else "colour"

    def runtime(self, coded: CodedPicture, suffix: str = "") -> Runtime:
        """The loaded graph for a picture, or its context graph (`suffix` ".context").

        Raises:
            RuntimeUnavailable: the device is not available.
            ModelCorrupt: an engine file is missing or altered.
        """
        variant, kind = self.choose(coded)
        kind += suffix
        key = variant.graphs[kind]["file"]
        with self._loading:
            if key not in self._runtimes:
                self._runtimes[key] = self._load(variant.file(kind))
            return self._runtimes[key]

    def _load(self, graph: Path) -> Runtime:
        device = self._device
        if device == "auto" and self.model.name == catalogue.DECODE:
            if NativeDecode.available:
                return NativeDecode()
            device = "onnxruntime"  # it starts faster, and bf16 has nothing to speed up
        blend = texture_of(self.model, self._texture) if self._texture else None
        return open_runtime(graph, device, self._threads, self.streams, blend)

    def forget_graphs(self) -> None:
        """Drop the loaded graphs in a forked process; each is loaded again when it is needed."""
        # One reference is leaked: the destructors would wait for threads that exist in the parent process only.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._runtimes))
        self._runtimes = {}
        self._loading = threading.Lock()  # a thread of the parent may hold the old one

    @property
    def runtime_name(self) -> str:
        """Library, device and precision that run the network, in words; empty before the first picture."""
        with self._loading:
            return next((runtime.name for key, runtime in self._runtimes.items() if ".context." not in key), "")

    def restore(self, coded: CodedPicture) -> Picture:
        """Restore one picture.

        Args:
            coded: the coefficients and tables that `jpeg.read` gives.

        Returns:
            Planes at the coded picture's own sampling, cropped to its size, top row first; without a time.
        """
        return Picture(
            planes=_crop(self.planes(coded), coded),
            sampling=coded.sampling,
            full_range=coded.colour.full_range,
            quality=estimate_quality(coded.tables[0], LUMA),
            damage=coded.damage,
        )

    def stream(self) -> RestorerStream:
        """Begin to restore the pictures of one camera; all streams share this network, which is loaded once."""
        return RestorerStream(self)

    def planes(self, coded: CodedPicture) -> Planes:
        """The restored planes of all components, uint8 `[8 blocks_high, 8 blocks_wide]` each, not cropped."""
        inputs = self.inputs(coded)
        run, count = self.runtime(coded).run, len(coded.coefficients)
        if self.model.per_component:
            alone = [inputs[2 * index : 2 * index + 2] for index in range(count)]
            return tuple(plane for component in alone for plane in self._tiled(run, component, 1))
        return self._tiled(run, inputs, count)

    def _tiled(self, run: Callable[[Inputs], Planes], inputs: Inputs, count: int) -> Planes:
        """Run a graph on the inputs of `count` components, in tiles where the whole would take too much memory."""
        grids = [array.shape[:2] for array in inputs[: 2 * count : 2]]
        high, wide = grids[-1]
        steps = [(rows // high, columns // wide) for rows, columns in grids]
        mcu = self.model.bytes_per_pixel * 64 * math.prod(steps[0])
        parts = tiles(high, wide, self.model.margin, int(self._memory / mcu))
        if len(parts) == 1:
            return run(inputs)
        planes = tuple(np.empty((8 * rows, 8 * columns), np.uint8) for rows, columns in grids)
        for tile in parts:
            restored = run(self._cut(inputs, tile, steps))
            for plane, whole, (down, across) in zip(restored, planes, steps, strict=True):
                tile.paste(plane, whole, 8 * down, 8 * across)
        return planes

    def _cut(self, inputs: Inputs, tile: Tile, steps: list[tuple[int, int]]) -> Inputs:
        """The part of a graph's inputs that belongs to a tile."""
        cut: list[NDArray[Any]] = []
        for index, (down, across) in enumerate(steps):
            blocks, table = inputs[2 * index : 2 * index + 2]
            cut += [np.ascontiguousarray(tile.cut(blocks, down, across)), table]
        extra = list(inputs[2 * len(steps) :])
        if self.model.extra == "noise":
            down, across = steps[0]
            extra = [np.ascontiguousarray(tile.cut(extra[0], 4 * down, 4 * across))]
        return [*cut, *extra]

    def inputs(self, coded: CodedPicture) -> Inputs:
        """The inputs of the picture's graph: its components, then the noise or the context of a model with one."""
        inputs = components(coded)
        high, wide = inputs[0].shape[:2]
        match self.model.extra:
            case None:
                return inputs
            case "noise":
                random = np.random.default_rng(self._seed)
                return [*inputs, random.standard_normal((4 * high, 4 * wide), np.float32)]
            case "context":
                return [*inputs, *self.runtime(coded, ".context").run(inputs)]


class RestorerStream:
    """One camera's pictures, restored by a shared network: what it remembers belongs to that camera.

    It remembers the last picture, so that one which comes again, as from a camera that is polled faster than it takes
    pictures, costs next to nothing. Safe from several threads.
    """

    def __init__(self, restorer: Restorer) -> None:
        """Begin a stream; see `Restorer.stream`."""
        self._restorer = restorer
        self._last: tuple[CodedPicture, Picture] | None = None

    def restore(self, coded: CodedPicture) -> Picture:
        """Restore the stream's next picture; see `Restorer.restore`."""
        last = self._last
        if last and _same(coded, last[0]):
            return last[1]
        restored = self._restorer.restore(coded)
        self._last = coded, restored
        return restored

    def restart(self) -> None:
        """Forget earlier pictures: the next one does not continue them."""
        self._last = None


def _same(coded: CodedPicture, other: CodedPicture) -> bool:
    """Whether two pictures are restored to the same planes."""
    kinds = ((one.width, one.height, one.sampling, one.colour, one.damage) for one in (coded, other))
    if next(kinds) != next(kinds):
        return False
    # Two pictures of a camera nearly always differ in the first row: comparing it first costs microseconds.
    pairs = (*zip(coded.tables, other.tables, strict=True), *zip(coded.coefficients, other.coefficients, strict=True))
    return all(np.array_equal(a[:1], b[:1]) for a, b in pairs) and all(np.array_equal(a, b) for a, b in pairs)


_restorers: WeakSet[Restorer] = WeakSet()


def _forget_all() -> None:
    for restorer in _restorers:
        restorer.forget_graphs()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def components(coded: CodedPicture) -> Inputs:
    """Coefficients and table of Y, Cb and Cr in turn (C4); luma's grid is padded to a multiple of chroma's (C2)."""
    found = list(zip(coded.coefficients, coded.tables, strict=True))
    if coded.sampling is Sampling.GRAY:
        return [*found[0]]
    across, down = coded.sampling.value
    (luma, table), *chroma = found
    if coded.colour.swapped_chroma:
        chroma.reverse()
    high, wide = chroma[0][0].shape[:2]
    return [pad_blocks(luma, high * down, wide * across), table, *chroma[0], *chroma[1]]


def texture_of(model: Model, share: float) -> Blend:
    """The weights that were trained for texture, for a blend with a model's own (QGAC, appendix B.2, equation 1).

    Args:
        model: a model with texture weights.
        share: alpha, 0 for the regression, 1 for texture.

    Raises:
        UnknownModel: the model has none.
        ModelCorrupt: the weights are missing or altered.
    """
    if model.texture is None:
        raise UnknownModel(f"model {model.name!r} has no texture to blend in")
    with np.load(verified(model.folder, model.texture)) as weights:
        return Blend(dict(weights), share)


def pad_blocks(blocks: NDArray[np.int16], high: int, wide: int) -> NDArray[np.int16]:
    """Extend a grid of blocks to the right and below by flat blocks with the DC coefficient of the edge.

    Args:
        blocks: int16 `[blocks_high, blocks_wide, 64]`.
        high, wide: block rows and columns of the result, not fewer than those of `blocks`.
    """
    missing = (high - blocks.shape[0], wide - blocks.shape[1])
    if missing == (0, 0):
        return blocks
    padded = np.zeros((high, wide, 64), np.int16)
    padded[..., 0] = np.pad(blocks[..., 0], ((0, missing[0]), (0, missing[1])), mode="edge")
    padded[: blocks.shape[0], : blocks.shape[1]] = blocks
    return padded


def _crop(planes: tuple[NDArray[np.uint8], ...], coded: CodedPicture) -> tuple[NDArray[np.uint8], ...]:
    across, down = coded.sampling.value or (1, 1)
    sizes = [(coded.height, coded.width)] + 2 * [(-(-coded.height // down), -(-coded.width // across))]
    cropped = tuple(plane[:high, :wide] for plane, (high, wide) in zip(planes, sizes, strict=False))
    return tuple(plane[::-1] for plane in cropped) if coded.colour.bottom_up else cropped
