"""The tables: a line for each row as it is measured, and Markdown for the page."""

from __future__ import annotations

from measuring_video.rows import MARKS, Row

HEADER = (
    f"{'clip':44} {'Q':>3}  {'gain of luma in dB at frame':^31} {'mean':>6} {'worst frame':>13}"
    f" {'RGB':>6}  {'flicker':>17} {'uncovered':>9} {'computed':>8} {'outside':>7}"
)


def line(row: Row, model: str, over: str) -> str:
    """A row on a terminal, under `HEADER`."""
    gains = [row.at(number) if number < row.frames else None for number in MARKS] + [row.luma_gains[-1]]
    flicker = f"{row.flicker[over]:.2f} -> {row.flicker[model]:.2f}" if row.flicker else "-"
    return (
        f"{row.clip:44} {row.quality:3}  {' '.join(f'{_gain(gain):>6}' for gain in gains)[:34]}"
        f" {row.mean:+6.2f} {row.worst:+6.2f} at {row.worst_frame:3} {row.rgb_mean:+6.2f}  {flicker:>17}"
        f" {_gain(row.uncovered):>9} {100 * row.computed:6.0f} % {sum(row.outside.values()):7}"
    )


def _gain(value: float | None) -> str:
    return "-" if value is None else f"{value:+z.2f}"
