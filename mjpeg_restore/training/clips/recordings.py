"""Real clips: those for training, those for validation, and random crops of them in space and time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import torch
from av.error import FFmpegError
from numpy.typing import NDArray
from torch import Tensor

from mjpeg_restore.errors import SourceNotFound

HELD_OUT_FIXED = ("ax_graffiti", "ax_webcam_man", "sam2_cups", "sam2_dog")
"""Recordings of fixed cameras that are for validation alone. No other recording shows their scenes."""
HELD_OUT_MOVING = ("ax_building_pan", "gopro_walk", "sam2_bedroom", "udacity_car")
"""Likewise of moving cameras."""


def load_recording(path: Path) -> NDArray[np.uint8]:
    """Read a whole clip: RGB, uint8 `[frames, height, width, 3]`.

    Raises:
        SourceNotFound: it cannot be read, or holds no video.
    """
    try:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            return np.stack(frames).astype(np.uint8, copy=False)
    except (OSError, ValueError, IndexError, FFmpegError) as error:
        raise SourceNotFound(f"{path} is no clip that can be read: {error}") from error


def load_recordings(folder: Path) -> list[NDArray[np.uint8]]:
    """Read the lossless clips (.mkv) in a folder that are not held out, sorted: each `[frames, height, width, 3]`.

    Raises:
        SourceNotFound: there are none, or one cannot be read.
    """
    held_out = {*HELD_OUT_FIXED, *HELD_OUT_MOVING}
    files = sorted(path for path in folder.glob("*.mkv") if path.stem not in held_out)
    if not files:
        raise SourceNotFound(f"{folder}: no lossless clips (.mkv) to train on there")
    return [load_recording(path) for path in files]


class Excerpts:
    """Random crops of recordings, in the memory of a device."""

    def __init__(self, recordings: Iterable[NDArray[np.uint8]], side: int, device: torch.device) -> None:
        """Load the recordings that are at least as large as a crop.

        Args:
            recordings: RGB, uint8 `[frames, height, width, 3]`.
            side: of a crop, in pixels.
            device: that holds the recordings and the crops.

        Raises:
            SourceNotFound: there are recordings, but not one is large enough.
        """
        found = list(recordings)
        large = [recording for recording in found if min(recording.shape[1:3]) >= side]
        if found and not large:
            raise SourceNotFound(f"not one recording of {side} by {side} pixels or more to take crops from")
        self.side = side
        self.recordings = [torch.from_numpy(recording).to(device) for recording in large]

    def __len__(self) -> int:
        """Number of recordings that crops are taken from."""
        return len(self.recordings)

    def batch(self, times: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Draw crops, flipped and transposed at random, some of them played backwards.

        Args:
            times: of the frames, in frame intervals, `[frames, clips]`.
            rng: draws recordings, places, moments and orientations.

        Returns:
            uint8 `[frames, clips, side, side, 3]`.
        """
        return torch.stack([self.crop(moments, rng) for moments in times.T], dim=1)

    def crop(self, times: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Draw one crop: uint8 `[frames, side, side, 3]`. Where the recording is too short, it is played to and fro."""
        recording = self.recordings[rng.integers(len(self))]
        count, height, width = recording.shape[:3]
        moments = times + rng.integers(max(count - times[-1], 1))
        if rng.random() < 0.5:
            moments = moments[-1] - moments + moments[0]
        last = max(count - 1, 1)
        moments = np.minimum(last - np.abs(moments % (2 * last) - last), count - 1)
        top, left = rng.integers(height - self.side + 1), rng.integers(width - self.side + 1)
        crop = recording[moments, top : top + self.side, left : left + self.side]
        flipped = [axis for axis in (1, 2) if rng.random() < 0.5]
        return crop.flip(flipped).transpose(1, 2) if rng.random() < 0.5 else crop.flip(flipped)
