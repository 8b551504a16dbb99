"""CodedPicture to Picture: runs a model's graph on a picture of any size and sampling."""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile, Model, Port, Variant, verified
from mjpeg_restore.errors import ModelCorrupt, UnknownModel
from mjpeg_restore.frames import CodedPicture, Picture, Sampling, shown_again
from mjpeg_restore.futures import INLINE, gather
from mjpeg_restore.jpeg.tables import LUMA, estimate_quality
from mjpeg_restore.runtime import Blend, Camera, Inputs, NativeDecode, Network, Planes, Progress, Session, open_network
from mjpeg_restore.runtime.cpu.parts import HasParts, WholeGraph
from mjpeg_restore.runtime.cpu.video import VideoSession
from mjpeg_restore.runtime.devices import candidates
from mjpeg_restore.tiles import Tile, tiles

DEFAULT_MEMORY = 300_000_000
"""Default limit of memory for the restoration of one picture, bytes."""
COMMON = 0.4
"""Correlation of the blocks' means of two pictures below which they show two scenes."""
LEAST_SPREAD = 8 * 4.0
"""Least standard deviation of the means of a picture that shows anything, in eighths of a grey level."""
FADING = 4.0
"""How many times smaller it becomes from one frame to the next, at most, of a picture that fades to a single colour."""


