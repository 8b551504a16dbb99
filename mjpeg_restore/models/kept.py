"""What an exported graph keeps of a picture: `runtime/cpu/history.py`, and `restore` of `runtime/cpu/state.py`.

After the network each coefficient is moved to what its frames tell, and kept so; what is shown is that within the
frame's cell. That needs the variance of the sensor's noise, and whether the frames were alike: the history. Here the
noise is what all blocks tell together whose past the gate keeps.

All tensors are float32, of one picture. Coefficients are `[1, high, wide, 64]`, in grey levels, or in steps where that
is said, and `k` are a frame's, quantised. Tables `q`, histories, and what follows from them have the components as a
batch: `[components, 64]` or `[components, 1]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mjpeg_restore.runtime.cpu.history import (
    ADAPTATION,
    BELIEVED,
    FEWEST,
    FIRST,
    FORGOTTEN,
    LEAST_NOISE,
    MOST_NOISE,
    QUIETER,
)
from mjpeg_restore.runtime.cpu.projection import CELL
from mjpeg_restore.runtime.cpu.state import (
    COARSER,
    COARSEST,
    FREE,
    HARMONICS,
    LEAST,
    LEAST_CHANCE,
    REACH,
    SCATTERED,
    SENSOR,
)


def observation(q: Tensor) -> Tensor:
    """Evidence of one frame: the inverse variance of a dequantised coefficient."""
    return (1 / (q * q / 12 + SENSOR)).clamp(min=LEAST)


def systematic(q: Tensor, noise: Tensor) -> Tensor:
    """Variance of the error that is the same in all frames; see `state.systematic`. The noise is `[components, 1]`."""
    steps = (q * q)[:, None]
    orders = torch.tensor([[float(order**2)] for order in HARMONICS], device=q.device)
    smoothed = torch.exp(-4 * torch.pi**2 * orders * (noise[:, None] / steps))
    return (steps * (smoothed / (2 * torch.pi**2 * orders))).sum(dim=1)


def telling(k: Tensor, q: Tensor, mean: Tensor, evidence: Tensor, evidence_after: Tensor) -> tuple[Tensor, Tensor]:
    """What the still blocks of a component tell of the noise: see `history.learnt`.

    Args:
        k, q: the frame.
        mean, evidence: before it.
        evidence_after: after it.

    Returns:
        For each coefficient of a block, `[1, 64]`: the sum of the squares of its deviations from the means, as those of
        a single frame, in grey levels^2; and of how many blocks.
    """
    steps, one = q[:, None, None], observation(q)[:, None, None]
    known, now, single = (
        torch.cat([part[..., index : index + 1] for index in FIRST], dim=3) for part in (evidence, evidence_after, one)
    )
    share = (known > single / 16) * (now - single) / known.clamp(min=LEAST)
    still = share.mean(dim=3, keepdim=True) > BELIEVED
    tells = (still & (mean.abs() > steps) & (steps <= COARSEST)).float()
    away = k * steps - mean
    squares = away * away * (evidence / (evidence + one)) * tells
    return squares.sum(dim=(1, 2)), tells.sum(dim=(1, 2))


@dataclass(frozen=True, slots=True)
class Histories:
    """`runtime.cpu.history.History` of all components: `table` is `[components, 64]`, all else `[components, 1]`."""

    table: Tensor
    noise: Tensor
    loudest: Tensor
    remaining: Tensor

    @staticmethod
    def unpacked(history: Tensor) -> Histories:
        """From what a graph takes, `[components, HISTORY]`."""
        noise, loudest, remaining = history[:, 64:].split(1, dim=1)
        return Histories(history[:, :64], (noise + SENSOR).clamp(min=LEAST_NOISE), loudest + SENSOR, remaining)

    def packed(self) -> Tensor:
        """As a graph gives it."""
        return torch.cat([self.table, self.noise - SENSOR, self.loudest - SENSOR, self.remaining], dim=1)

    @property
    def mean_tells(self) -> Tensor:
        """1 where the mean tells of what is kept, 0 where it does not."""
        return (self.remaining < 0.5).float()

    def most_evidence(self, q: Tensor) -> Tensor:
        """The most that evidence so far counts for in a frame, `[components, 64]`: little where its steps are far finer
        (`history.before_finer`), and elsewhere any number that a float16 holds, as evidence is one in memory."""
        most = 1 / systematic(self.table.clamp(min=1), self.noise).clamp(min=LEAST)
        return torch.where(self.table > COARSER * q, most, torch.finfo(torch.float16).max)

    def following(self, q: Tensor, squares: Tensor, count: Tensor) -> Histories:
        """The histories after a frame, by what `telling` found in its components, `[components, 64]` each."""
        expected = q * q / 12 - systematic(q, self.noise)
        number, total = (part.sum(dim=1, keepdim=True) for part in (count, squares - count * expected))
        seen = (total / number.clamp(min=1)).clamp(LEAST_NOISE, MOST_NOISE)
        noise = self.noise + ADAPTATION * (number >= FEWEST) * (seen - self.noise)
        audible = noise.clamp(min=SENSOR)
        other = ((self.table - q).abs() * (self.table > 0)).amax(dim=1, keepdim=True)
        alike = (other < 0.5) & (audible >= QUIETER * self.loudest)
        return Histories(
            q,
            noise,
            torch.where(alike, torch.maximum(audible, self.loudest), audible),
            torch.where(alike, (self.remaining - 1).clamp(min=0), torch.full_like(noise, FORGOTTEN - 1)),
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """How what is kept of a component moves with a frame: `[1, 1, 1, 64]`, or `[1, 1, 1, 1]`; see `state.restore`."""

    observation: Tensor
    """Evidence of the frame."""
    lasting: Tensor
    """Weight of what was kept before; see `state.lasting`."""
    reach: Tensor
    """How far noise carries a coefficient across a cell's bound, steps."""
    scatter: Tensor
    """Deviation of the noise in steps, `SCATTERED` at most, times the root of 2 pi."""
    doubt: Tensor
    """For each frame in the mean: the cell moves what is kept by 1 / (1 + doubt frames) of the way that it tells."""
    mean_tells: Tensor
    """1 or 0; see `History.mean_tells`."""

    @staticmethod
    def of(q: Tensor, histories: Histories) -> list[Rules]:
        """The rules of each component, by the frame's tables and the histories after it."""
        quantised, noise, root = q * q / 12, histories.noise, (2 * torch.pi) ** 0.5
        each = (
            observation(q),
            quantised / (quantised + SENSOR),
            REACH * noise.sqrt() / q,
            (root * noise.clamp(min=SENSOR).sqrt() / q).clamp(max=root * SCATTERED),
            noise / (noise + quantised) / 2,
            histories.mean_tells,
        )
        return [Rules(*parts) for parts in zip(*(part[:, None, None].split(1) for part in each), strict=True)]

    def moved(
        self, k: Tensor, level: Tensor, evidence: Tensor, share: Tensor, restored: Tensor, before: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Move what the network made of a frame to what the frames tell.

        Args:
            k: the frame.
            level: the mean after it, in steps.
            evidence: after it.
            share: the past's share in the mean.
            restored: what the network made of the frame, in steps.
            before: what was kept before, in steps.

        Returns:
            What is shown, but for the frame's cell, and what is kept; in steps.
        """
        frames = evidence / self.observation
        near = k + torch.minimum(torch.maximum(restored - k, -CELL - self.reach), CELL + self.reach)
        free = (FREE / frames).clamp(max=1)
        told = torch.maximum(torch.minimum(near, self._unrounded(level + free)), self._unrounded(level - free))
        squared = share * share
        fourth = squared * squared
        by_mean = self.mean_tells * (fourth * fourth)
        mixed = near + by_mean * (told - near)
        mixed = mixed + self.lasting * (squared * fourth) * (before - mixed)
        away = mixed - k
        drawn = self._outside(-away) - self._outside(away)
        return mixed, mixed + (1 - by_mean) / (1 + self.doubt * frames) * drawn

    def _unrounded(self, mean: Tensor) -> Tensor:
        """The number that has a mean when it is rounded, with the noise."""
        bound = torch.round(mean - 0.5) + 0.5
        beyond = mean - bound
        chance = (1 - 4 * beyond * beyond).clamp(min=LEAST_CHANCE)
        return bound + (self.scatter * beyond / chance.sqrt().sqrt()).clamp(-0.5, 0.5)

    def _outside(self, away: Tensor) -> Tensor:
        """How far one bound of a cell draws back what lies so far from the cell's middle on its side."""
        beyond = (away - (CELL - self.reach)).clamp(min=0)
        bent = torch.minimum(beyond, 2 * self.reach)
        return bent * bent / (4 * self.reach) + (beyond - bent)
