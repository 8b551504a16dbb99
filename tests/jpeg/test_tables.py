from __future__ import annotations

import numpy as np
import pytest
from pictures import encode, huffman_tables

from mjpeg_restore.jpeg import estimate_quality, read
from mjpeg_restore.jpeg.tables import CHROMA, LUMA, STANDARD_DHT, scaled_tables


@pytest.mark.parametrize("quality", [1, 2, 10, 25, 49, 50, 51, 75, 90, 99, 100])
def test_scaled_tables_are_those_of_the_encoder(quality: int) -> None:
    tables = read(encode(size=(64, 48), quality=quality)).tables
    luma, chroma = scaled_tables(quality)
    np.testing.assert_array_equal(tables[0], luma)
    np.testing.assert_array_equal(tables[1], chroma)


def test_scaled_tables_outside_the_scale() -> None:
    np.testing.assert_array_equal(scaled_tables(0), scaled_tables(1))
    np.testing.assert_array_equal(scaled_tables(101), scaled_tables(100))


@pytest.mark.parametrize("quality", range(4, 101))
def test_quality_of_a_scaled_table(quality: int) -> None:
    luma, chroma = scaled_tables(quality)
    assert estimate_quality(luma) == quality
    assert estimate_quality(chroma, CHROMA) == quality


def test_quality_of_other_tables() -> None:
    rng = np.random.default_rng(0)
    for quality in (15, 50, 85):
        table = scaled_tables(quality)[0]
        near = np.clip(table + rng.integers(-1, 2, 64), 1, 255).astype(np.uint16)
        assert abs(estimate_quality(near) - quality) <= 4
    assert estimate_quality(np.full(64, 65535, np.uint16)) == 1
    assert estimate_quality(np.zeros(64, np.uint16)) == 100


def test_standard_tables_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        LUMA[0] = 1


def test_standard_huffman_tables_are_those_of_the_encoder() -> None:
    assert len(STANDARD_DHT) == 420
    assert STANDARD_DHT[4:] == huffman_tables(encode())
