"""Clips of recordings: lossless ones without noise, and others whose truth has noise of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from measuring_video.clip import Clip, Frames, Listed, whole_mcus
from measuring_video.synthetic import NOISE
from mjpeg_restore.errors import SourceNotFound
from mjpeg_restore.training.clips import HELD_OUT_FIXED, HELD_OUT_MOVING

FIXED, MOVING, NOISY = "fixed camera", "moving camera", "fixed camera, noisy truth"
"""Kinds of clips."""


def recorded_clips(folder: Path, frames: int) -> Iterator[Listed]:
    """Every recording of a folder.

    Args:
        folder: has `clips.csv`, which lists lossless clips without noise; lossless clips with noise of their own
            (.mkv); and lossy ones (.mp4), which serve as truth at half their size.
        frames: at most so many of each.

    Raises:
        SourceNotFound: the list cannot be read; or, when it is read, a clip.
    """
    for path, fixed in _listed(folder / "clips.csv"):
        kind = FIXED if fixed else MOVING
        yield Listed(path.stem, kind, partial(_clip, path, path.stem, kind, frames))
    for path in sorted([*folder.glob("*.mkv"), *folder.glob("*.mp4")]):
        name = path.stem if path.suffix == ".mkv" else f"{path.stem}, halved"
        yield Listed(name, NOISY, partial(_clip, path, name, NOISY, frames))


def _clip(path: Path, name: str, kind: str, frames: int) -> Clip:
    held_out = kind == NOISY or path.stem in (*HELD_OUT_FIXED, *HELD_OUT_MOVING)
    truth = _read(path, frames, halve=path.suffix == ".mp4")
    return Clip(name, kind, truth, None if kind == NOISY else NOISE, held_out)


def _listed(path: Path) -> list[tuple[Path, bool]]:
    """Files of the list, each with whether its camera is fixed."""
    try:
        with path.open(newline="") as file:
            return [(path.parent / row["file"], row["fixed_camera"] == "yes") for row in csv.DictReader(file)]
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise SourceNotFound(f"{path} is no list of clips that can be read: {error}") from error


def _read(path: Path, most: int, *, halve: bool = False) -> Frames:
    """The first frames of a lossless clip; of one that is to be halved, frames from its middle, where more happens.

    Raises:
        SourceNotFound: it cannot be read, or holds no video.
    """
    try:
        with av.open(str(path)) as container:
            first = container.streams.video[0].frames // 2 if halve else 0
            decoded = islice(container.decode(video=0), first, first + most)
            pictures = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in decoded]
            return whole_mcus(np.stack([_halved(picture) for picture in pictures] if halve else pictures))
    except (OSError, ValueError, IndexError, FFmpegError) as error:
        raise SourceNotFound(f"{path} is no clip that can be read: {error}") from error


def _halved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The means of 2x2 pixels."""
    height, width = (length // 2 * 2 for length in picture.shape[:2])
    means = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
    return np.rint(means).astype(np.uint8)
