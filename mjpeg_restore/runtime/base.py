"""The protocols of runtimes, which run graphs with the inputs and outputs of `models/graph.py`.

A `Network` is a graph that is loaded on a device, once for all cameras. A `Session` is one camera's use of it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.errors import Hint, MjpegRestoreError, RuntimeUnavailable

Inputs = Sequence[NDArray[Any]]
"""The arrays of a graph's input ports, in its order; `models/graph.py` states their types. They need not be
contiguous."""

Planes = tuple[NDArray[Any], ...]
"""The arrays of a graph's output ports: for each component a plane, uint8 `[8 blocks_high, 8 blocks_wide]` of its own
blocks or of luma's; or the context, float32 `[n]`."""

Shapes = tuple[tuple[int, ...], ...]
"""Shapes of a graph's inputs; luma's coefficients, `(blocks_high, blocks_wide, 64)`, are the first."""

Progress = Callable[[str, float], None]
"""Called several times a second while a network is made ready, if that takes long, with what is being done and the
share that is done, 0..1. An exception that it raises ends the work, and is raised by whatever asked for the network."""

Precision = Literal["fp16", "fp32"]
"""Of a network on a GPU. What stands around it, such as the projection into the quantisation cell, is float32."""

_MAX_MESSAGE = 200
"""Most characters of a library's error message."""

OUT_OF_MEMORY = "out of memory"
"""What `one_line` says when memory runs out."""

