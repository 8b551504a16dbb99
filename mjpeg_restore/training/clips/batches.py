"""Batches of clips: scenes, light and noise put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mjpeg_restore.training.clips.light import gains
from mjpeg_restore.training.clips.motion import camera_paths, view
from mjpeg_restore.training.clips.noise import sensor_noise
from mjpeg_restore.training.clips.objects import MOST, with_objects
from mjpeg_restore.training.clips.odds import Odds
from mjpeg_restore.training.clips.recordings import Excerpts
from mjpeg_restore.training.clips.timing import capture_times, cut_frames, shown_frames
from mjpeg_restore.training.data import Crops
from mjpeg_restore.training.degradation import CompressedClips, Degradation, compress_clips, draw_clip_tables

CANVAS = 2.5
"""Side of the part of a picture that a moving camera sees, relative to a frame's: beyond it, the picture's mirror."""
CUT_OUT = 1.5
"""Side of the picture that an object and its shadow are cut out of, relative to a frame's."""


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """A batch of clips, RGB."""

    truth: Tensor
    """The scene as a camera without noise would see it, float32 0..255, `[frames, batch, side, side, 3]`.
    Of a recording: the recording, with what noise it has."""
    seen: Tensor
    """The same with the sensor's noise: what a camera compresses, uint8 `[frames, batch, side, side, 3]`."""
    sigma: Tensor
    """Standard deviation of the noise over the clip, before rounding, in grey levels, float32 `[batch]`."""


class Clips:
    """An endless stream of clips: of fixed and moving cameras, and of moving objects."""

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        recordings: Iterable[NDArray[np.uint8]],
        side: int,
        frames: int,
        rng: np.random.Generator,
        device: torch.device,
        odds: Odds | None = None,
    ) -> None:
        """Load pictures and recordings. Those that are too small are left out.

        Args:
            pictures: RGB, uint8 `[height, width, 3]`; both sides at least `CANVAS` times a frame's.
            recordings: RGB, uint8 `[frames, height, width, 3]`; there may be none.
            side: of a frame, in pixels; even.
            frames: of a clip.
            rng: draws everything.
            device: that holds the pictures, the recordings and the clips.
            odds: of what happens; None for the default ones.

        Raises:
            SourceNotFound: no picture is large enough, or there are recordings and none is.
        """
        # Both even, like `side`: the centres of the pixels of a frame that is at rest are those of the picture's.
        self.canvas, self.cut_out = (2 * round(share * side / 2) for share in (CANVAS, CUT_OUT))
        self.crops = Crops(pictures, self.canvas, rng, device)
        self.excerpts = Excerpts(recordings, side, device)
        self.side = side
        self.frames = frames
        self.device = device
        self.odds = odds or Odds()

    @property
    def rng(self) -> np.random.Generator:
        """What draws the clips; it may be replaced at any time."""
        return self.crops.rng

    @rng.setter
    def rng(self, rng: np.random.Generator) -> None:
        self.crops.rng = rng

    def __len__(self) -> int:
        """Number of pictures and recordings that clips are made of."""
        return len(self.crops) + len(self.excerpts)

    def compressed(self, size: int, degradation: Degradation, camera_tables: NDArray[np.float32]) -> CompressedClips:
        """The next `size` clips, compressed; `degradation` draws the sampling, `draw_clip_tables` the tables."""
        clips = self.batch(size)
        tables = draw_clip_tables(self.frames, size, camera_tables, self.rng)
        span = degradation.span(self.rng)
        return compress_clips(clips.truth, clips.seen, torch.from_numpy(tables).to(self.device), span)

    def batch(self, size: int) -> ClipBatch:
        """The next `size` clips, each drawn for itself."""
        frames, odds, rng = self.frames, self.odds, self.rng
        cuts = cut_frames(frames, size, odds.cut, rng)
        followed = np.flatnonzero(cuts < frames)
        times = capture_times(frames, size, odds.dropped, rng)
        scenes = self.scenes(np.concatenate([times, times[:, followed]], axis=1))
        truth = scenes[:, :size]
        for clip, scene in zip(followed, range(size, scenes.shape[1]), strict=True):
            truth[cuts[clip] :, clip] = scenes[cuts[clip] :, scene]
        light = torch.from_numpy(gains(times, self.side, odds, rng)).to(self.device)
        truth = (truth * light[..., None, None]).clamp_(0, 255)
        noise, sigma = sensor_noise(truth, odds, rng)
        seen = noise.add_(truth).round_().clamp_(0, 255).to(torch.uint8)
        shown, clips = shown_frames(frames, size, odds.frozen, rng), np.arange(size)
        for clip in clips[(shown != np.arange(frames)[:, None]).any(axis=0)]:
            truth[:, clip], seen[:, clip] = truth[shown[:, clip], clip], seen[shown[:, clip], clip]
        return ClipBatch(truth, seen, sigma)

    def scenes(self, times: NDArray[np.int64]) -> Tensor:
        """Draw scenes, in constant light and without noise: float32 `[frames, clips, side, side, 3]`.

        Args:
            times: of the frames, `[frames, clips]`.
        """
        frames, clips = times.shape
        rng, side = self.rng, self.side
        odds = np.array(self.odds.kinds) * (1, 1, 1, len(self.excerpts) > 0)
        kinds = rng.choice(4, clips, p=odds / odds.sum())
        resting, moving, recorded = (np.flatnonzero(found) for found in (kinds < 2, kinds == 2, kinds == 3))
        scenes = torch.empty(frames, clips, side, side, 3, device=self.device)
        if len(resting):
            scenes[:, resting] = self.crops.batch(len(resting), side).float()
        if len(moving):
            pictures = self.crops.batch(len(moving)).permute(0, 3, 1, 2).float()
            scenes[:, moving] = view(pictures, camera_paths(times[:, moving], rng), side, "reflection")
        if len(recorded):
            scenes[:, recorded] = self.excerpts.batch(times[:, recorded], rng).float()
        peopled = (kinds == 1) | (kinds == 2) & (rng.random(clips) < self.odds.objects_too)
        numbers = rng.integers(1, MOST + 1, clips) * peopled
        if numbers.any():
            with_objects(scenes, times, numbers, self.crops.batch(int(numbers.sum()), self.cut_out), rng)
        return scenes
