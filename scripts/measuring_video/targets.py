"""What a model for video is to reach, and what it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from measuring_video.recorded import FIXED
from measuring_video.results import Results
from measuring_video.rows import Row
from measuring_video.storage import saved
from mjpeg_restore import catalogue

STILL = {10: 0.45, 50: 1.3, 75: 1.9}
"""Gain of luma by quality, still scene with noise of 2 in luma."""
FRAME = 16
STILL_RGB = (50, 1.0)
"""Quality, and gain of RGB."""
FIXED_CAMERA = (50, 0.3)
LEAST_MEAN = -0.02
LEAST_FRAME = -0.1
LEAST_UNCOVERED = -0.05
FLICKER = 5.0
BYTES = 0.35
SPEED = 2.5
MOVING = "object passing"
"""Clips in which a fifth of the picture moves, or has just been uncovered."""


@dataclass(frozen=True, slots=True)
class Target:
    """One of the targets."""

    what: str
    wanted: str
    found: str | None = None
    """What was measured; None if nothing was."""
    reached: bool | None = None


def targets(results: Results) -> Iterator[Target]:
    """All of them, in order."""
    rows = results.rows
    still = [row for row in rows if row.kind == "still"]
    for quality, wanted in STILL.items():
        gains = [gain for row in still if row.quality == quality and (gain := row.at(FRAME)) is not None]
        yield _at_least(f"luma of still scenes, frame {FRAME}, Q{quality}", wanted, gains)
    quality, wanted = STILL_RGB
    gains = [row.rgb_gains[FRAME - 1] for row in still if row.quality == quality and row.frames >= FRAME]
    yield _at_least(f"RGB of still scenes, frame {FRAME}, Q{quality}", wanted, gains)
    quality, wanted = FIXED_CAMERA
    gains = [row.mean for row in rows if row.kind == FIXED and row.held_out and row.quality == quality]
    yield _at_least(f"luma of fixed cameras that it was not trained with, mean, Q{quality}", wanted, gains)
    yield _worst("mean of every clip", LEAST_MEAN, [(row.mean, row, "") for row in rows])
    yield _worst("every frame", LEAST_FRAME, [(row.worst, row, f", frame {row.worst_frame}") for row in rows])
    left = [(row.uncovered, row, "") for row in rows if row.uncovered is not None]
    yield _worst("uncovered blocks of every clip", LEAST_UNCOVERED, left)
    yield _less(results, "flicker of still scenes, second half of the clip", [row.flicker for row in still])
    yield _less(results, "the same, from one frame to the next", [row.unrest for row in still])
    yield _bytes(results)
    yield _speed(results, "a fifth of the picture in motion", MOVING)
    yield _speed(results, "recordings of fixed cameras", FIXED)
    outside = sum(count for row in rows for count in row.outside.values())
    yield Target("coefficients outside their cell", "0", str(outside), outside == 0)


def _at_least(what: str, wanted: float, gains: list[float]) -> Target:
    """A target for the mean gain of some clips."""
    mean = float(np.mean(gains)) if gains else None
    text = f"at least {wanted:+g} dB"
    return Target(what, text) if mean is None else Target(what, text, f"{mean:+z.2f} dB", mean >= wanted)


def _worst(what: str, least: float, gains: list[tuple[float, Row, str]]) -> Target:
    """A target for the smallest gain, of the row beside it."""
    text = f"at least {least:+g} dB"
    if not gains:
        return Target(what, text)
    gain, row, where = min(gains, key=lambda one: one[0])
    return Target(what, text, f"{gain:+z.2f} dB: {row.clip}, Q{row.quality}{where}", gain >= least)


def _less(results: Results, what: str, figures: Sequence[dict[str, float] | None]) -> Target:
    """The target for flicker, by one of its figures."""
    levels = [(found[results.over], found[results.model]) for found in figures if found]
    text = f"{FLICKER:g}x less"
    if not levels:
        return Target(what, text)
    before, after = np.mean(levels, axis=0)
    return Target(what, text, f"{before / max(after, 1e-3):.1f}x less", bool(before >= FLICKER * after))


def _bytes(results: Results) -> Target:
    shares = [
        saved(row.encoded, results.model, catalogue.DECODE, "h264")
        for row in results.rows
        if row.encoded and row.kind == FIXED
    ]
    what, text = "bytes of H.264 at equal CRF, fixed cameras, beside `decode`", f"{100 * BYTES:.0f} % fewer"
    if not shares:
        return Target(what, text)
    mean = float(np.mean(shares))
    return Target(what, text, f"{100 * mean:.0f} % fewer", mean >= BYTES)


def _speed(results: Results, where: str, kind: str) -> Target:
    """The target for frames per second, in clips of a kind."""
    ratios = [
        row.speed[results.model] / row.speed[results.over] for row in results.rows if row.speed and row.kind == kind
    ]
    what, text = f"frames per second, {where}", f"{SPEED:g}x"
    if not ratios:
        return Target(what, text)
    mean = float(np.exp(np.mean(np.log(ratios))))
    return Target(what, text, f"{mean:.2f}x", mean >= SPEED)
