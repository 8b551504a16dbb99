"""PyTorch's interface to CUDA on a machine without a GPU: streams whose work is done as late as it may be.

What is enqueued in a stream waits until somebody synchronises with it, and even then other streams' work is done only
if an event says so. Results that are not there yet are noise. So a wait that is missing, or memory that is written too
early, gives wrong numbers. The "GPU's" memory is that of `torch.zeros`, and of what is computed from it in a stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

NOISE = 77
_DEVICE = threading.RLock()  # it does one thing at a time


class Work:
    """One call of an operator, whose result is written to the tensors that it was promised in."""

    def __init__(self, function: Any, args: Any, kwargs: Any, promised: Any) -> None:
        self._call, self._promised = (function, args, kwargs), promised

    def __call__(self) -> None:
        function, args, kwargs = self._call
        with torch.inference_mode(), _disable_current_modes():
            made = function(*args, **kwargs)
            if not function._schema.is_mutable:
                for ours, target in zip(tree_leaves(made), tree_leaves(self._promised), strict=True):
                    target.copy_(ours)


class Stream:
    """A queue of work; what is in it has not been done."""

    capturing: Graph | None = None

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self.queue: list[Callable[[], None]] = []
        self.priority = priority

    def enqueue(self, work: Callable[[], None]) -> None:
        (self.capturing.work if self.capturing else self.queue).append(work)

    def run(self, until: object = None) -> None:
        """Do what was enqueued first, as far as an event."""
        with _DEVICE:
            while self.queue and (until is None or until in self.queue):
                self.queue.pop(0)()

    def synchronize(self) -> None:
        assert not self.capturing, "a stream that is captured cannot be waited for"
        self.run()

    def wait_event(self, event: Event) -> None:
        self.enqueue(event.marked())


class Event:
    times: list[float]
    """Milliseconds between the next pairs of events."""

    def __init__(self, blocking: bool = False, enable_timing: bool = False) -> None:
        assert blocking != enable_timing, "waiting must not spin"
        self._mark: Callable[[], None] = lambda: None
        self._stream: Stream | None = None

    def record(self) -> None:
        self._stream = current()
        self._mark = lambda: None
        self._stream.enqueue(self._mark)

    def elapsed_time(self, later: Event) -> float:
        assert later._stream
        assert not later._stream.queue, "what is timed is not done"
        return Event.times.pop(0) if Event.times else 1.0

    def marked(self) -> Callable[[], None]:
        """What waits for the event as it is recorded now."""
        stream, mark = self._stream, self._mark

        def wait() -> None:
            if stream:
                stream.run(mark)

        return wait

    def synchronize(self) -> None:
        self.marked()()


class Graph:
    made = 0
    broken = False

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self._stream: Stream | None = None
        self.launches = 0

    def capture_begin(self, pool: object, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local"
        self._stream = current()
        assert self._stream.priority < 0
        assert not self._stream.queue, "what was done to prepare is not finished"
        self._stream.capturing = self

    def capture_end(self) -> None:
        assert self._stream
        self._stream.capturing = None
        if Graph.broken:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        Graph.made += 1

    def replay(self) -> None:
        self.launches += 1
        for work in self.work:
            current().enqueue(work)

    def reset(self) -> None:
        self.work = []


_streams: list[Stream] = []


def current() -> Stream:
    return _streams[-1]


class Lazy(TorchDispatchMode):
    """Defers what reads or writes the GPU's memory, and what reads the host's that the GPU reaches."""

    def __init__(self, stream: Stream, memory: dict[int, Tensor]) -> None:
        super().__init__()
        self._stream, self._memory = stream, memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [one for one in tree_leaves([args, kwargs]) if isinstance(one, Tensor) and not one.is_meta]
        places = {one.untyped_storage().data_ptr() for one in tensors}
        if not places & self._memory.keys():
            return func(*args, **kwargs)
        if func._schema.is_mutable:
            self._stream.enqueue(Work(func, args, kwargs, None))
            return args[0]
        made = func(*args, **kwargs)
        for one in tree_leaves(made):
            place = one.untyped_storage().data_ptr()
            if place in places:
                return made  # a view
            one.fill_(NOISE)
            self._memory[place] = one
        self._stream.enqueue(Work(func, args, kwargs, made))
        return made


def install(patch: pytest.MonkeyPatch) -> None:
    """Put all this in PyTorch's place."""
    memory: dict[int, Tensor] = {}
    zeros = torch.zeros

    def allocate(size: int, *, dtype: torch.dtype, device: object, pin_memory: bool) -> Tensor:
        block = zeros(size, dtype=dtype)
        memory[block.untyped_storage().data_ptr()] = block
        return block

    @contextmanager
    def stream(chosen: Stream) -> Generator[None]:
        _streams.append(chosen)
        try:
            with Lazy(chosen, memory):
                yield
        finally:
            _streams.pop()

    Graph.made, Graph.broken, Event.times = 0, False, []
    patch.setattr("mjpeg_restore.runtime.torch.session.torch.zeros", allocate)
    patch.setattr(torch.cuda, "Stream", Stream)
    patch.setattr(torch.cuda, "Event", Event)
    patch.setattr(torch.cuda, "CUDAGraph", Graph)
    patch.setattr(torch.cuda, "stream", stream)
    patch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    patch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Fake")
    patch.setattr(torch.cuda, "mem_get_info", lambda device: (8 << 30, 16 << 30))
