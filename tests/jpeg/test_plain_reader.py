"""The package reads the same coefficients as a reader written from the standard alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import plain_reader
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import SAMPLINGS, encode

from mjpeg_restore.jpeg import read, scan
from tests.lacking import needs_native_reader

SIZES = st.tuples(st.integers(1, 50), st.integers(1, 40))
OPTIONS = st.fixed_dictionaries(
    {"quality": st.sampled_from([1, 10, 50, 75, 92, 100])},
    optional={
        "optimize": st.just(True),
        "progressive": st.just(True),
        "restart_marker_blocks": st.integers(1, 9),
        "restart_marker_rows": st.integers(1, 2),
    },
)


def assert_same_as_plain(data: bytes) -> None:
    picture = read(data)
    assert picture.damage is None
    assert picture.warnings == ()
    for ours, plain in zip(picture.coefficients, plain_reader.read(data), strict=True):
        np.testing.assert_array_equal(ours, plain)


@needs_native_reader
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    sampling=st.sampled_from(["gray", "4:4:4", "4:2:2", "4:2:0"]), size=SIZES, seed=st.integers(0, 9), options=OPTIONS
)
def test_every_coefficient(sampling: str, size: tuple[int, int], seed: int, options: dict[str, Any]) -> None:
    assert_same_as_plain(encode(sampling, size, seed, **options))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_sampling(sampling: str, either_reader: str) -> None:
    assert_same_as_plain(encode(sampling, (45, 37)))


@pytest.mark.parametrize("factors", [[[2, 2], [2, 1], [2, 1]], [[2, 2], [1, 2], [1, 2]], [[1, 2], [1, 2], [1, 2]]])
def test_factors_with_a_common_divisor(factors: list[list[int]], either_reader: str) -> None:
    assert_same_as_plain(encode(size=(45, 37), factors=factors))


@pytest.mark.parametrize("sampling", ["gray", "4:2:2", "4:2:0"])
def test_progressive_pictures(sampling: str, either_reader: str) -> None:
    data = encode(sampling, (45, 37), progressive=True)
    assert scan(data).progressive
    assert_same_as_plain(data)
