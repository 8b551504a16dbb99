"""The networks that are shipped: what `engines/manifest.json` says of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from mjpeg_restore.errors import ModelCorrupt, UnknownModel

DEFAULT = "stream"
DECODE = "decode"
"""The model without a network."""

FAR = 10
"""Qualities beyond those that it was trained for, at which a network may still do well."""

FIGURES = (
    ("luma gain, dB", "luma_gain", "+.2f"),
    ("RGB gain, dB", "rgb_gain", "+.2f"),
    ("unnatural", "unnatural", ".1f"),
)
"""Of a model's `quality`, those for people: title, name, format."""

LEGEND = """\
Gains are over the plain decode, luma's of grey JPEGs and RGB's of 4:2:0. "unnatural" is how far luma's scene statistics
are from the originals', 0 for the same: it sees what PSNR does not see of blur and invented texture."""
"""What the figures mean that `Model.describe` gives."""

Extra = Literal["noise", "context"]


def called(qualities: tuple[int, int] | None) -> str:
    """Qualities, first and last, in words: "Q10", "Q10-60" or "all qualities"."""
    if qualities is None:
        return "all qualities"
    first, last = qualities
    return f"Q{first}" if first == last else f"Q{first}-{last}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One network of a model: a model may have one for all pictures, or one for each range of qualities."""

    qualities: tuple[int, int] | None
    """The IJG qualities that it was trained for, first and last; None for all."""
    training: dict[str, Any]
    """How each of its graphs was trained; empty for `decode`."""
    graphs: dict[str, dict[str, str]]
    """File and checksum: "grey" and "colour", and "grey.context" and "colour.context" of a model with a context.
    "grey" alone of a model that is `per_component`, and of an ablation."""
    folder: Path

    @property
    def name(self) -> str:
        """For people: "Q10", "Q10-60" or "all qualities"."""
        return called(self.qualities)

    def file(self, kind: str) -> Path:
        """One of `graphs`, its checksum verified.

        Raises:
            ModelCorrupt: the file is missing, or is not the one that the manifest describes.
        """
        return verified(self.folder, self.graphs[kind])

    def distance(self, quality: int) -> tuple[int, int]:
        """Sort key, smaller is better: distance of an IJG quality from the range, then the width of the range."""
        first, last = self.qualities or (1, 100)
        return max(first - quality, quality - last, 0), last - first


@dataclass(frozen=True, slots=True)
class Model:
    """What is shipped under one name."""

    name: str
    summary: str
    """One sentence."""
    parameters: int
    """Of one variant."""
    macs_per_pixel: float
    """Multiply-accumulates for one luma pixel of a 4:2:0 picture, chroma included."""
    margin: int
    """How many blocks beside its own a restored block can depend on, in every component."""
    bytes_per_pixel: float
    """Memory that a restoration takes for a luma pixel, about."""
    quality: dict[str, Any]
    """What `scripts/evaluate.py` measured, by data set."""
    variants: tuple[Variant, ...]
    projected: bool = False
    """Whether every restored coefficient lies in its quantisation cell: quantised again, it is the file's."""
    per_component: bool = False
    """Whether one single-channel graph, "grey", runs on Y, Cb and Cr independently."""
    extra: Extra | None = None
    """What its graphs take besides the picture: see `models/graph.py`."""
    texture: dict[str, Any] | None = None
    """File and checksum of the weights that `texture` blends in, how they were trained, and what was measured."""

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.variants[0].folder

    def variant(self, quality: int) -> Variant:
        """The network that suits an IJG quality best."""
        return min(self.variants, key=lambda variant: variant.distance(quality))

    def suits(self, quality: int) -> bool:
        """Whether a network was trained for an IJG quality, or one near it."""
        return self.variant(quality).distance(quality)[0] <= FAR

    def as_dict(self) -> dict[str, Any]:
        """For `mjpeg-restore models --json`."""
        entry = {field.name: getattr(self, field.name) for field in fields(self)}
        entry["variants"] = [
            {field.name: getattr(v, field.name) for field in fields(v) if field.name != "folder"} for v in self.variants
        ]
        return entry

    def describe(self) -> list[str]:
        """For people, in lines."""
        lines = [f"{self.name}: {self.summary}"]
        lines.append(f"    {self.parameters:,} parameters, {self.macs_per_pixel / 1000:.2f} kMAC per pixel at 4:2:0")
        if self.extra == "noise":
            lines.append("    one of many possible pictures: --seed and --candidates")
        lines += _measured(self.quality)
        for variant in self.variants:
            times = {kind: training_time(record) for kind, record in variant.training.items()}
            if len(set(times.values())) > 1:
                lines += [f"    {variant.name}, {kind}: trained for {time}" for kind, time in times.items()]
            elif times:
                lines.append(f"    {variant.name}: trained for {times['grey']}")
        if self.texture:
            record = self.texture["training"]
            lines.append(
                f"    --texture blends in invented texture, trained for {training_time(record)} ({record['loss']})"
            )
            lines += _measured(self.texture.get("quality", {}))
        return lines


