"""The tables: a line for each row as it is measured, and those of the page in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from measuring_video.measurement import TRUTH
from measuring_video.recorded import FIXED, MOVING, NOISY
from measuring_video.results import Results
from measuring_video.rows import MARKS, Row
from measuring_video.storage import CODECS, SHOWN, bd_rate, saved
from measuring_video.targets import targets
from mjpeg_restore import catalogue

RECORDED = (FIXED, MOVING, NOISY)

HEADER = (
    f"{'clip':44} {'Q':>3} {'gain of luma, dB, at frames 2 4 8 16 last':^34} {'mean':>6} {'worst frame':>13}"
    f" {'RGB':>6} {'flicker':>15} {'uncovered':>9} {'computed':>8} {'outside':>7} {'frames/s':>15}"
)


def line(row: Row, model: str, over: str) -> str:
    """A row on a terminal, under `HEADER`."""
    gains = [row.at(number) for number in MARKS] + [row.luma_gains[-1]]
    flicker = f"{row.flicker[over]:.2f} -> {row.flicker[model]:.2f}" if row.flicker else "-"
    speed = f"{row.speed[over]:.1f} -> {row.speed[model]:.1f}" if row.speed else "-"
    return (
        f"{row.clip:44} {row.quality:3} {' '.join(f'{_gain(gain):>6}' for gain in gains)} {row.mean:+6.2f}"
        f" {row.worst:+6.2f} at {row.worst_frame:3} {row.rgb_mean:+6.2f} {flicker:>15} {_gain(row.uncovered):>9}"
        f" {100 * row.computed:6.0f} % {sum(row.outside.values()):7} {speed:>15}"
    )


def tables(results: Results) -> dict[str, str]:
    """The page's tables by name, Markdown each; those of what was not measured are a sentence."""
    made: dict[str, Callable[[Results], str]] = {
        "targets": _targets,
        "kinds": _kinds,
        "recordings": _recordings,
        "flicker": _flicker,
        "storage": _storage,
        "speed": _speed,
    }
    return {name: make(results) for name, make in made.items()}


def markdown(header: Sequence[str], cells: Iterable[Sequence[str]], words: int = 1) -> str:
    """A table, whose first columns are words, aligned left, and whose others are numbers."""
    lines = [header, ["---"] * words + ["---:"] * (len(header) - words), *cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines) if len(lines) > 2 else "Not measured yet."


def _targets(results: Results) -> str:
    rows = [
        (
            one.what,
            one.wanted,
            one.found or "not measured",
            {True: "reached", False: "**missed**", None: ""}[one.reached],
        )
        for one in targets(results)
    ]
    return markdown(("target", "wanted", "measured", ""), rows, 4)


def _kinds(results: Results) -> str:
    """Gains by what happens in a clip."""
    header = ["what happens", "clips", "Q", *(f"frame {number}" for number in MARKS), "last"]
    header += [f"after {MARKS[-1]}", "mean", "worst frame", "uncovered blocks", "RGB", "SSIM, last", "computed"]
    cells = [
        [
            rows[0].kind,
            str(len(rows)),
            str(rows[0].quality),
            *(_gain(_mean(row.at(number) for row in rows)) for number in MARKS),
            _gain(_mean(row.luma_gains[-1] for row in rows)),
            _gain(_mean(row.later for row in rows)),
            f"**{_gain(_mean(row.mean for row in rows))}**",
            _gain(min(row.worst for row in rows)),
            _gain(_mean(row.uncovered for row in rows)),
            _gain(_mean(row.rgb_mean for row in rows)),
            f"{_mean([*row.ssim_gains.values()][-1] for row in rows):+z.4f}",
            _share(_mean(row.computed for row in rows)),
        ]
        for rows in results.groups()
    ]
    return markdown(header, cells)


def _recordings(results: Results) -> str:
    """Gains of each recording."""
    qualities = results.qualities
    each = " / ".join(f"Q{quality}" for quality in qualities)
    header = ["recording", "", "frames", f"luma, {each}", "last frame", "worst frame", "RGB", "computed"]
    figures: tuple[Callable[[Row], str], ...] = (
        lambda row: _gain(row.mean),
        lambda row: _gain(row.luma_gains[-1]),
        lambda row: _gain(row.worst),
        lambda row: _gain(row.rgb_mean),
        lambda row: _share(row.computed),
    )
    cells: list[list[str]] = []
    for rows in results.clips():
        if rows[0].kind in RECORDED:
            by_quality = {row.quality: row for row in rows}
            name = f"{rows[0].clip}{'' if rows[0].held_out else ' (trained with)'}"
            of_each = [[figure(by_quality[q]) if q in by_quality else "-" for q in qualities] for figure in figures]
            cells.append([name, rows[0].kind, str(rows[0].frames), *map(" / ".join, of_each)])
    return markdown(header, cells, 2)


def _flicker(results: Results) -> str:
    """Temporal deviation where the truth does not change."""
    networks = (catalogue.DECODE, results.over, results.model)
    header = ["what happens", "Q", "static", *(f"`{name}`" for name in networks), TRUTH, "less by"]
    header += [*(f"from frame to frame: `{name}`" for name in networks[1:]), "less by"]
    cells: list[list[str]] = []
    for rows in results.groups():
        found = [(row.flicker, row.unrest) for row in rows if row.flicker and row.unrest]
        if found:
            names = (*networks, TRUTH)
            all_of_it, new = (
                {name: float(np.mean([one[name] for one in some])) for name in names}
                for some in zip(*found, strict=True)
            )
            less, less_new = (means[results.over] / max(means[results.model], 1e-3) for means in (all_of_it, new))
            static = _share(_mean(row.static for row in rows))
            levels = [f"{mean:.2f}" for mean in all_of_it.values()]
            cell = [rows[0].kind, str(rows[0].quality), static, *levels, f"{less:.1f}x"]
            cells.append([*cell, *(f"{new[name]:.2f}" for name in networks[1:]), f"{less_new:.1f}x"])
    return markdown(header, cells)


def _storage(results: Results) -> str:
    """Bytes of encoded clips."""
    names = (results.over, results.model)
    header = ["clip", "Q"]
    for codec in CODECS:
        title = {"h264": "H.264", "hevc": "HEVC"}[codec]
        header += [f"{title}, CRF {SHOWN[codec]}: `{name}`" for name in names]
        header += [f"{title}, BD-rate: `{name}`" for name in names]
    cells: list[list[str]] = []
    for row in results.rows:
        if row.encoded is not None:
            cell = [row.clip, str(row.quality)]
            for codec in CODECS:
                cell += [_change(-saved(row.encoded, name, catalogue.DECODE, codec)) for name in names]
                rates = [row.noise and bd_rate(row.encoded, name, catalogue.DECODE, codec) for name in names]
                cell += ["-" if rate is None else _change(rate) for rate in rates]
            cells.append(cell)
    return markdown(header, cells)


def _speed(results: Results) -> str:
    """Frames per second."""
    names = (results.over, results.model)
    header = ["clip", "size", "Q", "computed", *(f"`{name}`, frames/s" for name in names), "faster by"]
    cells = [
        [
            row.clip,
            row.size,
            str(row.quality),
            _share(row.computed),
            *(f"{row.speed[name]:.1f}" for name in names),
            f"{row.speed[results.model] / row.speed[results.over]:.2f}x",
        ]
        for row in results.rows
        if row.speed
    ]
    return markdown(header, cells)


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of the known values; None if there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _gain(value: float | None) -> str:
    return "-" if value is None else f"{value:+z.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _change(value: float) -> str:
    return f"{100 * value:+z.0f} %"
