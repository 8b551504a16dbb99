"""`mjpeg-restore models`: the networks, shipped or of other packages, what they cost and what they gain."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from mjpeg_restore.catalogue import Model, models, packages, training_time
from mjpeg_restore.cli.streams import warn, write

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
    others = packages()
    known = models(others)
    if options.json:
        write(json.dumps({name: model.as_dict() for name, model in known.items()}, indent=2), sys.stdout)
    else:
        write("\n".join([*(line for model in known.values() for line in described(model)), LEGEND]), sys.stdout)
    for package in others:
        if package.fault:
            warn(package.fault, "warning")
    return 0


def described(model: Model) -> Iterator[str]:
    """The lines of one model."""
    yield f"{model.name}: {model.summary}"
    yield f"    {model.parameters:,} parameters, {model.macs_per_pixel / 1000:.2f} kMAC per pixel at 4:2:0"
    if model.full_chroma:
        yield "    colour at full resolution, which PNG, y4m and FFV1 keep; lossy video has the camera's subsampling"
    if model.takes("noise"):
        yield "    one of many possible pictures: --seed and --candidates"
    yield from _measured(model.quality) if model.quality else ["    no gain is stated"]
    for variant in model.variants:
        times = {kind: training_time(record) for kind, record in variant.training.items()}
        if len(set(times.values())) > 1:
            yield from (f"    {variant.name}, {kind}: trained for {time}" for kind, time in times.items())
        elif times:
            yield f"    {variant.name}: trained for {next(iter(times.values()))}"
        elif variant.qualities:
            yield f"    {variant.name}"
    if model.texture:
        yield "    --texture blends in invented texture" + _trained(model.texture.get("training"))
        yield from _measured(model.texture.get("quality", {}))


def _trained(record: dict[str, Any] | None) -> str:
    """The end of a sentence about weights; nothing if their training is not known."""
    if not record:
        return ""
    return f", trained for {training_time(record)}" + (f" ({record['loss']})" if "loss" in record else "")


def _measured(quality: dict[str, Any]) -> Iterator[str]:
    """A table for each data set, a column for each quality."""
    for data, rows in quality.items():
        yield f"    {data:13}" + "".join(f"{f'Q{q}':>7}" for q in rows)
        for title, figure, form in FIGURES:
            found = [row.get(figure) for row in rows.values()]
            if any(value is not None for value in found):
                cells = ["-" if value is None else format(value, form) for value in found]
                yield f"    {title:13}" + "".join(f"{cell:>7}" for cell in cells)
