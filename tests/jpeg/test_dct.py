from __future__ import annotations

import io

import numpy as np
from pictures import encode
from PIL import Image
from scipy.fft import dctn

from mjpeg_restore.jpeg import read
from mjpeg_restore.jpeg.dct import DCT_MATRIX, to_coefficients
from tests.exact_decode import to_pixels


def test_matrix_is_the_orthonormal_dct() -> None:
    np.testing.assert_allclose(DCT_MATRIX @ DCT_MATRIX.T, np.eye(64), atol=1e-12)
    block = np.random.default_rng(0).normal(size=(8, 8))
    np.testing.assert_allclose((DCT_MATRIX @ block.ravel()).reshape(8, 8), np.asarray(dctn(block, norm="ortho")))


def test_pixels_are_those_of_a_decoder() -> None:
    data = encode("gray")
    picture = read(data)
    ours = to_pixels(picture.coefficients[0], picture.tables[0])
    assert ours.shape == (120, 168)
    theirs = np.asarray(Image.open(io.BytesIO(data)))
    assert np.abs(np.clip(ours[:117, :163], 0, 255) - theirs).max() <= 1


def test_there_and_back() -> None:
    picture = read(encode())
    for blocks, table in zip(picture.coefficients, picture.tables, strict=True):
        back = to_coefficients(to_pixels(blocks, table)) / table
        np.testing.assert_array_equal(np.rint(back), blocks)
