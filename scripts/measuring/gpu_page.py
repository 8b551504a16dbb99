"""The page about GPUs, docs/gpu.md, made of the results that `scripts/gpu_check.py` collects."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measuring.text_file import write
from mjpeg_restore import catalogue
from mjpeg_restore.errors import SourceError, reason_of

Card = dict[str, Any]
"""As `gpu_card.card` describes it."""

Row = dict[str, Any]
"""What a measurement found, or an `error`."""

Parts = dict[str, dict[str, Row]]
"""By part and key. A key is four words: the network's or its graph's name, checksums, the device, and what differs."""

Results = dict[str, dict[str, Any]]
"""By the card's name: its `card`, what is `absent` by device with the reason or None, and the parts."""

PARTS = ("speed", "static", "parity", "cameras")
"""What is measured."""

TARGETS = {("stream", "1920x1080"): 1000, ("stream-lite", "3840x2160"): 500, ("stream-hq", "1920x1080"): 120}
"""Frames per second of a card like an H100, whichever runtime runs there."""

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
        SourceError: the file holds something else, or something of which no page can be made.
    """
    try:
        found: Any = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: no results of an earlier check ({reason_of(error)})") from error
    if not isinstance(found, dict) or not all(isinstance(one, dict) and "card" in one for one in found.values()):
        raise SourceError(f"{path}: no results of an earlier check")
    try:
        page(found)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise SourceError(f"{path}: damaged results of an earlier check ({what}): remove what is wrong") from error
    return found


def save(path: Path, results: Results) -> None:
    """Write the results, all or nothing.

    Raises:
        SinkError: they cannot be written.
    """
    write(path, json.dumps(results, indent=1, sort_keys=True) + "\n")


def page(results: Results) -> str:
    """The whole page."""
    lines = [BEFORE.read_text().rstrip()]
    if not results:
        nothing = (
            "Nothing yet: no network has run on a GPU, by whichever runtime. `python scripts/gpu_check.py` adds a\n"
            "section for each card."
        )
        lines += ["", "## Measured on GPUs", "", nothing]
    for card in results.values():
        lines += ["", *_card(card)]
    return "\n".join(lines) + "\n"


def _card(found: dict[str, Any]) -> Iterator[str]:
    card: Card = found["card"]
    yield f"## {card['name']}"
    yield ""
    peak = "" if card["peak_tflops"] is None else f" Products of float16 matrices: {card['peak_tflops']:.0f} TFLOP/s."
    yield (
        f"Compute capability {card['capability']}, {card['memory_gb']:.0f} GB, driver for CUDA {card['cuda']}, "
        f"{card['bindings']}; {card['cpu']}."
    )
    yield f"Copies of pinned memory: {card['up_gbs']:.1f} GB/s up, {card['down_gbs']:.1f} GB/s down.{peak}"
    parts = {part: found.get(part, {}) for part in PARTS}
    done = {part: {key: row for key, row in rows.items() if "error" not in row} for part, rows in parts.items()}
    for part, table in (("speed", _speed), ("static", _static), ("cameras", _cameras), ("parity", _parity)):
        if done[part]:
            yield from table(done, card)
    yield from _not_run(found.get("absent", {}), parts)


def _table(title: str, about: str, header: str) -> Iterator[str]:
    """The beginning of a table, after a heading and a sentence."""
    yield from ("", f"### {title}", "", about, "", f"| {header} |", "|---" * (1 + header.count("|")) + "|")


def _speed(done: Parts, card: Card) -> Iterator[str]:
    yield from _table(
        "Speed",
        "From coefficients in the host's memory to planes in the host's memory, 4:2:0, fp16. Frames/s: several\n"
        "pictures under way; ms: one alone. The floor of a picture is the longer of two times: its copies, one way at\n"
        "the speed above and then the other, and its arithmetic at the card's peak. Copies: their share of the ms.",
        "network | size | runtime | frames/s | floor, ms | ms | copies | device memory, MB | first picture, s | target",
    )
    for key, row in sorted(done["speed"].items(), key=_by_model):
        model, _, _, size = key.split()
        copies, arithmetic = floor(row["macs"], size, card)
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


def floor(macs: float, size: str, card: Card) -> tuple[float, float | None]:
    """Least milliseconds of a picture: of its copies, and of its arithmetic, which is None if the peak is not known.

    Args:
        macs: multiply-accumulate operations per pixel of luma.
        size: of the picture: "1920x1080".
        card: as `gpu_card.card` describes it.
    """
    width, height = map(int, size.split("x"))
    samples = 1.5 * width * height
    copies = 1e-6 * samples * (2 / card["up_gbs"] + 1 / card["down_gbs"])
    peak = card["peak_tflops"]
    return copies, None if peak is None else 1e-9 * 2 * macs * width * height / peak


def _verdict(model: str, size: str, row: Row) -> str:
    target = TARGETS.get((model, size))
    if target is None:
        return ""
    words = [f"{target} frames/s {'reached' if row['fps'] >= target else 'MISSED'}"]
    if model == "stream":
        words.append(f"{MOST_LATENCY_MS:.0f} ms {'reached' if row['ms'] < MOST_LATENCY_MS else 'MISSED'}")
    return ", ".join(words)


def _static(done: Parts, card: Card) -> Iterator[str]:
    yield from _table(
        "An engine for one size",
        "The same with an engine that is built for the camera's size alone, beside the one for all sizes.",
        "network | size | runtime | frames/s | with the engine for all sizes",
    )
    for key, row in sorted(done["static"].items(), key=_by_model):
        model, _, _, size = key.split()
        dynamic = done["speed"].get(key)
        beside = f"{dynamic['fps']:.0f}" if dynamic else "-"
        yield f"| `{model}` | {size} | {row['runtime']} | {row['fps']:.0f} | {beside} |"


def _by_model(item: tuple[str, Row]) -> tuple[int, str, int, str]:
    """The order of the catalogue, further networks last; smaller sizes first."""
    model, _, device, size = item[0].split()
    names = list(catalogue.shipped())
    return names.index(model) if model in names else len(names), model, int(size.partition("x")[0]), device


def _cameras(done: Parts, card: Card) -> Iterator[str]:
    yield from _table(
        "Cameras of 25 pictures a second that one card carries",
        "With coefficients at hand, and with JPEGs at hand, whose coefficients the CPU reads meanwhile.",
        "network | size | runtime | coefficients at hand | JPEGs at hand",
    )
    for key, row in sorted(done["cameras"].items(), key=_by_model):
        model, _, _, size = key.split()
        yield f"| `{model}` | {size} | {row['runtime']} | {row['inference']:.0f} | {row['whole']:.0f} |"


def _parity(done: Parts, card: Card) -> Iterator[str]:
    groups: dict[tuple[str, str], list[tuple[str, Row]]] = defaultdict(list)
    for key, row in done["parity"].items():
        file, _, _, precision = key.split()
        groups[row["runtime"], precision].append((file, row))
    yield from _table(
        "The same as on the CPU",
        "Each graph beside its float32 form in ONNX Runtime on the CPU. Targets: in fp32 no sample is further off\n"
        f"than 1, and no picture loses more than {MOST_LOSS_DB} dB in either.",
        "runtime | graphs | largest difference of a sample | most PSNR lost, dB | target",
    )
    for (runtime, precision), graphs in sorted(groups.items()):
        planes = [row for _, row in graphs if "loss_db" in row]
        most = max((row["most"] for row in planes), default=0.0)
        loss = max((row["loss_db"] for row in planes), default=0.0)
        bad = [file for file, row in graphs if not _agrees(row, precision)]
        verdict = f"MISSED by {', '.join(bad)}" if bad else "reached"
        yield f"| {runtime} | {len(graphs)} | {most:.0f} | {loss:+.3f} | {verdict} |"


def _agrees(row: Row, precision: str) -> bool:
    """Within 1 of a sample in fp32, within 0.02 dB in fp16."""
    if "loss_db" not in row:  # a context, which is no picture
        return row["most"] < (1e-3 if precision == "fp32" else 0.05)
    return row["most"] <= MOST_OFF.get(precision, 255) and row["loss_db"] <= MOST_LOSS_DB


def _not_run(absent: dict[str, str | None], parts: Parts) -> Iterator[str]:
    lines = [f"* {device}: {reason}" for device, reason in sorted(absent.items()) if reason]
    errors = Counter(
        (key.split()[2], row["error"]) for rows in parts.values() for key, row in rows.items() if "error" in row
    )
    for (device, error), count in sorted(errors.items()):
        lines.append(f"* {device}, {count} measurement{'s' if count > 1 else ''}: {error}")
    if lines:
        yield from ("", "### Not run", "", *lines)
