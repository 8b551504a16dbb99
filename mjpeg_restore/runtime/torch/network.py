"""A graph that PyTorch runs, on a CPU or a GPU."""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

import threading
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import Hint, RuntimeUnavailable
from mjpeg_restore.runtime.base import HostNetwork, Inputs, LoadSettings, Network, Planes, picture_size, wrap_errors
from mjpeg_restore.runtime.rewriting import for_torch
from mjpeg_restore.runtime.ring import RingSession
from mjpeg_restore.runtime.torch.program import Program
from mjpeg_restore.runtime.torch.session import RUNNING, GpuBuffers
from mjpeg_restore.runtime.weights import blended

CPU = "cpu"
"""The detail of the device that is no GPU."""

SIZES = 4
"""Sizes of pictures whose plans are kept, on a CPU."""

MEMORY_SHARE = 4
"""A picture may take one part in this many of a GPU's free memory, before it is restored in tiles."""

_CPU = Hint("try {device}", device="torch:cpu")
_SETTING = threading.Lock()


def load(graph: GraphFile, settings: LoadSettings) -> Network:
    """Load a graph.

    Args:
        graph: of the catalogue.
        settings: the detail is "cpu", where all is float32, or a GPU's index.

    Raises:
        MissingExtra: the package `onnx` is not installed, which reads graphs.
        RuntimeUnavailable: there is no such GPU, or PyTorch cannot run the graph.
    """
    on_cpu = settings.detail == CPU
    device = torch.device(CPU) if on_cpu else gpu(settings.detail)
    half = not on_cpu and settings.precision == "fp16"
    with wrap_errors(f"PyTorch cannot load {graph.label}", Hint("try {device}", device="onnxruntime")):
        content = graph.path().read_bytes()
        content = blended(content, settings.blend) if settings.blend else content
        program = Program(for_torch(content, half=half), graph.label, device)
        graph.check_names([*program.inputs], program.outputs)
        if on_cpu:
            return CpuNetwork(program, settings.threads, settings.streams)
        return GpuNetwork(program, half)


def check() -> str:
    """The devices that PyTorch finds, in words.

    Raises:
        RuntimeUnavailable: it fails to look at a GPU.
    """
    with wrap_errors("PyTorch cannot look at the GPU", _CPU):
        return ", ".join([*(torch.cuda.get_device_name(index) for index in range(_gpus())), "CPU"])


def gpu(detail: str) -> torch.device:
    """A GPU by its index, the first one if that is empty.

    Raises:
        RuntimeUnavailable: there is none, or none of that index.
    """
    if detail and not detail.isdecimal():
        raise RuntimeUnavailable(f"PyTorch has no device {detail!r}: GPUs have numbers from 0, as in torch:1", _CPU)
    index, count = int(detail or 0), _gpus()
    if not torch.backends.cuda.is_built():
        raise RuntimeUnavailable(f"PyTorch {torch.__version__} is installed without CUDA", _CPU)
    if index >= count:
        there = f"only {', '.join(map(str, range(count)))}" if count else "and none at all"
        raise RuntimeUnavailable(f"PyTorch finds no NVIDIA GPU {index}, {there}", _CPU)
    return torch.device("cuda", index)


def _gpus() -> int:
    with warnings.catch_warnings():  # such as one of an old driver, with which there is none to be used
        warnings.simplefilter("ignore")
        return torch.cuda.device_count() if torch.cuda.is_available() else 0


class CpuNetwork(HostNetwork):
    """A graph on the CPU, in float32, on threads of its own.

    PyTorch has one number of threads for a whole process, which other parts of it may rely on, and each thread that has
    begun to compute keeps the number that it found. So the threads that compute here are others than the caller's.
    """

    def __init__(self, program: Program, threads: int, streams: int) -> None:
        self.name = f"PyTorch {torch.__version__}, CPU, fp32"
        self._file = program.name
        self._types = program.types
        self._plan = lru_cache(SIZES)(program.plan)
        self._workers = ThreadPoolExecutor(
            streams, "torch", initializer=_limit_threads, initargs=(max(1, threads // streams),)
        )

    def run(self, inputs: Inputs) -> Planes:
        """Restore one picture; see `HostNetwork`."""
        with wrap_errors(f"PyTorch cannot restore a picture of {picture_size(inputs)}", RUNNING):
            return self._workers.submit(self._computed, inputs).result()

    @torch.inference_mode()
    def _computed(self, inputs: Inputs) -> Planes:
        plan = self._plan(tuple(array.shape for array in inputs))
        tensors = [
            torch.from_numpy(np.array(array, order="C")).to(kind)  # a copy: PyTorch warns of what cannot be written
            for array, kind in zip(inputs, self._types, strict=True)
        ]
        return tuple(made.numpy().copy() for made in plan(tensors))


def _limit_threads(count: int) -> None:
    """Let PyTorch compute on that many threads for this one, and leave the number for all others as it is."""
    with _SETTING:
        before = torch.get_num_threads()
        torch.set_num_threads(count)  # of this thread, and of those that have not computed yet
        other = threading.Thread(target=torch.set_num_threads, args=(before,))
        other.start()
        other.join()


class GpuNetwork:
    """A graph on a GPU; see `Network`. The sessions share its weights."""

    def __init__(self, program: Program, half: bool) -> None:
        self._program = program
        device = program.device
        precision = "fp16" if half else "fp32"
        self.name = f"PyTorch {torch.__version__}, {torch.cuda.get_device_name(device)}, {precision}"
        self.largest: tuple[int, int] | None = None
        self.memory: int | None = torch.cuda.mem_get_info(device)[0] // MEMORY_SHARE
        self.broken = False

    def session(self, pool: Executor) -> RingSession:
        """Begin a session; see `Network`."""
        buffers = GpuBuffers(self._program, self._failed)
        return RingSession(buffers.allocate, buffers.release, pool)

    def camera(self, pool: Executor) -> RingSession:
        """Begin a session that keeps the state on the GPU; see `Network`."""
        return self.session(pool)

    def _failed(self) -> None:
        """Find out after an error whether the GPU's context is alive: some errors end it, and all calls fail then."""
        try:
            torch.cuda.mem_get_info(self._program.device)
        except RuntimeError:
            self.broken = True
