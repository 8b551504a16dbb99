"""The projection into the quantisation cell: from a network's last layer to a plane of samples.

A network of `models/stream.py` predicts a residual for each decoded sample. The DCT of the residual, in units of the
quantisation step, is the offset of each coefficient within its quantisation cell. The offset is clamped to the cell;
then the coefficients are dequantised, inverse transformed, level shifted and rounded. Exported graphs begin and end
with the same arithmetic. With OpenVINO on the CPU, the native extension behind this module replaces it: in float32, and
in a quarter of the time. `runtime/cpu/native.py` uses the decode alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mjpeg_restore.runtime.cpu.of_table import of_table

try:
    from mjpeg_restore.runtime.cpu import _projection as native
except ImportError:  # no C compiler when the package was installed: the graph computes it
    native = None

Kind = TypeVar("Kind", bound=np.generic)

CELL: Final = 0.499
"""Half-width of the quantisation cell, in steps, to which offsets are clamped. It is 0.001 less than a half, so that a
float32 DCT of the result cannot round into the next cell, for any coefficients of 8-bit samples."""


@dataclass(frozen=True, slots=True)
class ConfidenceRamp:
    """The weight of a predicted residual, 0..1, by the mean of log2 of the component's quantisation steps.

    If most steps are 1 or 2, there is nothing to restore: without the ramp, `stream` made luma 0.3 dB worse at quality
    99, and 1.3 dB worse at 100.
    """

    zero: float
    """The weight is 0 up to this mean."""
    one: float
    """The weight is 1 from this mean on; it rises linearly in between."""

    def __call__(self, table: NDArray[np.uint16]) -> float:
        """The weight for a table, uint16 `[64]`, values from 1."""
        mean = _mean_of_logarithms(table)
        return min(1.0, max(0.0, (mean - self.zero) / (self.one - self.zero)))


@of_table
def _mean_of_logarithms(table: NDArray[np.uint16]) -> float:
    return float(np.log2(table.astype(np.float32)).mean())


LUMA_CONFIDENCE: Final = ConfidenceRamp(0.5, 2.0)
"""For luma. The IJG's luma tables of quality 99, 98 and 95 have means of 0.3, 1.0 and 2.2."""

CHROMA_CONFIDENCE: Final = ConfidenceRamp(2.0, 4.0)
"""For chroma. The IJG's chroma tables of quality 98, 97, 95 and 90 have means of 1.7, 2.3, 3.0 and 4.0.

The bounds are higher than luma's: interpolation to luma's size smooths fine quantisation noise, but not a network's
errors, which are smooth already. With luma's bounds, `stream` improved chroma by 0.5 dB at quality 98, and yet made the
RGB of 4:2:0 worse."""

SAMPLE_SCALE: Final = 64.0
"""Centred samples are divided by this to become a network's input."""

PHASES: Final = 4
"""Side in samples of the square that a network's last layer predicts at each position, one channel per sample."""


def project(
    phases: NDArray[np.float16] | None,
    coefficients: NDArray[np.int16],
    table: NDArray[np.uint16],
    confidence: ConfidenceRamp = LUMA_CONFIDENCE,
    *,
    lanes: int = 8,
) -> NDArray[np.uint8]:
    """Restore a component with the native extension, which releases the GIL.

    Args:
        phases: float16 `[16, 2 blocks_high, 2 blocks_wide]`: the residual of the decoded samples, in units of
            `SAMPLE_SCALE`. Phase `4 y + x` has every fourth row from y and every fourth column from x. None: the plain
            decode.
        coefficients: int16 `[blocks_high, blocks_wide, 64]`, natural order.
        table: `[64]`, natural order, values from 1.
        confidence: the weight of the residual, by the table.
        lanes: SIMD lanes of float32: 8 (AVX2, if the CPU and the compiler have it) or 4.

    Returns:
        uint8 `[8 blocks_high, 8 blocks_wide]`.

    Raises:
        ValueError: an array has another size.
    """
    high, wide, _ = coefficients.shape
    steps = table.astype(np.float32)
    plane = np.empty((8 * high, 8 * wide), np.uint8)
    assert native is not None
    native.project(
        None if phases is None else as_native(phases, np.float16),
        as_native(coefficients, np.int16),
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
    """Decode a component to a network's input with the native extension, which releases the GIL.

    Args:
        coefficients: as in `project`, and so are `table` and `lanes`.
        samples: the output, float32 `[8 blocks_high, 8 blocks_wide]`, contiguous, aligned and writable; filled with
            centred samples in units of `SAMPLE_SCALE`, neither rounded nor clamped.

    Raises:
        ValueError: an array has another size, or `samples` cannot be filled in place.
    """
    high, wide, _ = coefficients.shape
    flags = samples.flags
    if samples.dtype != np.float32 or not (flags.c_contiguous and flags.aligned and flags.writeable):
        raise ValueError("samples: an array of float32 that is contiguous, aligned and writable is wanted")
    steps = table.astype(np.float32)
    assert native is not None
    native.decode(as_native(coefficients, np.int16), steps, samples, high, wide, 1 / SAMPLE_SCALE, lanes)


def as_native(array: NDArray[Any], kind: type[Kind]) -> NDArray[Kind]:
    """The array as the extension needs it: contiguous, aligned, in native byte order."""
    if array.dtype == kind and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, kind, ["C", "A"])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
