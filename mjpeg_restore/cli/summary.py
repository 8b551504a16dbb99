"""The summary of a run: counts, warnings, and suggestions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mjpeg_restore import catalogue
from mjpeg_restore.cli.versions import installed
from mjpeg_restore.cli.wording import joined
from mjpeg_restore.report import COUNTS, Report
from mjpeg_restore.verification import Verification

MOST_WARNINGS = 3
"""Number of kinds of warnings in the summary; the report in JSON has them all."""
_LABELS = {"late": "of them late"}
"""Labels of the counts that are not their names; late packets are counted among the dropped ones."""


def summary(report: Report, outputs: Sequence[str], device: str) -> Iterator[str]:
    """The lines of a report.

    Args:
        report: of a run that has ended.
        outputs: names of those that were to be written; what has failed was said when it happened.
        device: the device that was asked for.
    """
    ended = {output.name for output in report.outputs if output.error or output.left}
    written = [name for name in outputs if name not in ended]
    where = f" to {joined(written)}" if written else ""
    speed = f", {report.speed:.2f}x real time" if report.speed else ""
    yield f"{report.frames} frame{'s' if report.frames != 1 else ''}{where}, {report.fps:.1f} frames/s{speed}"
    odd = [f"{getattr(report, name)} {_LABELS.get(name, name)}" for name in COUNTS if getattr(report, name)]
    if odd:
        trouble = f" (first: {report.first_trouble})" if report.first_trouble else ""
        yield ", ".join(odd) + trouble
    for output in report.outputs:
        if output.dropped:
            yield f"{output.name}: {output.dropped} dropped while it was busy"
        if output.lost:
            yield f"{output.name}: {output.lost} lost while there was no connection"
        if output.left and not output.error:
            missed = f", {output.missed} missed" if output.missed else ""
            yield f"{output.name}: its reader left after {output.frames} frame{'s' * (output.frames != 1)}{missed}"
    if report.computed is not None:
        yield f"{report.computed:.1%} of the pictures computed anew, the rest is as before"
    for words, count in report.warnings.most_common(MOST_WARNINGS):
        yield f"{count} x {words}"
    yield from _better(report, device)
    if report.verified:
        yield _verdict(report.verified)
    if report.truncated:
        yield report.truncated
    yield from report.remarks


def _better(report: Report, device: str) -> Iterator[str]:
    """Suggestions: a network for pictures of this quality, a faster runtime."""
    model, quality = catalogue.find(report.model), report.quality.get("median", 0)
    if quality and not model.suits(quality):
        trained = ", ".join(variant.name for variant in model.variants)
        yield (
            f"{model.name} was trained for {trained}, these pictures are of about Q{quality}:"
            f" {catalogue.DEFAULT} is for all qualities"
        )
    slow = device == "auto" and report.runtime.startswith("ONNX Runtime") and not installed("openvino")
    if slow and model.name != catalogue.DECODE:
        yield f"restored by {report.runtime}; OpenVINO may be three times as fast: pip install openvino"


def _verdict(found: Verification) -> str:
    if not found.coefficients:
        return "nothing to verify: no picture holds a whole block"
    share = math.floor(1e5 * found.inside / found.coefficients) / 1e5  # never more than it is
    return (
        f"verified {found.coefficients:,} coefficients: {share:.3%} quantise back to the stream's; of the others, "
        f"{found.rounded:,} miss by no more than rounding to eight bits, {found.clipped:,} stand beside samples cut "
        f"off at black or white, {found.outside:,} miss by more"
    )
