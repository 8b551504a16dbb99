from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.lacking import needs

needs("torch")

import torch

from mjpeg_restore.errors import SourceNotFound
from mjpeg_restore.jpeg.tables import scaled_tables
from mjpeg_restore.training.data import Crops, camera_tables, picture_files, with_halves
from mjpeg_restore.training.pictures import load_rgb
from tests.jpeg.pictures import encode, scene


def save(path: Path, width: int = 32, height: int = 24) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(width, height)).save(path)
    return path


def test_only_lossless_pictures_are_taken(tmp_path: Path) -> None:
    files = [save(tmp_path / name) for name in ("b.png", "sub/a.PNG", "c.bmp")]
    (tmp_path / "d.jpg").write_bytes(encode())
    assert picture_files(tmp_path) == sorted(files)


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="no lossless pictures"):
        picture_files(tmp_path)


def test_pictures_are_rgb_of_8_bits(tmp_path: Path) -> None:
    Image.fromarray(scene(32, 24)[..., 0]).save(tmp_path / "grey.png")
    picture = load_rgb(tmp_path / "grey.png")
    assert picture.shape == (24, 32, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("order", ["<", ">"])
def test_of_16_bits_the_upper_8_are_taken(tmp_path: Path, order: str) -> None:
    grey = scene(32, 24)[..., 0]
    Image.fromarray((grey.astype(np.uint16) << 8 | 0x7F).astype(f"{order}u2")).save(tmp_path / "deep.tif")
    np.testing.assert_array_equal(load_rgb(tmp_path / "deep.tif"), np.stack(3 * [grey], axis=-1))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_samples_of_32_bits_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(scene(32, 24)[..., 0].astype(dtype)).save(tmp_path / "deep.tif")
    with pytest.raises(SourceNotFound, match=r"deep\.tif is no picture that can be read: samples of 32 bits"):
        load_rgb(tmp_path / "deep.tif")


def test_halves_come_beside_the_whole() -> None:
    assert [picture.shape for picture in with_halves([scene(32, 24)])] == [(24, 32, 3), (12, 16, 3)]


def crops_of(picture: NDArray[np.uint8], count: int, seed: int = 0) -> NDArray[np.uint8]:
    return Crops([picture], 16, np.random.default_rng(seed), torch.device("cpu")).batch(count).numpy()


def test_crops_have_their_side_and_are_parts_of_a_picture() -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[...] = np.arange(60, dtype=np.uint8)[None, :, None]
    crops = crops_of(picture, count=50)
    assert crops.shape == (50, 16, 16, 3)
    assert crops.dtype == np.uint8
    for crop in crops[..., 0].astype(int):
        down, across = np.unique(np.diff(crop, axis=0)), np.unique(np.diff(crop, axis=1))
        assert [list(down), list(across)] in ([[0], [1]], [[0], [-1]], [[1], [0]], [[-1], [0]])


def test_crops_are_turned_and_flipped() -> None:
    crops = crops_of(scene(16, 16), count=100)
    assert len({crop.tobytes() for crop in crops}) == 8


def test_crops_may_be_smaller_than_usual() -> None:
    picture = scene(20, 20)
    crops = Crops([picture], 20, np.random.default_rng(0), torch.device("cpu"))
    assert crops.batch(3).shape == (3, 20, 20, 3)
    small = crops.batch(300, 8)
    assert small.shape == (300, 8, 8, 3)
    corners = {tuple(picture[y, x]) for y in (0, 19) for x in (0, 19)}
    found = {tuple(pixel) for crop in small.numpy() for pixel in crop.reshape(-1, 3)}
    assert corners <= found <= {tuple(pixel) for pixel in picture.reshape(-1, 3)}


def test_pictures_too_small_for_a_crop_are_left_out() -> None:
    crops = Crops([scene(8, 64), scene(20, 20)], 16, np.random.default_rng(0), torch.device("cpu"))
    assert len(crops) == 1
    assert crops.sizes.tolist() == [[20, 20]]


def test_the_same_seed_gives_the_same_crops() -> None:
    first, second = (crops_of(scene(64, 64), count=8, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_camera_tables_are_those_in_real_files(tmp_path: Path) -> None:
    for name, quality in (("a.jpg", 30), ("b.jpeg", 30), ("c.mjpeg", 70)):
        (tmp_path / name).write_bytes(encode(quality=quality))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (tmp_path / "note.txt").write_text("no picture")
    tables = camera_tables(tmp_path)
    assert tables.shape == (2, 2, 64)
    np.testing.assert_array_equal(tables, [scaled_tables(30), scaled_tables(70)])


def test_a_folder_without_camera_tables_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SourceNotFound, match=f"{folder}: no JPEGs with 8-bit tables"):
            camera_tables(folder)


def test_pictures_smaller_than_a_crop_are_no_use() -> None:
    with pytest.raises(SourceNotFound, match="not one picture of 64 by 64 pixels"):
        Crops([scene(80, 48)], 64, np.random.default_rng(0), torch.device("cpu"))
