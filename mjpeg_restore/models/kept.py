"""What an exported graph keeps of a component beside the means: the arithmetic of `runtime/cpu/state.py` and
`runtime/cpu/history.py`, as tensors.

What the network made of a block is moved to what its frames tell, and kept so; what is shown is that within the frame's
cell. That needs the variance of the sensor's noise, and whether the frames were alike: the history. Here the noise is
what all still blocks of a frame tell together, by the share of the past that the gate keeps of them.

`k` are a frame's quantised coefficients and `q` its table, `[batch, high, wide, 64]` and `[batch, 64]`; what is in
steps or grey levels has the shape of the former.
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
    LONGEST,
    REACH,
    SCATTERED,
    SENSOR,
)


def observation(q: Tensor) -> Tensor:
    """Evidence of one frame: the inverse variance of a dequantised coefficient."""
    return (1 / (q * q / 12 + SENSOR)).clamp(min=LEAST)


def lasting(q: Tensor) -> Tensor:
    """Weight of what was restored before; see `state.lasting`."""
    quantised = q * q / 12
    return quantised / (quantised + SENSOR)


def systematic(q: Tensor, noise: Tensor) -> Tensor:
    """Variance of the error that is the same in all frames; see `state.systematic`. The noise is `[batch, 1]`."""
    steps = q * q
    found = torch.zeros_like(steps)
    for order in HARMONICS:
        exponent = -4 * torch.pi**2 * order**2 * noise / steps
        found = found + steps / (2 * torch.pi**2 * order**2) * torch.exp(exponent)
    return found


@dataclass(frozen=True, slots=True)
class History:
    """`runtime.cpu.history.History`, of a batch of frames: `table` is `[batch, 64]`, all else `[batch, 1]`."""

    table: Tensor
    noise: Tensor
    loudest: Tensor
    remaining: Tensor

    @staticmethod
    def unpacked(history: Tensor) -> History:
        """From what a graph takes."""
        noise, loudest, remaining = history[:, 64:].split(1, dim=1)
        return History(history[:, :64], noise + SENSOR, loudest + SENSOR, remaining)

    def packed(self) -> Tensor:
        """As a graph gives it."""
        return torch.cat([self.table, self.noise - SENSOR, self.loudest - SENSOR, self.remaining], dim=1)

    def before_finer(self, evidence: Tensor, q: Tensor) -> Tensor:
        """Evidence as a frame with far finer steps sees it; see `history.before_finer`."""
        most = 1 / systematic(self.table.clamp(min=1), self.noise).clamp(min=LEAST)
        finer = self.table > COARSER * q
        return torch.where(finer[:, None, None], torch.minimum(evidence, most[:, None, None]), evidence)

    def following(self, k: Tensor, q: Tensor, mean: Tensor, evidence: Tensor, evidence_after: Tensor) -> History:
        """The history after a frame, by mean and evidence before it, and evidence after it; see `history.learnt`."""
        noise = self._learnt(k, q, mean, evidence, evidence_after)
        audible = noise.clamp(min=SENSOR)
        other = ((self.table - q).abs() * (self.table > 0)).amax(dim=1, keepdim=True)
        alike = (other < 0.5) & (audible >= QUIETER * self.loudest)
        return History(
            q,
            noise,
            torch.where(alike, torch.maximum(audible, self.loudest), audible),
            torch.where(alike, (self.remaining - 1).clamp(min=0), torch.full_like(noise, FORGOTTEN - 1)),
        )

    def _learnt(self, k: Tensor, q: Tensor, mean: Tensor, evidence: Tensor, evidence_after: Tensor) -> Tensor:
        steps, one = q[:, None, None], observation(q)[:, None, None]
        known, now, single = (
            torch.cat([part[..., index : index + 1] for index in FIRST], dim=3)
            for part in (evidence, evidence_after, one)
        )
        share = (known > single / 16) * (now - single) / known.clamp(min=LEAST)
        still = share.mean(dim=3, keepdim=True) > BELIEVED
        tells = (still & (mean.abs() > steps) & (steps <= COARSEST)).float()
        quantised = q * q / 12 - systematic(q, self.noise)
        spread = (k * steps - mean).square() * (evidence / (evidence + one)) - quantised[:, None, None]
        number, total = (part.sum(dim=(1, 2, 3))[:, None] for part in (tells, spread * tells))
        seen = (total / number.clamp(min=1)).clamp(LEAST_NOISE, MOST_NOISE)
        return self.noise + ADAPTATION * (number >= FEWEST) * (seen - self.noise)


@dataclass(frozen=True, slots=True)
class Moved:
    """Moves what the network makes of a component's blocks to what their frames tell: `state.restore`, in steps.

    Attributes:
        k, q: the frame.
        level: the mean after it, in steps.
        evidence: after it.
        share: the past's share in the mean.
        history: after it.
    """

    k: Tensor
    q: Tensor
    level: Tensor
    evidence: Tensor
    share: Tensor
    history: History

    def mixed(self, restored: Tensor, before: Tensor) -> Tensor:
        """What the network made of the frame, moved by what the mean tells, and mixed with what was restored before."""
        reach = CELL + REACH * self._noise.sqrt() / self._steps
        near = self.k + torch.minimum(torch.maximum(restored - self.k, -reach), reach)
        squared = self.share * self.share
        fourth = squared * squared
        moved = near + self._mean_tells * fourth * fourth * (self._told(near) - near)
        return moved + lasting(self.q)[:, None, None] * squared * fourth * (before - moved)

    def kept(self, mixed: Tensor) -> Tensor:
        """The same, moved by what the cell tells where the mean does not."""
        away, reach = mixed - self.k, REACH * self._noise.sqrt() / self._steps
        below, above = (self._outside(side, reach) for side in (-away, away))
        coarse = self._noise / (self._noise + self._steps.square() / 12)
        gain = (1 - self._mean_tells) / (1 + self._frames / 2 * coarse)
        return mixed + gain * (below - above)

    @property
    def _steps(self) -> Tensor:
        return self.q[:, None, None]

    @property
    def _noise(self) -> Tensor:
        return self.history.noise[:, None, None]

    @property
    def _mean_tells(self) -> Tensor:
        return (self.history.remaining < 0.5).float()[:, None, None]

    @property
    def _frames(self) -> Tensor:
        return self.evidence / observation(self.q)[:, None, None]

    def _outside(self, away: Tensor, reach: Tensor) -> Tensor:
        """How far one bound of a cell draws back what lies so far from the cell's middle on its side."""
        beyond = (away - CELL + reach).clamp(min=0)
        bent = torch.minimum(beyond, 2 * reach)
        return bent * bent / (4 * reach) + (beyond - bent)

    def _told(self, kept: Tensor) -> Tensor:
        """The nearest number that has the mean of the frames when it is rounded, with the noise."""
        free = (FREE / self._frames).clamp(max=1)
        least, most = (self._unrounded(self.level + way * free) for way in (-1, 1))
        return torch.maximum(torch.minimum(kept, most), least)

    def _unrounded(self, mean: Tensor) -> Tensor:
        bound = torch.round(mean - 0.5) + 0.5
        beyond = mean - bound
        chance = (1 - 4 * beyond * beyond).clamp(min=LEAST_CHANCE)
        scatter = (self._noise.clamp(min=SENSOR).sqrt() / self._steps).clamp(max=SCATTERED)
        return bound + ((2 * torch.pi) ** 0.5 * scatter * beyond / chance.sqrt().sqrt()).clamp(-0.5, 0.5)


def most_of_the_past(q: Tensor) -> Tensor:
    """Evidence of a component's past, at most."""
    return (LONGEST - 1) * observation(q)
