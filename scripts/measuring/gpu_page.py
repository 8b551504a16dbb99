"""The page about GPUs, docs/gpu.md, made of the results that `scripts/gpu_check.py` collects."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mjpeg_restore import catalogue
from mjpeg_restore.errors import SourceError, UnknownModel

Results = dict[str, dict[str, Any]]
"""By the card's name, then by part and key."""

PARTS = ("speed", "static", "parity", "cameras")
"""What is measured."""

TARGETS = {
    ("stream", "1920x1080"): ("fps", 1000.0),
    ("stream-lite", "3840x2160"): ("fps", 500.0),
    ("stream-hq", "1920x1080"): ("fps", 120.0),
}
"""For a card like an H100, whichever runtime runs there."""

MOST_LATENCY_MS = 2.0
"""Target for one picture of `stream` at 1920x1080."""

MOST_OFF = {"fp32": 1.0}
"""Largest difference of a sample, by precision."""
MOST_LOSS_DB = 0.02

BEFORE = Path(__file__).parent / "gpu_page.md"
"""What the page says before the results."""


def load(path: Path) -> Results:
    """The results so far; none if there is no file.

    Raises:
        SourceError: the file holds something else.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise SourceError(f"{path}: no results of an earlier check ({error})") from error


def save(path: Path, results: Results) -> None:
    """Write the results, all or nothing."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    os.replace(part, path)


def page(results: Results) -> str:
    """The whole page."""
    lines = [BEFORE.read_text().rstrip()]
    if not results:
        nothing = "Nothing yet. `python scripts/gpu_check.py` adds a section for each card."
        lines += ["", "## Measured on GPUs", "", nothing]
    for card in results.values():
        lines += ["", *_card(card)]
    return "\n".join(lines) + "\n"


def _card(found: dict[str, Any]) -> Iterator[str]:
    card = found["card"]
    yield f"## {card['name']}"
    yield ""
    peak = "" if card["peak_tflops"] is None else f" Products of float16 matrices: {card['peak_tflops']:.0f} TFLOP/s."
    yield (
        f"Compute capability {card['capability']}, {card['memory_gb']:.0f} GB, driver for CUDA {card['cuda']}, "
        f"{card['bindings']}; {card['cpu']}."
    )
    yield f"Copies of pinned memory: {card['up_gbs']:.1f} GB/s up, {card['down_gbs']:.1f} GB/s down.{peak}"
    yield from _speed(found)
    yield from _static(found)
    yield from _cameras(found["cameras"])
    yield from _parity(found["parity"])
    yield from _not_run(found)


def _table(title: str, about: str, header: str) -> Iterator[str]:
    """The beginning of a table, after a heading and a sentence."""
    yield from ("", f"### {title}", "", about, "", f"| {header} |", "|---" * (1 + header.count("|")) + "|")


def _speed(found: dict[str, Any]) -> Iterator[str]:
    done = {key: row for key, row in found["speed"].items() if "error" not in row}
    if not done:
        return
    yield from _table(
        "Speed",
        "From coefficients in the host's memory to planes in the host's memory, 4:2:0, fp16. Frames/s: several\n"
        "pictures under way; ms: one alone. The floor is the longer of two times: copies at the speed above, and\n"
        "arithmetic at the card's peak.",
        "model | size | runtime | frames/s | floor, ms | ms | copies | device memory, MB | first picture, s | target",
    )
    for key, row in sorted(done.items(), key=_by_model):
        model, _, _, size = key.split()
        copies, arithmetic = floor(model, size, found["card"])
        cells = [
            f"`{model}`",
            size,
            row["runtime"],
            f"{row['fps']:.0f}",
            f"{max(copies, arithmetic or 0):.2f}",
            f"{row['ms']:.2f}",
            f"{100 * copies / row['ms']:.0f} %",
            "-" if row["device_mb"] is None else f"{row['device_mb']:.0f}",
            f"{row['load_s']:.1f}",
            _verdict(model, size, row),
        ]
        yield f"| {' | '.join(cells)} |"


