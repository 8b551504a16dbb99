"""The projection into the quantisation cell, and back to samples: from a network's last layer to a plane.

A network of `models/stream.py` takes decoded samples, and says of each what it lacks. The DCT of that, in units of the
quantisation step, is where in its cell a coefficient is to lie. It is held to the cell; then the coefficients are
dequantised, transformed back, shifted and rounded. Exported graphs begin and end with the same arithmetic. On the CPU
OpenVINO leaves both to the native extension behind this module, which keeps to float32 and takes a quarter of the
time; the decode alone is all of `runtime/cpu/native.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

try:
    from mjpeg_restore.runtime.cpu import _projection as native
except ImportError:  # no C compiler when the package was installed: the graph does it
    native = None

Kind = TypeVar("Kind", bound=np.generic)

CELL: Final = 0.499
"""Half-width of the quantisation cell that a prediction is held to, in steps. The 0.001 that is missing from a half
keeps a float32 DCT of the result from rounding into the next cell, of whatever an encoder can have made of samples of
eight bits."""


@dataclass(frozen=True, slots=True)
class ConfidenceRamp:
    """The weight of a predicted residual, 0..1, by the mean of log2 of the component's quantisation steps.

    Where most steps are 1 or 2 there is nothing to restore: without the ramp `stream` made luma 0.3 dB worse at quality
    99, and 1.3 dB at 100.
    """

    zero: float
    """Up to this mean the weight is 0."""
    one: float
    """From this mean on the weight is 1; it rises linearly in between."""

    def __call__(self, table: NDArray[np.uint16]) -> float:
        """The weight for a table, uint16 `[64]`, 1 and more."""
        mean = float(np.log2(table.astype(np.float32)).mean())
        return min(1.0, max(0.0, (mean - self.zero) / (self.one - self.zero)))


LUMA_CONFIDENCE: Final = ConfidenceRamp(0.5, 2.0)
"""The IJG's luma tables of quality 99, 98 and 95 have 0.3, 1.0 and 2.2."""

CHROMA_CONFIDENCE: Final = ConfidenceRamp(2.0, 4.0)
"""The IJG's chroma tables of quality 98, 97, 95 and 90 have 1.7, 2.3, 3.0 and 4.0. Higher than luma's:
interpolation to luma's size smooths fine quantisation noise away, but not what a network errs by, which is smooth
already. With luma's bounds `stream` improved chroma by 0.5 dB at quality 98, and made RGB of 4:2:0 worse by it."""

SAMPLE_SCALE: Final = 64.0
"""What centred samples are divided by to be features."""

PHASES: Final = 4
"""Samples, each way, that make one place of a network's last layer, a channel for each of them."""


def project(
    phases: NDArray[np.float16] | None,
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    confidence: ConfidenceRamp = LUMA_CONFIDENCE,
    *,
    lanes: int = 8,
) -> NDArray[np.uint8]:
    """Restore a component, with the native extension, GIL released.

    Args:
        phases: float16 `[16, 2 blocks_high, 2 blocks_wide]`: what the decoded samples lack, in units of
            `SAMPLE_SCALE`. Phase `4 y + x` has every fourth of them, from row y and column x on. None: they lack
            nothing, and this is the plain decode.
        coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
        table: `[64]`, natural order, 1 and more.
        confidence: the weight of `phases`, by the table.
        lanes: numbers that the native extension computes at once, 8 where CPU and compiler can (AVX2, GCC), or 4.

    Returns:
        uint8 `[8 blocks_high, 8 blocks_wide]`.

    Raises:
        ValueError: an array is of another size than that.
    """
    high, wide, _ = coefficients.shape
    steps = table.astype(np.float32)
    plane = np.empty((8 * high, 8 * wide), np.uint8)
    assert native is not None
    native.project(
        None if phases is None else _native(phases, np.float16),
        _native(coefficients, np.int16),
        steps,
        plane,
        high,
        wide,
        SAMPLE_SCALE * confidence(table),
        CELL,
        lanes,
    )
    return plane


def decode(
    coefficients: NDArray[np.int16], table: NDArray[np.uint16], samples: NDArray[np.float32], *, lanes: int = 8
) -> None:
    """Decode a component to what a network takes, with the native extension, GIL released.

    Args:
        coefficients, table, lanes: as in `project`.
        samples: filled, float32 `[8 blocks_high, 8 blocks_wide]`, contiguous, aligned and writable: centred, in units
            of `SAMPLE_SCALE`, neither rounded nor clamped.

    Raises:
        ValueError: an array is of another size than that, or `samples` cannot be filled where they are.
    """
    high, wide, _ = coefficients.shape
    flags = samples.flags
    if samples.dtype != np.float32 or not (flags.c_contiguous and flags.aligned and flags.writeable):
        raise ValueError("samples: an array of float32 that is contiguous, aligned and writable is wanted")
    steps = table.astype(np.float32)
    assert native is not None
    native.decode(_native(coefficients, np.int16), steps, samples, high, wide, 1 / SAMPLE_SCALE, lanes)


def _native(array: NDArray[Any], kind: type[Kind]) -> NDArray[Kind]:
    """The array as C takes it: contiguous, aligned, in this machine's order of bytes."""
    return np.require(array, kind, ["C", "A"])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
