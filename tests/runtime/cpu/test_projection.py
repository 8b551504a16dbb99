from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import to_coefficients
from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.runtime.cpu import projection
from mjpeg_restore.runtime.cpu.projection import (
    CELL,
    CHROMA_CONFIDENCE,
    LUMA_CONFIDENCE,
    SAMPLE_SCALE,
    ConfidenceRamp,
    decode,
    project,
)
from tests.exact_decode import to_pixels
from tests.lacking import needs_native_projection

sides = st.integers(1, 5)


pytestmark = needs_native_projection

native: Any = projection.native
"""The extension, for calls with wrong buffers."""


@pytest.fixture(params=[8, 4], autouse=True)
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with AVX2, if the CPU has it, and without."""
    for function in (project, decode):
        assert function.__kwdefaults__
        monkeypatch.setitem(function.__kwdefaults__, "lanes", request.param)


def component(
    high: int, wide: int, seed: int = 0, spread: float = 0.1
) -> tuple[NDArray[np.float16], NDArray[np.int16], NDArray[np.uint16]]:
    """Random phases, coefficients and table."""
    random = np.random.default_rng(seed)
    coefficients = random.integers(-2, 3, (high, wide, 64)) * random.integers(0, 2, (high, wide, 64))
    coefficients[..., 0] = random.integers(-60, 60, (high, wide))
    phases = random.standard_normal((16, 2 * high, 2 * wide)) * spread
    return phases.astype(np.float16), coefficients.astype(np.int16), random.integers(1, 60, 64).astype(np.uint16)


def interleaved(phases: NDArray[np.float16]) -> NDArray[np.float64]:
    """Phases as a plane of residuals."""
    plane = np.empty((4 * phases.shape[1], 4 * phases.shape[2]))
    for phase, samples in enumerate(phases):
        plane[phase // 4 :: 4, phase % 4 :: 4] = samples
    return plane


def formula(
    phases: NDArray[np.float16],
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    confidence: ConfidenceRamp = LUMA_CONFIDENCE,
) -> NDArray[np.float64]:
    """The expected plane, not rounded."""
    offsets = confidence(table) * to_coefficients(SAMPLE_SCALE * interleaved(phases) + 128) / table
    return to_pixels(coefficients + offsets.clip(-CELL, CELL), table).clip(0, 255)


@given(sides, sides, st.integers(0, 1000), st.sampled_from([1e-3, 0.1, 3.0]))
def test_project_agrees_with_the_formula(high: int, wide: int, seed: int, spread: float) -> None:
    phases, coefficients, table = component(high, wide, seed, spread)
    plane = project(phases, coefficients, table)
    assert plane.dtype == np.uint8
    assert plane.shape == (8 * high, 8 * wide)
    assert np.abs(plane - formula(phases, coefficients, table)).max() < 0.51


@given(sides, sides, st.integers(0, 1000))
def test_without_a_residual_it_is_the_plain_decode(high: int, wide: int, seed: int) -> None:
    phases, coefficients, table = component(high, wide, seed)
    decoded = to_pixels(coefficients, table).clip(0, 255)
    plane = project(None, coefficients, table)
    assert np.abs(plane - decoded).max() < 0.501
    np.testing.assert_array_equal(project(np.zeros_like(phases), coefficients, table), plane)


@given(sides, sides, st.integers(0, 1000))
def test_decoded_samples_are_neither_rounded_nor_clamped(high: int, wide: int, seed: int) -> None:
    _, coefficients, table = component(high, wide, seed)
    coefficients[0, 0, 0] = 30000 // table[0]  # far beyond white
    samples = np.full((8 * high, 8 * wide), np.nan, np.float32)
    decode(coefficients, table, samples)
    expected = (to_pixels(coefficients, table) - 128) / SAMPLE_SCALE
    assert expected.max() > 10
    np.testing.assert_allclose(samples, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("frequency", range(64))
def test_no_coefficient_leaves_its_cell(frequency: int) -> None:
    phases, coefficients, table = component(6, 6, frequency, spread=2)
    table[:] = 4
    table[frequency] = 300  # so coarse that rounding to 8 bits, by at most 4, hardly moves it
    coefficients[:] = 0
    found = to_coefficients(project(phases, coefficients, table))[..., frequency] / 300
    assert np.abs(found).max() < CELL + 4 / 300
    assert np.abs(found).max() > CELL - 4 / 300  # it reached the edge of its cell


def test_confidence_falls_with_finer_tables() -> None:
    luma, chroma = (
        [confidence(scaled_tables(quality)[component]) for quality in range(1, 101)]
        for component, confidence in enumerate((LUMA_CONFIDENCE, CHROMA_CONFIDENCE))
    )
    for shares in (luma, chroma):
        assert shares == sorted(shares, reverse=True)
        assert shares[89 - 1] == 1
        assert shares[99 - 1] == 0
    assert luma[95 - 1] == 1
    assert 0 < luma[98 - 1] < 0.5
    assert 0.4 < chroma[95 - 1] < 0.6
    assert 0 < chroma[97 - 1] < 0.2
    assert chroma[98 - 1] == 0


@pytest.mark.parametrize("confidence", [LUMA_CONFIDENCE, CHROMA_CONFIDENCE], ids=["luma", "chroma"])
def test_luma_and_chroma_have_their_own_confidence(confidence: ConfidenceRamp) -> None:
    phases, coefficients, table = component(3, 4, 5, spread=0.3)
    table[:] = 8  # a mean of 3: weight 1 for luma, 0.5 for chroma
    assert confidence(table) == (1 if confidence is LUMA_CONFIDENCE else 0.5)
    plane = project(phases, coefficients, table, confidence)
    assert np.abs(plane - formula(phases, coefficients, table, confidence)).max() <= 0.51


@given(sides, sides, st.integers(0, 1000))
def test_with_the_finest_table_it_is_the_plain_decode(high: int, wide: int, seed: int) -> None:
    phases, coefficients, table = component(high, wide, seed, spread=3)
    table[:] = 1
    np.testing.assert_array_equal(project(phases, coefficients, table), project(None, coefficients, table))


def test_wide_tables_and_the_largest_coefficients() -> None:
    phases, coefficients, table = component(2, 3)
    coefficients[0, 0, :4] = [32767, -32768, 1023, -1024]
    table[:8] = [65535, 1, 255, 256, 4096, 999, 32768, 7]
    plane = project(phases, coefficients, table)
    assert np.abs(plane - formula(phases, coefficients, table)).max() < 0.51


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_infinities_and_nan_are_clamped_to_the_cell(number: float) -> None:
    phases, coefficients, table = component(2, 2)
    coefficients[..., 1:] = 0
    coefficients[..., 0] //= 4
    table[:] = 8
    phases[:, 1, 2] = number
    offsets = to_coefficients(project(phases, coefficients, table)) / table - coefficients
    assert np.abs(offsets).max() < 0.5 + 4 / 8  # rounding to 8 bits moves a coefficient by at most 4


def test_ties_are_rounded_to_even() -> None:
    table = np.full(64, 4, np.uint16)
    coefficients = np.zeros((1, 4, 64), np.int16)
    coefficients[0, :, 0] = [1, 3, -1, -3]  # half a grey level to a step
    plane = project(np.zeros((16, 2, 8), np.float16), coefficients, table)
    assert plane.reshape(8, 4, 8)[0, :, 0].tolist() == [128, 130, 128, 126]


def test_subnormal_and_large_float16() -> None:
    phases, coefficients, table = component(2, 2, spread=0)
    for number in (2.0**-24, -(2.0**-24), 3 * 2.0**-15, 60.0):
        phases[:] = number
        plane = project(phases, coefficients, table)
        assert np.abs(plane - formula(phases, coefficients, table)).max() < 0.51


def test_arrays_may_be_strided_or_in_another_byte_order() -> None:
    arrays = component(3, 2)
    expected = project(*arrays)
    strided: list[Any] = [np.repeat(array, 2, axis=-1)[..., ::2] for array in arrays]
    assert np.array_equal(project(*strided), expected)
    swapped: list[Any] = [array.astype(array.dtype.newbyteorder()) for array in arrays]
    assert np.array_equal(project(*swapped), expected)


@pytest.mark.parametrize("wrong", ["phases", "coefficients", "table", "plane"])
def test_buffers_of_another_size_are_refused(wrong: str) -> None:
    phases, coefficients, table = component(2, 3)
    buffers = {"phases": phases, "coefficients": coefficients, "table": table.astype(np.float32)}
    buffers["plane"] = np.empty((16, 24), np.uint8)
    size = buffers[wrong].nbytes
    buffers[wrong] = np.empty(size - 1, np.uint8)
    with pytest.raises(ValueError, match=f"{wrong}: {size - 1} bytes, not {size}"):
        native.project(*buffers.values(), 2, 3, 1.0, 0.5, 8)


@pytest.mark.parametrize("wrong", ["coefficients", "table", "samples"])
def test_buffers_of_another_size_are_not_decoded(wrong: str) -> None:
    _, coefficients, table = component(2, 3)
    buffers = {"coefficients": coefficients, "table": table.astype(np.float32)}
    buffers["samples"] = np.empty((16, 24), np.float32)
    size = buffers[wrong].nbytes
    buffers[wrong] = np.empty(size + 1, np.uint8)
    with pytest.raises(ValueError, match=f"{wrong}: {size + 1} bytes, not {size}"):
        native.decode(*buffers.values(), 2, 3, 1.0, 8)


def misaligned(array: NDArray[Any]) -> Any:
    """A copy at an odd address."""
    room = np.empty(array.nbytes + 1, np.uint8)
    copy = room[1 - room.ctypes.data % 2 :][: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    assert copy.ctypes.data % 2 == 1 and copy.flags.c_contiguous
    return copy


def test_arrays_at_odd_addresses_are_accepted() -> None:
    phases, coefficients, table = component(3, 2)
    expected = project(phases, coefficients, table)
    assert np.array_equal(project(*map(misaligned, (phases, coefficients, table))), expected)
    decoded, again = np.empty((2, 24, 16), np.float32)
    decode(coefficients, table, decoded)
    decode(misaligned(coefficients), misaligned(table), again)
    assert np.array_equal(again, decoded)


def read_only(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    samples.flags.writeable = False
    return samples


@pytest.mark.parametrize(
    "unfit",
    [
        misaligned,
        read_only,
        lambda samples: np.repeat(samples, 2, axis=1)[:, ::2],
        lambda samples: samples.astype(samples.dtype.newbyteorder()),
        lambda samples: samples.astype(np.int32),
        lambda samples: samples[:-1],
        lambda samples: np.vstack([samples, samples]),
    ],
    ids=["misaligned", "read-only", "strided", "other byte order", "int32", "too small", "too large"],
)
def test_samples_that_cannot_be_filled_in_place_are_refused(unfit: Callable[[Any], Any]) -> None:
    _, coefficients, table = component(3, 2)
    samples = unfit(np.full((24, 16), 7, np.float32))
    with pytest.raises(ValueError, match=r"^samples: .*") as caught:
        decode(coefficients, table, samples)
    assert "\n" not in str(caught.value)
    assert (samples == 7).all()


@pytest.mark.parametrize(("wrong", "size"), [("phases", 2), ("coefficients", 2), ("table", 4)])
def test_misaligned_memory_is_refused(wrong: str, size: int) -> None:
    phases, coefficients, table = component(2, 3)
    buffers: dict[str, Any] = {"phases": phases, "coefficients": coefficients, "table": table.astype(np.float32)}
    buffers[wrong] = misaligned(buffers[wrong])
    plane, samples = np.empty((16, 24), np.uint8), np.empty((16, 24), np.float32)
    match = rf"^{wrong}: memory that is not aligned to {size} bytes$"
    with pytest.raises(ValueError, match=match):
        native.project(*buffers.values(), plane, 2, 3, 1.0, 0.5, 8)
    if wrong != "phases":
        with pytest.raises(ValueError, match=match):
            native.decode(*list(buffers.values())[1:], samples, 2, 3, 1.0, 8)


def test_misaligned_samples_are_refused() -> None:
    _, coefficients, table = component(2, 3)
    samples: Any = misaligned(np.empty((16, 24), np.float32))
    with pytest.raises(ValueError, match=r"^samples: memory that is not aligned to 4 bytes$"):
        native.decode(coefficients, table.astype(np.float32), samples, 2, 3, 1.0, 8)


@pytest.mark.parametrize(("high", "wide"), [(2**58, 1), (1, 2**58), (-1, 1), (0, 0), (-(2**58), 1)])
def test_impossible_sizes_are_refused(high: int, wide: int) -> None:
    nothing: Any = np.empty(0)
    with pytest.raises(ValueError, match="make no component"):
        native.project(nothing, nothing, nothing, nothing, high, wide, 1.0, 0.5, 8)
