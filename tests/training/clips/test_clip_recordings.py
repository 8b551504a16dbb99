from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.lacking import DATA, needs, needs_data

needs("torch")

import torch

from mjpeg_restore.errors import SourceNotFound
from mjpeg_restore.training.clips import HELD_OUT_FIXED, HELD_OUT_MOVING, load_recording, load_recordings
from mjpeg_restore.training.clips.recordings import Excerpts


def clip(frames: int = 3, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def write(path: Path, pictures: NDArray[np.uint8]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "bgr0"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    return path


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load_recording(write(tmp_path / "a.mkv", clip())), clip())


def test_recordings_for_validation_are_left_out(tmp_path: Path) -> None:
    for number, name in enumerate(("a", HELD_OUT_FIXED[0], "b", HELD_OUT_MOVING[-1])):
        write(tmp_path / f"{name}.mkv", clip(frames=1 + number))
    assert [len(found) for found in load_recordings(tmp_path)] == [1, 3]


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    write(tmp_path / f"{HELD_OUT_FIXED[0]}.mkv", clip())
    with pytest.raises(SourceNotFound, match="no lossless clips"):
        load_recordings(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no clip"])
def test_a_file_that_is_no_clip_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.mkv").write_bytes(content)
    with pytest.raises(SourceNotFound, match=r"broken\.mkv is no clip that can be read"):
        load_recordings(tmp_path)


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"gone\.mkv"):
        load_recording(tmp_path / "gone.mkv")


@needs_data("video/clips")
def test_the_recordings_that_are_held_out_exist() -> None:
    folder = DATA / "video" / "clips"
    assert len(HELD_OUT_FIXED) == len(HELD_OUT_MOVING) == 4
    assert all((folder / f"{name}.mkv").is_file() for name in HELD_OUT_FIXED + HELD_OUT_MOVING)


def moments_of(frames: int, times: list[int], count: int = 40) -> NDArray[np.int64]:
    """Which frames of a recording with `frames` of them are shown, `[len(times), count]`."""
    numbered = np.broadcast_to(np.arange(frames, dtype=np.uint8)[:, None, None, None], (frames, 20, 24, 3)).copy()
    excerpts = Excerpts([numbered], 16, torch.device("cpu"))
    crops = excerpts.batch(np.repeat(np.array(times)[:, None], count, axis=1), np.random.default_rng(0))
    assert crops.shape == (len(times), count, 16, 16, 3)
    assert crops.dtype == torch.uint8
    return crops[:, :, 0, 0, 0].numpy().astype(np.int64)


def test_frames_follow_each_other_forwards_or_backwards() -> None:
    steps = np.diff(moments_of(20, [0, 1, 2, 5]), axis=0).T.tolist()
    assert {tuple(step) for step in steps} == {(1, 1, 3), (-1, -1, -3)}


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_short_recording_is_played_to_and_fro(frames: int) -> None:
    moments = moments_of(frames, list(range(9)))
    assert set(moments.flatten()) == set(range(frames))
    assert np.abs(np.diff(moments, axis=0)).max() == min(frames - 1, 1)


def test_crops_are_flipped_and_transposed() -> None:
    excerpts = Excerpts([clip(frames=1, height=16, width=16)], 16, torch.device("cpu"))
    crops = excerpts.batch(np.zeros((1, 100), np.int64), np.random.default_rng(0))
    assert len({crop.numpy().tobytes() for crop in crops[0]}) == 8


def test_recordings_that_are_too_small_are_left_out() -> None:
    assert len(Excerpts([clip(), clip(height=15)], 16, torch.device("cpu"))) == 1
    assert len(Excerpts([], 16, torch.device("cpu"))) == 0


def test_recordings_all_of_which_are_too_small_are_refused() -> None:
    with pytest.raises(SourceNotFound, match="not one recording of 25 by 25 pixels or more"):
        Excerpts([clip(), clip(height=15)], 25, torch.device("cpu"))
