"""`mjpeg-restore models`: the shipped networks, what they cost and what they gain."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from mjpeg_restore.catalogue import Model, models, training_time
from mjpeg_restore.cli.streams import write

FIGURES = (
    ("luma gain, dB", "luma_gain", "+.2f"),
    ("RGB gain, dB", "rgb_gain", "+.2f"),
    ("unnatural", "unnatural", ".1f"),
)
"""The rows of a table: title, key in a model's `quality`, format."""

LEGEND = """\
Gains are over the plain decode: luma's of grey JPEGs, RGB's of 4:2:0. "unnatural" is the distance of luma's scene
statistics from the originals', 0 for the same: it sees what PSNR does not see of blur and invented texture."""


def command(options: argparse.Namespace) -> int:
    """Print the catalogue; the result is the exit code."""
    shipped = models()
    if options.json:
        write(json.dumps({name: model.as_dict() for name, model in shipped.items()}, indent=2), sys.stdout)
    else:
        write("\n".join([*(line for model in shipped.values() for line in described(model)), LEGEND]), sys.stdout)
    return 0


def described(model: Model) -> Iterator[str]:
    """The lines of one model."""
    yield f"{model.name}: {model.summary}"
    yield f"    {model.parameters:,} parameters, {model.macs_per_pixel / 1000:.2f} kMAC per pixel at 4:2:0"
    if model.takes("noise"):
        yield "    one of many possible pictures: --seed and --candidates"
    yield from _measured(model.quality)
    for variant in model.variants:
        times = {kind: training_time(record) for kind, record in variant.training.items()}
        if len(set(times.values())) > 1:
            yield from (f"    {variant.name}, {kind}: trained for {time}" for kind, time in times.items())
        elif times:
            yield f"    {variant.name}: trained for {next(iter(times.values()))}"
    if model.texture:
        record = model.texture["training"]
        yield f"    --texture blends in invented texture, trained for {training_time(record)} ({record['loss']})"
        yield from _measured(model.texture.get("quality", {}))


def _measured(quality: dict[str, Any]) -> Iterator[str]:
    """A table for each data set, a column for each quality."""
    for data, rows in quality.items():
        yield f"    {data:13}" + "".join(f"{f'Q{q}':>7}" for q in rows)
        for title, figure, form in FIGURES:
            cells = ["-" if row[figure] is None else format(row[figure], form) for row in rows.values()]
            yield f"    {title:13}" + "".join(f"{cell:>7}" for cell in cells)
