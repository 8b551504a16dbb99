"""A camera's pictures on a GPU: three under way, each with one copy up and one copy down.

Pictures are computed in a stream of the session, copies are made in two others. When a size has come often enough, the
program for it is captured as a CUDA graph, and is then launched as one.

The state of a graph that has one is on the GPU, once for all slots. The program reads it and writes the next one beside
it, which then takes its place, or not.

What PyTorch keeps for the whole process stays as it is: its default stream, its settings of TF32 and of cuDNN, and
which GPU is current. Products of matrices in float32 follow `torch.set_float32_matmul_precision`, whose default is as
exact as a CPU: there is no other way to choose.
"""

# pyright: basic
# PyTorch's types say little.

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mjpeg_restore.catalogue.ports import STATE, state_shapes
from mjpeg_restore.errors import Hint
from mjpeg_restore.runtime.base import Inputs, Planes, Shapes, wrap_errors
from mjpeg_restore.runtime.ring import ALIGNMENT, CAPTURE_AFTER, SLOTS
from mjpeg_restore.runtime.torch.program import Plan, Program

TIMED = 4
"""Runs of a plan that are timed together."""

MOST_OFF, MEAN_OFF = 8, 0.02
"""Most that samples of a plan with joined steps may differ from those of the plain one, in grey levels: a single one,
and on average. Rounding of float16 at other places changed single samples by 3, and one in a hundred at all."""

RUNNING = Hint("try {device} or {model}", device="onnxruntime", model="stream-lite")

_CAPTURING = threading.Lock()
_LOG = logging.getLogger(__name__)