_OUT_OF_MEMORY = ("ALLOC_FAILED", "allocate memory", "bad_alloc", "bad allocation", OUT_OF_MEMORY)
"""Parts of the libraries' error messages when memory runs out."""


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights to mix with a graph's own."""

    weights: Mapping[str, NDArray[np.floating[Any]]]
    """By their names in the graph."""
    share: float = 1.0
    """Share of these weights in the mixture, 0..1; the rest is the graph's own."""

    def digest(self) -> str:
        """SHA-256 of weights and share, in hexadecimal: equal blends make the same network."""
        found = hashlib.sha256(repr(self.share).encode())
        for name, array in sorted(self.weights.items()):
            found.update(f"{name} {array.dtype} {array.shape} ".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How a graph is loaded."""

    detail: str
    """What follows the runtime's name in `device`, such as "GPU" in "openvino:GPU"; empty for the runtime's default."""
    threads: int
    """CPU threads in total."""
    streams: int
    """Pictures that are restored at the same time; the threads are divided among them."""
    blend: Blend | None
    """Weights to mix with the graph's own."""
    progress: Progress
    """Told of work that takes long."""
    precision: Precision
    """Of the network, where the device is a GPU with TensorRT or PyTorch."""
    engine_cache: Path | None
    """Folder of the engines that TensorRT builds; None for the user's cache."""


class Session(Protocol):
    """One camera's use of a network: the buffers and shapes of its pictures, and their order.

    Safe from several threads; the order is that of the calls.
    """

    def submit(self, inputs: Inputs) -> Future[Planes]:
        """Begin to restore a picture, and return as soon as another one may be submitted.

        Args:
            inputs: not changed by the caller before the future is done.

        Returns:
            Its result belongs to the caller: later pictures do not change it. It may be `RuntimeUnavailable`: the
            library failed, most likely for lack of memory.

        Raises:
            RuntimeUnavailable: the picture could not be begun.
        """
        ...

    def close(self) -> None:
        """Wait for the pictures under way, and free the buffers."""
        ...


class Camera(Protocol):
    """One camera's frames, restored in order by a graph with a state, which is kept from one to the next.

    Safe from several threads; the order is that of the calls.
    """

    def submit(
        self, inputs: Inputs, *, past: bool, evidence: bool, begun: Callable[[float], None] | None = None
    ) -> Future[Planes]:
        """Begin to restore the next frame, and return as soon as another one may be submitted.

        Args:
            inputs: coefficients and table of each component in turn; not changed by the caller before the future is
                done.
            past: whether the frames before it are of the same scene; if not, or if their size is another one, they are
                forgotten.
            evidence: whether it tells of those to come; if not, the state stays what it was.
            begun: called, before the future is done, with the share of the frame that the network computes, 0..1,
                without margins; on any thread, in the order of the frames.

        Returns:
            The planes of all components, which nobody may change: frames to come are compared with them. It may be
            `RuntimeUnavailable`.

        Raises:
            RuntimeUnavailable: the frame could not be begun.
        """
        ...

    def close(self) -> None:
        """Wait for the frames under way, and free what is held on a device."""
        ...


class Network(Protocol):
    """A graph that is loaded on a device, once for all cameras."""

    name: str
    """The library, device and precision, for users: "OpenVINO 2026.4, CPU, bf16"."""
    largest: tuple[int, int] | None
    """Most blocks of luma that it takes, high and wide; larger pictures are restored in tiles. None: any number."""
    memory: int | None
    """Bytes of the device's own memory that a picture may take; None: it takes the host's, which the caller limits."""

    @property
    def broken(self) -> bool:
        """Whether it restores nothing any more, as after an illegal access that ends a GPU's context.

        It is not handed out again: who asks gets a new one or, with "auto", perhaps that of another device.
        """
        ...

    def session(self, pool: Executor) -> Session:
        """Begin a session, whose pictures are computed, or waited for, on the threads of the pool."""
        ...

    def camera(self, pool: Executor) -> Camera | None:
        """Begin to restore a camera's frames, for a graph with a state, which stays on the device.

        None where the state is in the host's memory, among the inputs of a session: `cpu/video.py` keeps it.
        """
        ...


class HostNetwork(ABC):
    """A `Network` that the pool's threads compute in the host's memory, several pictures at the same time."""

    name: str
    largest: tuple[int, int] | None = None
    memory: int | None = None
    broken: bool = False

    @abstractmethod
    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture, on this thread. May be called from several threads at once.

        Raises:
            RuntimeUnavailable: the library failed.
        """

    def session(self, pool: Executor) -> Session:
        """Begin a session; see `Network`."""
        return HostSession(self.run, pool)

    def camera(self, pool: Executor) -> Camera | None:
        """None: the state is in the host's memory; see `Network`."""
        return None


class HostSession:
    """A `Session` of a `HostNetwork`: nothing is kept between its pictures."""

    def __init__(self, run: Callable[[Inputs], Planes], pool: Executor) -> None:
        self._run, self._pool = run, pool

    def submit(self, inputs: Inputs) -> Future[Planes]:
        """Compute a picture on the pool; see `Session`."""
        return self._pool.submit(self._run, inputs)

    def close(self) -> None:
        """Nothing is to be freed, and pictures under way may be finished later."""


@contextmanager
def wrap_errors(what: str, hint: Hint | None = None) -> Generator[None]:
    """Convert a library's exceptions to `RuntimeUnavailable`, with a message of one line.

    Args:
        what: what failed: "ONNX Runtime cannot load stream.onnx".
        hint: what to do, if anything helps: `Hint("try {device}", device="openvino")`.

    Raises:
        RuntimeUnavailable: for any exception but `MjpegRestoreError`.
    """
    try:
        yield
    except MjpegRestoreError:
        raise
    except Exception as error:  # the libraries raise undocumented types of their own
        raise RuntimeUnavailable(f"{what} ({one_line(error)})", hint) from error


@contextmanager
def memory_errors(what: str, hint: Hint) -> Generator[None]:
    """Convert exceptions for lack of memory alone to `RuntimeUnavailable`: of work that is the package's own."""
    try:
        yield
    except MemoryError as error:
        raise RuntimeUnavailable(f"{what} ({one_line(error)})", hint) from error


def one_line(error: Exception) -> str:
    """An exception's message in one line, without OpenVINO's list of source files: the lines that end with a colon."""
    if isinstance(error, MemoryError) or any(part in str(error) for part in _OUT_OF_MEMORY):
        return OUT_OF_MEMORY
    lines = [line.strip() for line in str(error).splitlines()]
    message = " ".join(line for line in lines if line and not line.endswith(":"))
    return message[:_MAX_MESSAGE] or type(error).__name__


def picture_size(inputs: Inputs) -> str:
    """Luma's size in whole blocks, as pixels for messages: "1920x1088"."""
    high, wide = inputs[0].shape[:2]
    return f"{8 * wide}x{8 * high}"
