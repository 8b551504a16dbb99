"""One camera's pictures."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.frames import CodedPicture, Picture, shown_again
from mjpeg_restore.futures import INLINE, gather
from mjpeg_restore.restorer import graphs
from mjpeg_restore.restorer.arrays import components, picture
from mjpeg_restore.restorer.loaded import LoadedModel
from mjpeg_restore.restorer.scenes import block_means, is_cut, is_same
from mjpeg_restore.restorer.sessions import Sessions
from mjpeg_restore.runtime import Camera, Inputs, Network, Planes, Session
from mjpeg_restore.runtime.cpu.parts import HasParts, WholeGraph
from mjpeg_restore.runtime.cpu.video import VideoSession


class RestorerStream:
    """One camera's pictures, restored by a shared network: what it remembers belongs to that camera.

    It remembers the last picture, so that one which comes again, as from a camera that is polled faster than it takes
    pictures, costs next to nothing; and with a model for video what the pictures so far tell of the scene. Safe from
    several threads; the order is that of the calls. A context manager, which closes it: on a GPU it holds memory.
    """

    def __init__(self, model: LoadedModel, pool: Executor, sessions: Sessions, halt: Callable[[], None] | None) -> None:
        """Begin a stream; see `Restorer.stream`."""
        self._model, self._pool, self._sessions, self._halt = model, pool, sessions, halt
        self._last: tuple[CodedPicture, Future[Picture]] | None = None
        self._scene: tuple[tuple[object, ...], NDArray[np.float32] | None] = (), None
        """What pictures of a scene have in common, and the means of luma's blocks of its last one that tells of the
        next ones, if the model has a state. They change together, as several threads may see them."""
        self._continuing: set[str] = set()
        """Files of the graphs with a state that have restored pictures of this scene."""
        self._in_host: dict[str, tuple[Network, VideoSession]] = {}
        """Of graphs whose state is in the host's memory, each beside its network, as in `Sessions`."""
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
        if last and not _failed(last[1]) and is_same(coded, last[0]):
            if self._computed is not None:
                self._computed = 0.0
            return gather([last[1]], lambda same: shown_again(same[0]))
        scene = coded.width, coded.height, coded.sampling, coded.colour
        evidence = evidence and coded.damage is None
        means = block_means(coded) if evidence and self._continuing else None
        known, before = self._scene
        if scene != known or (means is not None and before is not None and is_cut(before, means)):
            self._scene, self._continuing = (scene, None), set()
        continuing = self._continuing
        shares: list[float] = []  # of this picture, if the model has a state: one, before its planes are done

        def begun(share: float) -> None:
            self._computed = share
            shares.append(share)

        planes = self._planes(coded, self._continued, continuing, evidence=evidence, begun=begun)
        if evidence and continuing:
            self._scene = scene, block_means(coded) if means is None else means
        restored = gather([planes], lambda planes: picture(planes[0], coded, next(iter(shares), None)))
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
        variant, kind = self._model.choose(coded)
        graph = variant.graphs[kind]
        if graph.has_state:
            inputs = components(coded)
            restored = camera(graph).submit(inputs, past=graph.file in continuing, evidence=evidence, begun=begun)
            continuing.add(graph.file)  # not before: what could not be begun has not made it forget the scene before
            ports = [port for port in graph.outputs if port.kind == "samples"]
            grids = [array.shape[:2] for array in inputs[::2]]
            return gather([restored], lambda planes: graphs.checked(planes[0], graph, ports, grids))
        if not self._model.model.per_component:
            return self._run(graph, self.inputs(coded, graph.inputs))
        both = components(coded)
        alone = [both[2 * index : 2 * index + 2] for index in range(len(coded.coefficients))]
        return gather(
            [self._run(graph, inputs, chroma=index > 0) for index, inputs in enumerate(alone)],
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
                    return self._model.noise(*grids[0])
                case "context":
                    return self._context(coded)
                case _:  # the state before a first frame
                    return np.zeros(port.sizes(grids), port.dtype)

        return [array(port) for port in ports]

    def _context(self, coded: CodedPicture) -> NDArray[np.float32]:
        """The context of a whole picture, computed at once."""
        variant, kind = self._model.choose(coded)
        graph = variant.graphs[f"{kind}.context"]
        (context,) = self._session(graph, INLINE).submit(self.inputs(coded, graph.inputs)).result()
        return context

    def _run(self, graph: GraphFile, inputs: Inputs, *, chroma: bool = False) -> Future[Planes]:
        session = self._session(graph, self._pool, chroma=chroma)
        model, network = self._model, self._model.network(graph)
        return graphs.run(session, graph, inputs, model.model.margin, model.blocks(network), network.largest)

    def _session(self, graph: GraphFile, pool: Executor, *, chroma: bool = False) -> Session:
        """This stream's session of a graph; `chroma`: another one, for a graph that restores components one by one.

        On a GPU a session takes its memory and captures its launches anew with every change of size.
        """
        return self._sessions.get((graph.file, chroma), self._model.network(graph, self._progress), pool)

    def _continued(self, graph: GraphFile) -> Camera:
        """This stream's use of a graph with a state, whose frames continue each other."""
        network = self._model.network(graph, self._progress)
        if camera := self._sessions.camera((graph.file, False), network, self._pool):
            return camera
        if graph.file not in self._in_host or self._in_host[graph.file][0] is not network:
            self._in_host[graph.file] = network, self._in_memory(graph, network)
        return self._in_host[graph.file][1]

    def _alone(self, graph: GraphFile) -> Camera:
        """A use of a graph with a state for a picture by itself."""
        network = self._model.network(graph, self._progress)
        return self._sessions.camera((graph.file, True), network, self._pool) or self._in_memory(graph, network)

    def _in_memory(self, graph: GraphFile, network: Network) -> VideoSession:
        def run(inputs: Inputs) -> Planes:
            return graphs.submit(self._session(graph, INLINE), graph, inputs).result()

        parts = network.parts() if isinstance(network, HasParts) else None
        return VideoSession(
            parts or WholeGraph(run), self._pool, self._model.blocks(network), self._model.memory(network)
        )

    def _progress(self, what: str, share: float) -> None:
        if self._halt:
            self._halt()
        self._model.report(what, share)


def _failed(restored: Future[Picture]) -> bool:
    """Whether a picture could not be restored, such as for lack of memory: the same one may be next time."""
    return restored.done() and restored.exception() is not None