class Restorer:
    """A loaded model that restores pictures of any size and sampling.

    Safe from several threads. Each graph is loaded with the first picture that needs it. A forked process loads its
    graphs again: the threads of a runtime do not survive a fork. OpenVINO may hang in the child nevertheless, on a lock
    of its scheduler, above all if several threads restored in the parent: fork before the first picture, start the
    process anew ("spawn"), or take the device "onnxruntime".
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
        progress: Progress | None = None,
        engine_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        """Choose a model.

        Args:
            model: a name from the catalogue, such as "stream", or "acme-models/soft" of an installed package; or a
                `catalogue.Model`.
            device: one of `runtime.DEVICES`, which ":1" or another detail may follow. "auto" is an NVIDIA GPU where one
                works, else the CPU; but `decode` then takes the native extension where it was built, else ONNX Runtime.
            threads: CPU threads in all; every core by default.
            streams: pictures that callers restore at the same time.
            texture: amount of invented texture, 0..1, for a model with texture weights: their share in the blend (QGAC,
                appendix B.2).
            seed: of the noise, for a model that gives one of many possible pictures; equal seeds give equal pictures.
            memory: approximate limit for the restoration of one picture, bytes; larger pictures are restored in tiles.
                A device with memory of its own has its own limit.
            progress: called while a network is made ready, if that takes long; see `runtime.open_network`.
            engine_cache: folder of the engines that TensorRT builds; None for the user's cache.

        Raises:
            UnknownModel: no such model, or a texture for a model without texture weights.
            ModelCorrupt: the model's package is faulty.
            RuntimeUnavailable: no such device; one that is absent is found out with the first picture.
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
        candidates(device)  # an unknown one is an error
        self._device = device
        self._threads = threads
        self.streams = streams
        self._texture = texture
        self._seed = seed
        self._memory = memory
        self._progress = progress
        self._engine_cache = None if engine_cache is None else Path(engine_cache)
        self._networks: dict[str, Network] = {}
        self._sessions = _Sessions()
        _restorers.add(self)

    def choose(self, coded: CodedPicture) -> tuple[Variant, str]:
        """The variant that suits a picture best, and the key of the graph that restores it: "grey" or "colour".

        Raises:
            UnknownModel: the model has no graph for pictures in colour.
        """
        variant = self.model.variant(estimate_quality(coded.tables[0], LUMA))
        kind = "grey" if coded.sampling is Sampling.GRAY or self.model.per_component else "colour"
        if kind not in variant.graphs:
            raise UnknownModel(f"model {self.model.name!r} restores grey pictures alone")
        return variant, kind

    def network(self, graph: GraphFile, progress: Progress | None = None) -> Network:
        """One of the model's graphs, loaded.

        Args:
            graph: of one of the model's variants.
            progress: called if it is loaded now, and that takes long; None: the restorer's own.

        Raises:
            RuntimeUnavailable: the device is not available.
            ModelCorrupt: an engine file is missing or altered.
        """
        network = self._networks.get(graph.file)
        if network is None or network.broken:
            network = self._networks[graph.file] = self._load(graph, progress)
        return network

    def _load(self, graph: GraphFile, progress: Progress | None) -> Network:
        device = self._device
        if device == "auto" and self.model.name == catalogue.DECODE:
            if NativeDecode.available:
                return NativeDecode()
            device = "onnxruntime"  # it starts faster, and bf16 has nothing to speed up
        blend = texture_of(self.model, self._texture) if self._texture else None
        return open_network(
            graph,
            device,
            self._threads,
            self.streams,
            blend,
            progress or self.report,
            engine_cache=self._engine_cache,
        )

    def forget_networks(self) -> None:
        """Drop the loaded networks in a forked process; each is loaded again when it is needed."""
        _leak(self._networks)
        self._networks = {}

    @property
    def runtime_name(self) -> str:
        """Library, device and precision that run the network, in words; empty before the first picture."""
        return next((network.name for file, network in [*self._networks.items()] if ".context." not in file), "")

    def restore(self, coded: CodedPicture) -> Picture:
        """Restore one picture.

        Args:
            coded: the coefficients and tables that `jpeg.read` gives.

        Returns:
            Planes at the coded picture's own sampling, or at 4:4:4 where the model's chroma is `full_chroma`, cropped
            to its size, top row first; without a time.
        """
        return _picture(self.planes(coded), coded)

    def stream(self, pool: Executor = INLINE, halt: Callable[[], None] | None = None) -> RestorerStream:
        """Begin to restore the pictures of one camera; all streams share this network, which is loaded once.

        Args:
            pool: its threads compute the pictures, or wait for the device that does. By default the thread that asks
                for a picture computes it.
            halt: called several times a second while a network is made ready; its exception ends that, and is raised by
                what asked for the picture.
        """
        return RestorerStream(self, pool, _Sessions(), halt)

    def report(self, what: str, share: float) -> None:
        """Tell whoever watches of a network that is being made ready; see `Progress`."""
        if self._progress:
            self._progress(what, share)

    def planes(self, coded: CodedPicture) -> Planes:
        """The restored planes of all components, uint8 `[8 blocks_high, 8 blocks_wide]` each, not cropped.

        Cb and Cr of a model that is `full_chroma` have luma's size.
        """
        return self._alone().planes(coded).result()

    def inputs(self, coded: CodedPicture) -> Inputs:
        """The inputs of the graph that restores a picture; of a model that is `per_component`, of the first in turn."""
        variant, kind = self.choose(coded)
        return self._alone().inputs(coded, variant.graphs[kind].inputs)

    def _alone(self) -> RestorerStream:
        """A stream for one picture, computed by this thread; all of them share their sessions."""
        return RestorerStream(self, INLINE, self._sessions, None)

    def noise(self, high: int, wide: int) -> NDArray[np.float32]:
        """The noise for a picture of that many blocks of luma, standard normal, float32 `[4 high, 4 wide]`."""
        return np.random.default_rng(self._seed).standard_normal((4 * high, 4 * wide), np.float32)

    def memory(self, network: Network) -> int:
        """Bytes that one picture may take."""
        return self._memory if network.memory is None else network.memory