class GpuBuffers:
    """The memory and streams of a session, for pictures of one size at a time."""

    def __init__(self, program: Program, failed: Callable[[], None]) -> None:
        """Prepare a session.

        Args:
            program: the network's.
            failed: called after each error of PyTorch's.
        """
        self.program, self.device = program, program.device
        self._failed = failed
        with self.running("begin a session"):
            self.upload, self.compute, self.download = (torch.cuda.Stream(self.device) for _ in range(3))
            # Of another kind than all sessions' streams. PyTorch hands out the same few of a kind again and again, and
            # work that another thread enqueues in a stream that is captured would be captured, too.
            self._capturing = torch.cuda.Stream(self.device, priority=-1)
        self.state_parts = sum(name.rpartition(".")[2] in STATE for name in program.inputs)
        """Inputs that are the state's, after all others; as many outputs come last."""
        self._slots: list[GpuSlot] = []
        self._pool: Any = None
        self._tuned: Plan | None = None
        self._pictures = 0
        self._capturable = True

    def allocate(self, shapes: Shapes) -> list[GpuSlot]:
        """Make the slots for pictures of a new size, after those of the size before are free.

        Raises:
            RuntimeUnavailable: the GPU lacks memory, or an operator does not take this size.
        """
        self.release()
        with self.running("prepare for pictures of this size"), torch.cuda.stream(self.compute):
            self._shapes = (*shapes, *self._state_shapes(shapes))
            self.plan = self.program.plan(self._shapes)
            parts = list(zip(self._shapes, self.program.types, strict=True))[len(shapes) :]
            state = GpuState(parts, self.device)
            self._slots = [GpuSlot(self, shapes, state) for _ in range(SLOTS)]
            self.compute.synchronize()
        return self._slots

    def release(self) -> None:
        """Free everything but the streams; nothing may be under way."""
        for slot in self._slots:
            slot.close()
        self._slots, self._tuned, self._pool = [], None, None  # with the last graph the pool is freed
        self._pictures, self._capturable = 0, True

    def _state_shapes(self, shapes: Shapes) -> Shapes:
        """Of the state's parts, if there is a state."""
        return state_shapes(shapes[::2]) if self.state_parts else ()

    @contextmanager
    def running(self, what: str) -> Generator[None]:
        """PyTorch's errors in one sentence, and nothing recorded for training."""
        with wrap_errors(f"PyTorch cannot {what} on {self.device}", RUNNING), torch.inference_mode():
            try:
                yield
            except Exception:
                self._failed()
                raise

    def due(self) -> bool:
        """Count a picture; True if a program for its size should be captured by now."""
        self._pictures += 1
        return self._capturable and self._pictures > CAPTURE_AFTER

    def captured(self, slot: GpuSlot) -> torch.cuda.CUDAGraph | None:
        """The program on a slot's memory as a CUDA graph; None where it cannot be captured."""
        graph = torch.cuda.CUDAGraph()
        self.compute.synchronize()  # what is timed and captured reads the state, and writes the next one
        try:
            with _CAPTURING:
                self._tuned = self._tuned or self._fastest(slot)
            with _CAPTURING, torch.cuda.stream(self._capturing):
                slot.wait_for_inputs(self._capturing)
                self._pool = self._pool or torch.cuda.graph_pool_handle()  # one: the graphs never run at the same time
                slot.compute(self._tuned)  # libraries take their memory
                self._capturing.synchronize()
                # Not `torch.cuda.graph`, which waits for all of the GPU's work and empties PyTorch's cache.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    slot.compute(self._tuned)
                except BaseException:
                    with suppress(RuntimeError):
                        graph.capture_end()
                    raise
                graph.capture_end()
        except RuntimeError as error:
            with suppress(RuntimeError):  # what is under way there writes where the picture is computed next
                self._capturing.synchronize()
            _LOG.info("no CUDA graph: %s", error)
            self._capturable = False
            return None
        return graph

    def _fastest(self, slot: GpuSlot) -> Plan:
        """The plan for this size that takes the least time with the picture at hand: with joined steps or without.

        Joined steps are taken only if they give the same picture, to a few grey levels of single samples.
        """
        plain = self.program.plan(self._shapes, tuned=True)
        taken, right = self._timed(slot, plain)
        try:
            joined = self.program.plan(self._shapes, tuned=True, fuse=True)
            taken_joined, found = self._timed(slot, joined)
        except Exception as error:  # not every build of PyTorch and cuDNN has them
            _LOG.info("no joined steps: %s", error)
            return plain
        return joined if taken_joined < taken and all(map(_alike, found, right)) else plain

    def _timed(self, slot: GpuSlot, plan: Plan) -> tuple[float, list[Tensor]]:
        """Milliseconds that a plan takes, and what it makes of the slot's picture."""
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.stream(self._capturing):
            slot.wait_for_inputs(self._capturing)
            slot.compute(plan)  # algorithms are timed, for this thread, and kernels compiled
            begun.record()
            for _ in range(TIMED):
                slot.compute(plan)
            ended.record()
            made = [one.clone() for one in slot.made]
            self._capturing.synchronize()
        return begun.elapsed_time(ended) / TIMED, made


def _alike(found: Tensor, right: Tensor) -> bool:
    """Whether two results of the same program differ only by the rounding of float16."""
    difference = (found.float() - right.float()).abs()
    if right.dtype == torch.uint8:
        return bool(difference.max() <= MOST_OFF and difference.mean() <= MEAN_OFF)
    return bool(difference.max() <= 0.01 * right.float().abs().max())


