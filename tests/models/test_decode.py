from __future__ import annotations

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.models.decode import blocks_to_plane, dct_matrix, plane_to_blocks, to_uint8


def test_the_dct_is_orthonormal() -> None:
    matrix = dct_matrix()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(64), atol=1e-6, rtol=0)
    assert matrix[0].unique().numel() == 1  # the first row is the mean


def test_blocks_to_plane_and_back() -> None:
    plane = torch.arange(2 * 16 * 24, dtype=torch.float32).reshape(2, 16, 24)
    blocks = plane_to_blocks(plane)
    assert blocks.shape == (2, 2, 3, 64)
    assert torch.equal(blocks[0, 1, 2], plane[0, 8:16, 16:24].reshape(64))
    assert torch.equal(blocks_to_plane(blocks), plane)


def test_samples_are_rounded_and_clamped() -> None:
    plane = torch.tensor([-500.0, -128.0, -0.4, 0.4, 0.6, 127.0, 500.0])
    assert to_uint8(plane).tolist() == [0, 0, 128, 128, 129, 255, 255]