def _static(found: dict[str, Any]) -> Iterator[str]:
    done = {key: row for key, row in found.get("static", {}).items() if "error" not in row}
    if not done:
        return
    yield from _table(
        "An engine for one size",
        "The same with an engine that is built for the camera's size alone, beside the one for all sizes.",
        "model | size | runtime | frames/s | with the engine for all sizes",
    )
    for key, row in sorted(done.items(), key=_by_model):
        model, _, _, size = key.split()
        dynamic = found["speed"].get(key, {}).get("fps")
        beside = "-" if dynamic is None else f"{dynamic:.0f}"
        yield f"| `{model}` | {size} | {row['runtime']} | {row['fps']:.0f} | {beside} |"


def floor(model: str, size: str, card: dict[str, Any]) -> tuple[float, float | None]:
    """Least milliseconds of a picture: of the copies, and of the arithmetic, which is None if the peak is not known."""
    width, height = map(int, size.split("x"))
    samples = 1.5 * width * height
    copies = 1e-6 * samples * (2 / card["up_gbs"] + 1 / card["down_gbs"])
    try:
        macs = catalogue.find(model).macs_per_pixel
    except UnknownModel:
        return copies, None
    peak = card.get("peak_tflops")
    return copies, None if peak is None else 1e-9 * 2 * macs * width * height / peak


def _verdict(model: str, size: str, row: dict[str, Any]) -> str:
    target = TARGETS.get((model, size))
    if target is None:
        return ""
    words = [f"{target[1]:.0f} frames/s {'reached' if row['fps'] >= target[1] else 'MISSED'}"]
    if model == "stream":
        words.append(f"{MOST_LATENCY_MS:.0f} ms {'reached' if row['ms'] < MOST_LATENCY_MS else 'MISSED'}")
    return ", ".join(words)


def _by_model(item: tuple[str, Any]) -> tuple[int, int, str]:
    model, _, device, size = item[0].split()
    names = [*catalogue.models()]
    width = int(size.partition("x")[0])
    return names.index(model) if model in names else len(names), width, device


def _cameras(rows: dict[str, Any]) -> Iterator[str]:
    done = {key: row for key, row in rows.items() if "error" not in row}
    if not done:
        return
    yield from _table(
        "Cameras of 25 pictures a second that one card carries",
        "With coefficients at hand, and with JPEGs at hand, whose coefficients the CPU reads meanwhile.",
        "model | size | runtime | coefficients at hand | JPEGs at hand",
    )
    for key, row in sorted(done.items(), key=_by_model):
        model, _, device, size = key.split()
        yield f"| `{model}` | {size} | {device} | {row['inference']:.0f} | {row['whole']:.0f} |"


def _parity(rows: dict[str, Any]) -> Iterator[str]:
    done: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for key, row in rows.items():
        if "error" not in row:
            file, _, device, precision = key.split()
            done[device, precision].append((file, row))
    if not done:
        return
    yield from _table(
        "The same as on the CPU",
        "Each graph beside its float32 form in ONNX Runtime on the CPU.",
        "runtime | precision | graphs | largest difference of a sample | most PSNR lost, dB | target",
    )
    for (device, precision), graphs in sorted(done.items()):
        planes = [row for _, row in graphs if "loss_db" in row]
        most = max((row["most"] for row in planes), default=0.0)
        loss = max((row["loss_db"] for row in planes), default=0.0)
        bad = [file for file, row in graphs if not _agrees(row, precision)]
        verdict = f"MISSED by {', '.join(bad)}" if bad else "reached"
        yield f"| {device} | {precision} | {len(graphs)} | {most:.0f} | {loss:+.3f} | {verdict} |"


def _agrees(row: dict[str, Any], precision: str) -> bool:
    """Within 1 of a sample in fp32, within 0.02 dB in fp16."""
    if "loss_db" not in row:  # a context, which is no picture
        return row["most"] < (1e-3 if precision == "fp32" else 0.05)
    return row["most"] <= MOST_OFF.get(precision, 255) and row["loss_db"] <= MOST_LOSS_DB


def _not_run(found: dict[str, Any]) -> Iterator[str]:
    errors: dict[tuple[str, str], int] = defaultdict(int)
    for part in PARTS:
        for key, row in found.get(part, {}).items():
            if "error" in row:
                errors[key.split()[2], row["error"]] += 1
    if errors:
        yield ""
        yield "### Not run"
        yield ""
        for (device, error), count in sorted(errors.items()):
            yield f"* {device}, {count} measurement{'s' if count > 1 else ''}: {error}"
