"""The native convolutions refuse sizes that make no layer and buffers that do not fit, and then write nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mjpeg_restore.runtime.cpu import sparse as module
from tests.lacking import needs_native_sparse

pytestmark = needs_native_sparse

native: Any = module.native

BUFFERS = {"input": 4, "weights": 4, "bias": 4, "added": 4, "also": 4, "sums": 4, "rounded": 1, "halves": 2, "cells": 1}
"""Bytes of their numbers."""
REGION = {"cells_high": 2, "cells_wide": 3, "down": 2, "across": 2, "reach": 1, "high": 4, "wide": 5}
SHAPE = {
    "planes": 1,
    "input_high": 4,
    "input_wide": 5,
    "channels": 3,
    "kernel": 3,
    "stride_down": 1,
    "stride_across": 1,
    "padding": 1,
    "outputs": 16,
    "spread": 1,
    "row": 0,
    "column": 0,
    "rectify": False,
    "products": 0,
}
HUGE = (2**63 - 1, 2**62, 2**31, 2**20, -1, -(2**63))


def buffers() -> dict[str, Any]:
    """Fitting ones, of zeros, in the order of the arguments."""
    counts = {"input": 6 * 7 * 3, "weights": 9 * 3 * 16, "bias": 16, "halves": 4 * 5 * 16, "cells": 6}
    return {name: bytearray(size * counts.get(name, 6 * 7 * 16)) for name, size in BUFFERS.items()}


def convolve(
    given: dict[str, Any], region: dict[str, int] = REGION, shape: dict[str, int] = SHAPE, lanes: int = 8
) -> None:
    first, *others = given.values()
    further = first, others[0], None, *others[1:]
    native.convolve(*further, (*region.values(),), (*shape.values(),), 1.0, 0.0, lanes)


def fill(region: dict[str, int], size: int = 4, room: Any = None) -> None:
    cells = np.ones((2, 3), np.uint8)
    native.fill(bytearray(6 * 7 * 4) if room is None else room, 1, size, cells, (*region.values(),))


@pytest.mark.parametrize("lanes", [8, 16])
def test_fitting_buffers_are_accepted(lanes: int) -> None:
    if lanes > module.LANES:
        pytest.skip("needs a CPU with vectors of 16 numbers")
    convolve(buffers(), lanes=lanes)
    for optional in ("added", "also", "sums", "rounded", "halves"):
        convolve(buffers() | {optional: None}, lanes=lanes)
    fill(REGION)


@pytest.mark.parametrize("wrong", BUFFERS)
@pytest.mark.parametrize("more", [-1, 1])
def test_buffers_of_another_size_are_refused(wrong: str, more: int) -> None:
    given = buffers()
    size = len(given[wrong])
    given[wrong] = bytearray(size + more)
    with pytest.raises(ValueError, match=f"^{wrong}: {size + more} bytes, not {size}$"):
        convolve(given)
    for buffer in given.values():  # none is lent any more: a bytearray that is cannot grow
        buffer.append(0)


@pytest.mark.parametrize("wrong", [name for name, size in BUFFERS.items() if size > 1])
def test_misaligned_memory_is_refused(wrong: str) -> None:
    given = buffers()
    room = np.zeros(len(given[wrong]) + 1, np.uint8)
    given[wrong] = room[1 - room.ctypes.data % 2 :][: len(given[wrong])]
    with pytest.raises(ValueError, match=f"^{wrong}: memory that is not aligned"):
        convolve(given)


@pytest.mark.parametrize("wrong", ["sums", "rounded", "halves"])
def test_what_is_written_is_not_read_only(wrong: str) -> None:
    given = buffers()
    given["bias"] = np.ones(16, np.float32)
    given[wrong] = bytes(given[wrong])
    with pytest.raises(ValueError, match=f"^{wrong}: memory that is read-only$"):
        convolve(given)
    assert not any(given[wrong])


@pytest.mark.parametrize("wrong", REGION)
@pytest.mark.parametrize("number", HUGE)
def test_regions_of_no_picture_are_refused(wrong: str, number: int) -> None:
    for call in (fill, lambda region: convolve(buffers(), region)):
        with pytest.raises(ValueError, match="make no region"):
            call(REGION | {wrong: number})


@pytest.mark.parametrize("smaller", [{"high": 2}, {"wide": 4}, {"wide": 1}, {"high": 5}, {"wide": 7}])
def test_a_region_ends_in_its_last_cells(smaller: dict[str, int]) -> None:
    region = REGION | smaller
    room = bytearray((region["high"] + 2) * (region["wide"] + 2) * 4)
    with pytest.raises(ValueError, match="make no region"):
        fill(region, room=room)
    assert not any(room)


def test_a_region_whose_size_overflows_is_refused() -> None:
    # 2^26 by 2^26 places of 2^12 bytes are 2^64 bytes, which a product of 64 bits has for none.
    side = -(-(2**26) // 4095)
    cells = np.zeros((side, side), np.uint8)
    with pytest.raises(ValueError, match="make no region"):
        native.fill(bytearray(), 0, 4096, cells, (side, side, 4095, 4095, 0, 2**26 - 2, 2**26 - 2))


@pytest.mark.parametrize("wrong", [name for name in SHAPE if name not in ("rectify", "products")])
@pytest.mark.parametrize("number", HUGE)
def test_sizes_of_no_layer_are_refused(wrong: str, number: int) -> None:
    with pytest.raises(ValueError, match=r"^(these sizes make no layer|input: )"):
        convolve(buffers(), shape=SHAPE | {wrong: number})


@pytest.mark.parametrize(
    "other",
    [{"kernel": 4}, {"stride_down": 2}, {"padding": 0}, {"padding": 2}, {"input_high": 3}, {"outputs": 4}, {"row": 1}],
)
def test_layers_that_reach_beyond_their_input_are_refused(other: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="make no layer"):
        convolve(buffers(), shape=SHAPE | other)


@pytest.mark.parametrize("lanes", [0, -8, 4, 32, 2**31 - 1])
def test_vectors_that_no_cpu_has_are_refused(lanes: int) -> None:
    with pytest.raises(ValueError, match=f"no vectors of {lanes} numbers"):
        convolve(buffers(), lanes=lanes)


@pytest.mark.parametrize("size", [0, -1, 4097, 2**62])
def test_places_of_no_size_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="make no features"):
        fill(REGION, size)