def _measured(quality: dict[str, Any]) -> list[str]:
    """A table for each data set, a column for each quality."""
    lines: list[str] = []
    for data, rows in quality.items():
        lines.append(f"    {data:13}" + "".join(f"{f'Q{q}':>7}" for q in rows))
        for title, figure, form in FIGURES:
            cells = ["-" if row[figure] is None else format(row[figure], form) for row in rows.values()]
            lines.append(f"    {title:13}" + "".join(f"{cell:>7}" for cell in cells))
    return lines


def training_time(record: dict[str, Any]) -> str:
    """How long a training took on what, the stages before it too: "8.22 h on a CPU core and 0.38 h on ..."."""
    stages = [record]
    while before := stages[-1].get("before"):
        stages.append(before)
    hours: dict[str, float] = {}
    spent = 0.0
    for stage in reversed(stages):
        machine = stage["device"]
        if machine == "CPU":
            machine = "a CPU core" if stage["threads"] == 1 else f"{stage['threads']} CPU cores"
        hours[machine] = hours.get(machine, 0.0) + stage["hours"] - spent
        spent = stage["hours"]
    return " and ".join(f"{spent:.2f} h on {machine}" for machine, spent in hours.items())


def verified(folder: Path, entry: dict[str, Any]) -> Path:
    """A file of the manifest.

    Raises:
        ModelCorrupt: it is missing, or is not the one that the manifest describes.
    """
    path = folder / entry["file"]
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelCorrupt(f"{path}: {error.strerror}; reinstall mjpeg-restore") from error
    if found != entry["sha256"]:
        raise ModelCorrupt(f"{path}: not the file that the manifest describes; reinstall mjpeg-restore")
    return path


def engines() -> Path:
    """The folder of the shipped graphs and their manifest: inside an installed package, beside it in a checkout."""
    package = Path(str(files("mjpeg_restore")))
    installed = package / "engines"
    return installed if installed.is_dir() else package.parent / "engines"


@cache
def models(folder: Path | None = None) -> dict[str, Model]:
    """Every shipped network by name, in the manifest's order.

    Raises:
        ModelCorrupt: the manifest is missing or unreadable.
    """
    folder = folder or engines()
    try:
        entries = json.loads((folder / "manifest.json").read_text())["models"]
        return {name: _model(name, folder, entry) for name, entry in entries.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelCorrupt(f"{folder / 'manifest.json'}: {error}; reinstall mjpeg-restore") from error


def _model(name: str, folder: Path, entry: dict[str, Any]) -> Model:
    variants = tuple(
        Variant(tuple(v["qualities"]) if v["qualities"] else None, v["training"], v["graphs"], folder)
        for v in entry.pop("variants")
    )
    return Model(name=name, variants=variants, **entry)


def find(name: str) -> Model:
    """The network of that name.

    Raises:
        UnknownModel: there is none.
    """
    try:
        return models()[name]
    except KeyError:
        raise UnknownModel(f"no model {name!r}; there are {', '.join(models())}") from None
