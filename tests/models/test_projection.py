from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mjpeg_restore.jpeg.dct import to_coefficients, to_pixels
from mjpeg_restore.models import projection
from mjpeg_restore.models.projection import CELL, SAMPLE_SCALE, project

sides = st.integers(1, 5)


@pytest.fixture(params=["native", "numpy"], autouse=True)
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test with the native extension, where it was built, and without."""
    if request.param == "numpy":
        monkeypatch.setattr(projection, "native_project", None)
    elif projection.native_project is None:
        pytest.skip("the native projection was not built")


def component(
    high: int, wide: int, seed: int = 0, spread: float = 0.1
) -> tuple[NDArray[np.float16], NDArray[np.int16], NDArray[np.uint16]]:
    """Phases, coefficients and table, at random."""
    random = np.random.default_rng(seed)
    coefficients = random.integers(-2, 3, (high, wide, 64)) * random.integers(0, 2, (high, wide, 64))
    coefficients[..., 0] = random.integers(-60, 60, (high, wide))
    phases = random.standard_normal((16, 2 * high, 2 * wide)) * spread
    return phases.astype(np.float16), coefficients.astype(np.int16), random.integers(1, 60, 64).astype(np.uint16)


def laid_out(phases: NDArray[np.float16]) -> NDArray[np.float64]:
    """Phases as a plane."""
    plane = np.empty((4 * phases.shape[1], 4 * phases.shape[2]))
    for phase, samples in enumerate(phases):
        plane[phase // 4 :: 4, phase % 4 :: 4] = samples
    return plane


@given(sides, sides, st.integers(0, 1000), st.sampled_from([1e-3, 0.1, 3.0]))
def test_it_is_what_its_formula_says(high: int, wide: int, seed: int, spread: float) -> None:
    phases, coefficients, table = component(high, wide, seed, spread)
    place = to_coefficients(SAMPLE_SCALE * laid_out(phases) + 128) / table
    exact = to_pixels(coefficients + place.clip(-CELL, CELL), table).clip(0, 255)  # type: ignore[arg-type]
    plane = project(phases, coefficients, table)
    assert plane.dtype == np.uint8
    assert plane.shape == (8 * high, 8 * wide)
    assert np.abs(plane - exact).max() < 0.51


def test_nothing_lacking_is_the_plain_decode() -> None:
    phases, coefficients, table = component(3, 4)
    decoded = to_pixels(coefficients, table).clip(0, 255)
    assert np.abs(project(np.zeros_like(phases), coefficients, table) - decoded).max() < 0.501


def test_the_native_one_rounds_as_numpy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    phases, coefficients, table = component(40, 50)
    one = project(phases, coefficients, table)
    monkeypatch.setattr(projection, "native_project", None)
    difference = np.abs(one.astype(int) - project(phases, coefficients, table))
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


def test_ties_go_to_the_even_number() -> None:
    table = np.full(64, 4, np.uint16)
    coefficients = np.zeros((1, 4, 64), np.int16)
    coefficients[0, :, 0] = [1, 3, -1, -3]  # half a grey level to a step
    plane = project(np.zeros((16, 2, 8), np.float16), coefficients, table)
    assert plane.reshape(8, 4, 8)[0, :, 0].tolist() == [128, 130, 128, 126]


def test_float16s_small_and_large() -> None:
    phases, coefficients, table = component(2, 2, spread=0)
    for number in (2.0**-24, -(2.0**-24), 3 * 2.0**-15, 60.0):
        phases[:] = number
        plane = project(phases, coefficients, table)
        place = to_coefficients(SAMPLE_SCALE * laid_out(phases) + 128) / table
        exact = to_pixels(coefficients + place.clip(-CELL, CELL), table).clip(0, 255)  # type: ignore[arg-type]
        assert np.abs(plane - exact).max() < 0.51


def test_arrays_need_not_be_contiguous() -> None:
    phases, coefficients, table = component(3, 2)
    strided = [np.repeat(array, 2, axis=-1)[..., ::2] for array in (phases, coefficients, table)]
    assert np.array_equal(project(*strided), project(phases, coefficients, table))  # type: ignore[arg-type]


def test_buffers_of_another_size_are_refused() -> None:
    if projection.native_project is None:
        pytest.skip("NumPy sees the shapes")
    phases, coefficients, table = component(2, 3)
    with pytest.raises(ValueError, match="phases: 384 bytes, not 768"):
        project(phases[:8], coefficients, table)