class GpuSlot:
    """The memory and events of one picture under way; see `Slot`."""

    def __init__(self, buffers: GpuBuffers, shapes: Shapes, state: GpuState) -> None:
        program = buffers.program
        self._buffers, self._state = buffers, state
        inputs = list(zip(shapes, program.types, strict=False))  # without the state's
        outputs = buffers.plan.outputs[: len(buffers.plan.outputs) - buffers.state_parts]
        self._sent, self._taken = Block(inputs, None), Block(inputs, buffers.device)
        self._made, self._received = Block(outputs, buffers.device), Block(outputs, None)
        self._uploaded, self._computed, self._downloaded = (torch.cuda.Event(blocking=True) for _ in range(3))
        self._graph: torch.cuda.CUDAGraph | None = None

    def start(self, inputs: Inputs, *, past: bool, evidence: bool) -> None:
        """Enqueue the copy up, the program and the copy down; see `Slot`."""
        for tensor, array in zip(self._sent.tensors, inputs, strict=True):
            np.copyto(tensor.numpy(), array)
        buffers = self._buffers
        with buffers.running("restore a picture"):
            with torch.cuda.stream(buffers.upload):
                self._taken.copy(self._sent)
                self._uploaded.record()
            if self._graph is None and buffers.due():
                self._graph = buffers.captured(self)
            with torch.cuda.stream(buffers.compute):
                buffers.compute.wait_event(self._uploaded)
                if not past:
                    self._state.forget()
                if self._graph:
                    self._graph.replay()
                else:
                    self.compute(buffers.plan)
                self._computed.record()
                if evidence:
                    self._state.advance()
            with torch.cuda.stream(buffers.download):
                buffers.download.wait_event(self._computed)
                self._received.copy(self._made)
                self._downloaded.record()

    def wait_for_inputs(self, stream: torch.cuda.Stream) -> None:
        """Have a stream wait for the copy up that was started last."""
        stream.wait_event(self._uploaded)

    @property
    def made(self) -> list[Tensor]:
        """The results on the GPU."""
        return self._made.tensors

    def compute(self, plan: Plan) -> None:
        """Enqueue the program in the current stream, on this slot's memory."""
        made = plan([*self._taken.tensors, *self._state.before])
        for one, target in zip(made, [*self._made.tensors, *self._state.after], strict=True):
            target.copy_(one)

    def finish(self) -> Planes:
        """Wait for the copy down; see `Slot`."""
        with self._buffers.running("restore a picture"):
            self._downloaded.synchronize()
            return tuple(tensor.numpy().copy() for tensor in self._received.tensors)

    def settle(self) -> None:
        """Wait for all streams; see `Slot`."""
        for stream in (self._buffers.upload, self._buffers.compute, self._buffers.download):
            with suppress(RuntimeError):
                stream.synchronize()

    def close(self) -> None:
        """Free the memory, and the captured program; nothing may be under way."""
        if self._graph:
            self._graph.reset()
        self._graph = None
        del self._sent, self._taken, self._made, self._received, self._state


class GpuState:
    """A graph's state before and after a picture; empty for most graphs."""

    def __init__(self, parts: Sequence[tuple[Sequence[int], torch.dtype]], device: torch.device) -> None:
        """Allocate, and begin without a past.

        Args:
            parts: their shapes and types.
            device: where.
        """
        self._before, self._after = Block(parts, device), Block(parts, device)

    @property
    def before(self) -> list[Tensor]:
        """What the program reads."""
        return self._before.tensors

    @property
    def after(self) -> list[Tensor]:
        """What it writes."""
        return self._after.tensors

    def forget(self) -> None:
        """Enqueue to clear it: another scene begins."""
        self._before.clear()

    def advance(self) -> None:
        """Enqueue to let the state after a picture take the place of the one before."""
        self._before.copy(self._after)


class Block:
    """Tensors one after the other in a block of memory, so that one copy moves them all."""

    def __init__(self, tensors: Sequence[tuple[Sequence[int], torch.dtype]], device: torch.device | None) -> None:
        """Allocate.

        Args:
            tensors: their shapes and types.
            device: where; None for memory of the host that GPUs read and write by themselves.
        """
        sizes = [math.prod(shape) * kind.itemsize for shape, kind in tensors]
        offsets = [0]
        for size in sizes:
            offsets.append(offsets[-1] + math.ceil(size / ALIGNMENT) * ALIGNMENT)
        self._memory = torch.zeros(offsets[-1], dtype=torch.uint8, device=device, pin_memory=device is None)
        self.tensors: list[Tensor] = [
            self._memory[offset : offset + size].view(kind).reshape(tuple(shape))
            for (shape, kind), size, offset in zip(tensors, sizes, offsets, strict=False)
        ]

    def clear(self) -> None:
        """Enqueue to set all to zero."""
        self._memory.zero_()

    def copy(self, source: Block) -> None:
        """Enqueue a copy of all of another block of the same tensors."""
        self._memory.copy_(source._memory, non_blocking=True)