class RestorerStream:
    """One camera's pictures, restored by a shared network: what it remembers belongs to that camera.

    It remembers the last picture, so that one which comes again, as from a camera that is polled faster than it takes
    pictures, costs next to nothing; and with a model for video what the pictures so far tell of the scene. Safe from
    several threads; the order is that of the calls. A context manager, which closes it: on a GPU it holds memory.
    """

    def __init__(
        self, restorer: Restorer, pool: Executor, sessions: _Sessions, halt: Callable[[], None] | None
    ) -> None:
        """Begin a stream; see `Restorer.stream`."""
        self._restorer, self._pool, self._sessions, self._halt = restorer, pool, sessions, halt
        self._last: tuple[CodedPicture, Future[Picture]] | None = None
        self._scene: tuple[tuple[object, ...], NDArray[np.float32] | None] = (), None
        """What pictures of a scene have in common, and the means of luma's blocks of its last one that tells of the
        next ones, if the model has a state. They change together, as several threads may see them."""
        self._continuing: set[str] = set()
        """Files of the graphs with a state that have restored pictures of this scene."""
        self._in_host: dict[str, tuple[Network, VideoSession]] = {}
        """Of graphs whose state is in the host's memory, each beside its network, as in `_Sessions`."""
        self._computed: float | None = None

    @property
    def computed(self) -> float | None:
        """Share of the picture begun last that the network computes, 0..1; None if the model restores each alone.

        A pool may not have begun all that was submitted, and None is said before the first one: `Picture.computed` is
        a picture's own share.
        """
        return self._computed

    def submit(self, coded: CodedPicture, *, evidence: bool = True) -> Future[Picture]:
        """Begin to restore the stream's next picture, and return as soon as another one may be submitted.

        Args:
            coded: the picture.
            evidence: whether it tells of the next ones; not a photo among others, nor what was damaged and repaired.

        Returns:
            Its result is that of `Restorer.restore`, with its share in `computed` if the model is one for video.

        Raises:
            RuntimeUnavailable: the device is not available, or cannot begin the picture.
            ModelCorrupt: an engine file is missing or altered.
        """
        last = self._last
        if last and not _failed(last[1]) and _same(coded, last[0]):
            if self._computed is not None:
                self._computed = 0.0
            return gather([last[1]], lambda same: shown_again(same[0]))
        scene = coded.width, coded.height, coded.sampling, coded.colour
        evidence = evidence and coded.damage is None
        means = _means(coded) if evidence and self._continuing else None
        known, before = self._scene
        if scene != known or (means is not None and before is not None and _is_cut(before, means)):
            self._scene, self._continuing = (scene, None), set()
        continuing = self._continuing
        shares: list[float] = []  # of this picture, if the model has a state: one, before its planes are done

        def begun(share: float) -> None:
            self._computed = share
            shares.append(share)

        planes = self._planes(coded, self._continued, continuing, evidence=evidence, begun=begun)
        if evidence and continuing:
            self._scene = scene, _means(coded) if means is None else means
        restored = gather([planes], lambda planes: _picture(planes[0], coded, next(iter(shares), None)))
        self._last = coded, restored
        return restored

    def restore(self, coded: CodedPicture) -> Picture:
        """Restore the stream's next picture; see `Restorer.restore`."""
        return self.submit(coded).result()

    def planes(self, coded: CodedPicture) -> Future[Planes]:
        """Begin to restore a picture that is not remembered; the result is that of `Restorer.planes`."""
        return self._planes(coded, self._alone, set(), evidence=False)

    def _planes(
        self,
        coded: CodedPicture,
        camera: Callable[[GraphFile], Camera],
        continuing: set[str],
        *,
        evidence: bool,
        begun: Callable[[float], None] | None = None,
    ) -> Future[Planes]:
        model = self._restorer.model
        variant, kind = self._restorer.choose(coded)
        graph = variant.graphs[kind]
        if graph.has_state:
            inputs = components(coded)
            restored = camera(graph).submit(inputs, past=graph.file in continuing, evidence=evidence, begun=begun)
            continuing.add(graph.file)  # not before: what could not be begun has not made it forget the scene before
            ports = [port for port in graph.outputs if port.kind == "samples"]
            grids = [array.shape[:2] for array in inputs[::2]]
            return gather([restored], lambda planes: _checked(planes[0], graph, ports, grids))
        if not model.per_component:
            return self._tiled(graph, self.inputs(coded, graph.inputs))
        both = components(coded)
        alone = [both[2 * index : 2 * index + 2] for index in range(len(coded.coefficients))]
        return gather(
            [self._tiled(graph, inputs, chroma=index > 0) for index, inputs in enumerate(alone)],
            lambda planes: tuple(plane for (plane,) in planes),
        )

    def restart(self) -> None:
        """Forget earlier pictures: the next one does not continue them."""
        self._last, self._scene = None, ((), None)

    def close(self) -> None:
        """Wait for the pictures under way on the device, and free the memory there, which the next one takes anew.

        What a model for video remembers there is forgotten with it.
        """
        self._sessions.close()

    def __enter__(self) -> Self:
        """Return the stream itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the stream."""
        self.close()

    def inputs(self, coded: CodedPicture, ports: tuple[Port, ...]) -> Inputs:
        """The arrays that a graph takes, in the order of its ports."""
        both = components(coded)
        grids = [coefficients.shape[:2] for coefficients in both[::2]]

        def array(port: Port) -> NDArray[Any]:
            match port.kind:
                case "coefficients":
                    return both[2 * port.component]
                case "table":
                    return both[2 * port.component + 1]
                case "noise":
                    return self._restorer.noise(*grids[0])
                case "context":
                    return self._context(coded)
                case _:  # the state before a first frame
                    return np.zeros(port.sizes(grids), port.dtype)

        return [array(port) for port in ports]

    def _context(self, coded: CodedPicture) -> NDArray[np.float32]:
        """The context of a whole picture, computed at once."""
        variant, kind = self._restorer.choose(coded)
        graph = variant.graphs[f"{kind}.context"]
        (context,) = self._session(graph, INLINE).submit(self.inputs(coded, graph.inputs)).result()
        return context

    def _session(self, graph: GraphFile, pool: Executor, *, chroma: bool = False) -> Session:
        """This stream's session of a graph; `chroma`: another one, for a graph that restores components one by one.

        On a GPU a session takes its memory and captures its launches anew with every change of size.
        """
        return self._sessions.get((graph.file, chroma), self._restorer.network(graph, self._progress), pool)

    def _continued(self, graph: GraphFile) -> Camera:
        """This stream's use of a graph with a state, whose frames continue each other."""
        network = self._restorer.network(graph, self._progress)
        if camera := self._sessions.camera((graph.file, False), network, self._pool):
            return camera
        if graph.file not in self._in_host or self._in_host[graph.file][0] is not network:
            self._in_host[graph.file] = network, self._in_memory(graph, network)
        return self._in_host[graph.file][1]

    def _alone(self, graph: GraphFile) -> Camera:
        """A use of a graph with a state for a picture by itself."""
        network = self._restorer.network(graph, self._progress)
        return self._sessions.camera((graph.file, True), network, self._pool) or self._in_memory(graph, network)

    def _in_memory(self, graph: GraphFile, network: Network) -> VideoSession:
        def run(inputs: Inputs) -> Planes:
            return _submitted(self._session(graph, INLINE), graph, inputs).result()

        memory = self._restorer.memory(network)
        most = int(memory / (64 * self._restorer.model.bytes_per_pixel))
        parts = network.parts() if isinstance(network, HasParts) else None
        return VideoSession(parts or WholeGraph(run), self._pool, most, memory)

    def _progress(self, what: str, share: float) -> None:
        if self._halt:
            self._halt()
        self._restorer.report(what, share)

    def _tiled(self, graph: GraphFile, inputs: Inputs, *, chroma: bool = False) -> Future[Planes]:
        """Run a graph, in tiles where the whole would take too much memory or is larger than the network takes."""
        session = self._session(graph, self._pool, chroma=chroma)
        network, model = self._restorer.network(graph), self._restorer.model
        grids = _grids(graph, inputs)
        high, wide = grids[-1]
        steps = [(rows // high, columns // wide) for rows, columns in grids]
        mcu = model.bytes_per_pixel * 64 * math.prod(steps[0])
        largest = network.largest and (network.largest[0] // steps[0][0], network.largest[1] // steps[0][1])
        parts = tiles(high, wide, model.margin, int(self._restorer.memory(network) / mcu), largest)
        if len(parts) == 1:
            return _submitted(session, graph, inputs)
        places = [port.grid for port in graph.outputs]
        planes = tuple(np.empty((8 * grids[place][0], 8 * grids[place][1]), np.uint8) for place in places)

        def paste(restored: list[Planes]) -> Planes:
            for tile, some in zip(parts, restored, strict=True):
                for plane, whole, place in zip(some, planes, places, strict=True):
                    down, across = steps[place]
                    tile.paste(plane, whole, 8 * down, 8 * across)
            return planes

        return gather([_submitted(session, graph, _cut(graph, inputs, tile, steps)) for tile in parts], paste)


class _Sessions:
    """Open sessions, by graph file and by whether they are for chroma alone; and cameras whose state is on a device, by
    graph file and by whether they restore single pictures. Each beside its network: with another network, as after one
    that broke, it is begun anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, bool], tuple[Network, Session]] = {}
        self._cameras: dict[tuple[str, bool], tuple[Network, Camera | None]] = {}
        _sessions.add(self)

    def get(self, use: tuple[str, bool], network: Network, pool: Executor) -> Session:
        """The session for a use of a graph, whose network is loaded."""
        with self._lock:
            if use not in self._open or self._open[use][0] is not network:
                self._open[use] = network, network.session(pool)
            return self._open[use][1]

    def camera(self, use: tuple[str, bool], network: Network, pool: Executor) -> Camera | None:
        """The camera for a use of a graph with a state; None if the state is not on a device."""
        with self._lock:
            if use not in self._cameras or self._cameras[use][0] is not network:
                self._cameras[use] = network, network.camera(pool)
            return self._cameras[use][1]

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            sessions, self._open = self._open, {}
            cameras, self._cameras = self._cameras, {}
        for _, one in (*sessions.values(), *cameras.values()):
            if one:
                one.close()

    def forget(self) -> None:
        """Drop them in a forked process, even if nobody uses them there; each is opened again when it is needed."""
        _leak((self._open, self._cameras))
        self._open, self._cameras = {}, {}
        self._lock = threading.Lock()  # a thread of the parent may hold the old one


def _leak(lost: object) -> None:
    """Keep an object for ever: its destructor would wait for threads that exist in the parent process only."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))


def _grids(graph: GraphFile, inputs: Inputs) -> list[tuple[int, ...]]:
    """Blocks of each component, high and wide."""
    return [array.shape[:2] for array, port in zip(inputs, graph.inputs, strict=True) if port.kind == "coefficients"]


def _means(coded: CodedPicture) -> NDArray[np.float32]:
    """The means of luma's blocks, float32 `[blocks_high, blocks_wide]`, in eighths of a grey level from mid-grey."""
    return coded.coefficients[0][..., 0] * np.float32(coded.tables[0].flat[0])


def _is_cut(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether another scene has begun: the pictures of the blocks' means have little in common but their brightness.

    What moves keeps most of such a picture. One of a single colour has nothing in common with any other, as a covered
    camera's; unless the picture fades, which takes more than a frame.
    """
    one, other = before - before.mean(), after - after.mean()
    least, most = sorted(float(np.square(plane).mean()) ** 0.5 for plane in (one, other))
    if least <= LEAST_SPREAD:
        return most > max(LEAST_SPREAD, FADING * least)
    return float((one * other).mean()) < COMMON * least * most


def _submitted(session: Session, graph: GraphFile, inputs: Inputs) -> Future[Planes]:
    """Begin to run a graph; the result is `ModelCorrupt` if its planes are not what the contract says."""

    grids = _grids(graph, inputs)
    return gather([session.submit(inputs)], lambda planes: _checked(planes[0], graph, graph.outputs, grids))


def _checked(planes: Planes, graph: GraphFile, ports: Sequence[Port], grids: Sequence[tuple[int, ...]]) -> Planes:
    """What a graph gave for some of its outputs, if that is what the contract says; `grids` are the components' blocks.

    Raises:
        ModelCorrupt: it is not.
    """
    for array, port in zip(planes, ports, strict=True):
        shape = port.sizes(grids)
        if (array.dtype, array.shape) != (port.dtype, shape):
            what = "plane" if port.kind == "samples" else port.name
            found = f"{array.dtype} {[*array.shape]}"
            raise ModelCorrupt(f"{graph.label} gives a {what} of {found}, not {port.dtype} {[*shape]}")
    return planes


def _cut(graph: GraphFile, inputs: Inputs, tile: Tile, steps: list[tuple[int, int]]) -> Inputs:
    """The part of a graph's inputs that belongs to a tile; `steps` are each component's blocks in an MCU."""
    cut: list[NDArray[Any]] = []
    for array, port in zip(inputs, graph.inputs, strict=True):
        if port.per_block:
            down, across = steps[port.component]
            array = np.ascontiguousarray(tile.cut(array, port.per_block * down, port.per_block * across))
        cut.append(array)
    return cut


def _picture(planes: Planes, coded: CodedPicture, computed: float | None = None) -> Picture:
    """A restored picture, cropped to its size; `computed` is its share."""
    sampling = coded.sampling
    if len(planes) > 1 and planes[1].shape == planes[0].shape:
        sampling = Sampling.YUV444
    return Picture(
        planes=_crop(planes, coded, sampling),
        sampling=sampling,
        coded_sampling=None if sampling is coded.sampling else coded.sampling,
        full_range=coded.colour.full_range,
        quality=estimate_quality(coded.tables[0], LUMA),
        damage=coded.damage,
        computed=computed,
    )


def _failed(restored: Future[Picture]) -> bool:
    """Whether a picture could not be restored, such as for lack of memory: the same one may be next time."""
    return restored.done() and restored.exception() is not None


def _same(coded: CodedPicture, other: CodedPicture) -> bool:
    """Whether two pictures are restored to the same planes."""
    kinds = ((one.width, one.height, one.sampling, one.colour, one.damage) for one in (coded, other))
    if next(kinds) != next(kinds):
        return False
    # Two pictures of a camera nearly always differ in the first row: comparing it first costs microseconds.
    pairs = (*zip(coded.tables, other.tables, strict=True), *zip(coded.coefficients, other.coefficients, strict=True))
    return all(np.array_equal(a[:1], b[:1]) for a, b in pairs) and all(np.array_equal(a, b) for a, b in pairs)


_restorers: WeakSet[Restorer] = WeakSet()
_sessions: WeakSet[_Sessions] = WeakSet()


def _forget_all() -> None:
    for restorer in _restorers:
        restorer.forget_networks()
    for sessions in _sessions:
        sessions.forget()


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
    path = verified(model.folder, model.texture["file"], model.texture["sha256"], model.package)
    try:
        with path.open("rb") as file, np.load(file) as weights:
            return Blend(dict(weights), share)
    except Exception as error:  # it may be anything, and NumPy's exceptions are of many types
        raise ModelCorrupt(f"{path}: no weights in NumPy's .npz format") from error


def pad_blocks(blocks: NDArray[np.int16], high: int, wide: int) -> NDArray[np.int16]:
    """Extend a grid of blocks to the right and below by flat blocks with the DC coefficient of the edge.

    Args:
        blocks: int16 `[blocks_high, blocks_wide, 64]`.
        high, wide: block rows and columns of the result, not fewer than those of `blocks`.
    """
    missing = (high - blocks.shape[0], wide - blocks.shape[1])
    if missing == (0, 0):
        return blocks
    rows, columns, _ = blocks.shape
    padded = np.empty((high, wide, 64), np.int16)
    padded[:rows, :columns] = blocks
    padded[:rows, columns:] = padded[rows:] = 0
    padded[:rows, columns:, 0] = blocks[:, -1:, 0]
    padded[rows:, :, 0] = padded[rows - 1, :, 0]
    return padded


def _crop(planes: Planes, coded: CodedPicture, sampling: Sampling) -> Planes:
    """Planes at a sampling, cropped to the picture's size, top row first."""
    across, down = sampling.value or (1, 1)
    sizes = [(coded.height, coded.width)] + 2 * [(-(-coded.height // down), -(-coded.width // across))]
    cropped = tuple(plane[:high, :wide] for plane, (high, wide) in zip(planes, sizes, strict=False))
    return tuple(plane[::-1] for plane in cropped) if coded.colour.bottom_up else cropped
