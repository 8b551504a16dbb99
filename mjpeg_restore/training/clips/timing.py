"""Which moment of a scene each frame of a clip shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_DROP = 5
"""Largest number of frames that are missing at one place."""
LONGEST_FREEZE = 3
"""Largest number of repetitions of a frame."""


def capture_times(frames: int, clips: int, odds: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """When each frame was taken, in frame intervals since the first: int64 `[frames, clips]`.

    Args:
        frames: of a clip.
        clips: number of clips.
        odds: probability that a clip lacks frames at one place.
        rng: draws the clips, the places and the numbers of frames.
    """
    times = np.arange(frames)[:, None]
    places = rng.integers(1, max(frames, 2), clips)
    missing = _lengths(LONGEST_DROP, clips, odds, rng)
    return times + missing * (times >= places)


def shown_frames(frames: int, clips: int, odds: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which of the captured frames the camera sends in the place of each: int64 `[frames, clips]`.

    Time goes on while a frame is repeated: the frames in between are lost.

    Args:
        frames: of a clip.
        clips: number of clips.
        odds: probability that a frame of a clip is repeated.
        rng: draws the clips, the frames and the numbers of repetitions.
    """
    places = np.arange(frames)[:, None]
    frozen = rng.integers(0, frames, clips)
    lasting = _lengths(LONGEST_FREEZE, clips, odds, rng)
    return np.where((places > frozen) & (places <= frozen + lasting), frozen, places)


def cut_frames(frames: int, clips: int, odds: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """The first frame of each clip's second scene: int64 `[clips]`; `frames` for a clip without a cut.

    Args:
        frames: of a clip.
        clips: number of clips.
        odds: probability of a cut.
        rng: draws the clips and the frames.
    """
    return np.where(rng.random(clips) < odds, rng.integers(1, max(frames, 2), clips), frames)


def _lengths(longest: int, clips: int, odds: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """From 1 to `longest` for the clips in which it happens, 0 for the others."""
    return rng.integers(1, longest + 1, clips) * (rng.random(clips) < odds)
