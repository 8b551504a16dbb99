"""The catalogue of shipped networks, read from `engines/manifest.json`."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from mjpeg_restore.errors import ModelCorrupt, UnknownModel, reason_of

DEFAULT = "stream"
DECODE = "decode"
"""The model without a network."""

MAX_QUALITY_DISTANCE = 10
"""Distance in IJG quality from the training range within which a network still does well."""

COMPONENTS = ("y", "cb", "cr")
"""The components' names in the names of ports."""

PortKind = Literal["coefficients", "table", "noise", "context", "samples"]

DTYPES = ("int16", "uint16", "uint8", "float32")
"""Types of the arrays of ports."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph; `models/graph.py` states what each kind holds."""

    name: str
    """Of the tensor: "y.coefficients", "cb.table", "noise", "context", "y"."""
    dtype: str
    """The array's type: "int16"."""
    shape: tuple[str | int, ...]
    """An integer, or entries for each block of a component's grid: "y.high", "8*cb.wide"."""

    @property
    def kind(self) -> PortKind:
        """The meaning of the values."""
        component, _, kind = self.name.rpartition(".")
        kind = "samples" if not component and kind in COMPONENTS else kind
        if kind not in get_args(PortKind):
            raise ValueError(f"{self.name} is no port of a graph")
        return kind  # pyright: ignore[reportReturnType]

    @property
    def component(self) -> int:
        """Index of the component whose grid of blocks the values follow, or to which they belong."""
        for extent in (self.name, *self.shape):
            name = str(extent).rpartition("*")[2].partition(".")[0]
            if name in COMPONENTS:
                return COMPONENTS.index(name)
        raise ValueError(f"{self.name} belongs to no component")

    @property
    def per_block(self) -> int | None:
        """Entries for each block, down and across; None if the values belong to the whole picture."""
        if isinstance(self.shape[0], int):
            return None
        return int(self.shape[0].rpartition("*")[0] or 1)

    @classmethod
    def parse(cls, name: str, text: str) -> Port:
        """A port as the manifest has it: `"y.coefficients": "int16 [y.high, y.wide, 64]"`."""
        found = re.fullmatch(r"(\w+) \[(.+)\]", text)
        if not found or found[1] not in DTYPES:
            raise ValueError(f"port {name}: {text!r}")
        port = cls(name, found[1], tuple(int(n) if n.isdecimal() else n for n in found[2].split(", ")))
        if port.kind != "context":
            _ = port.component, port.per_block  # checked
        return port

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class GraphFile:
    """An ONNX graph under the contract of `models/graph.py`."""

    file: str
    sha256: str
    inputs: tuple[Port, ...]
    """In the graph's order, and so are the outputs."""
    outputs: tuple[Port, ...]
    folder: Path

    def path(self) -> Path:
        """The path of the file, its checksum verified.

        Raises:
            ModelCorrupt: it is missing, or is not the one that the manifest describes.
        """
        return verified(self.folder, self.file, self.sha256)

    @classmethod
    def parse(cls, folder: Path, entry: dict[str, Any]) -> GraphFile:
        """A graph as the manifest has it."""
        inputs, outputs = (
            tuple(Port.parse(name, text) for name, text in entry[side].items()) for side in ("inputs", "outputs")
        )
        taken, given = ({port.kind for port in ports} for ports in (inputs, outputs))
        if (
            not inputs
            or inputs[0].kind != "coefficients"
            or "samples" in taken
            or given not in ({"samples"}, {"context"})
        ):
            raise ValueError(f"ports of {entry['file']}: coefficients go in first, and samples or a context come out")
        if Path(entry["file"]).name != entry["file"]:
            raise ValueError(f"{entry['file']} is not in the manifest's folder")
        return cls(entry["file"], entry["sha256"], inputs, outputs, folder)

    def as_dict(self) -> dict[str, Any]:
        """The manifest's entry."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        ports = {side: {port.name: str(port) for port in some} for side, some in sides.items()}
        return {"file": self.file, "sha256": self.sha256, **ports}


def quality_label(qualities: tuple[int, int] | None) -> str:
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
    """The training record of each graph; empty for `decode`."""
    graphs: dict[str, GraphFile]
    """"grey" and "colour", and "grey.context" and "colour.context" of a model with a context. "grey" alone of a model
    that is `per_component`, and of an ablation."""

    @property
    def name(self) -> str:
        """For people: "Q10", "Q10-60" or "all qualities"."""
        return quality_label(self.qualities)

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
    """Number of parameters of one variant."""
    macs_per_pixel: float
    """Multiply-accumulates for one luma pixel of a 4:2:0 picture, chroma included."""
    margin: int
    """Receptive field: blocks on each side that a restored block depends on, in every component."""
    bytes_per_pixel: float
    """Approximate memory of a restoration for each luma pixel."""
    quality: dict[str, Any]
    """The figures that `scripts/evaluate.py` measured, by data set and quality."""
    variants: tuple[Variant, ...]
    projected: bool = False
    """Whether every restored coefficient lies in its quantisation cell, and so quantises back to the file's."""
    per_component: bool = False
    """Whether one single-channel graph, "grey", runs on Y, Cb and Cr independently."""
    texture: dict[str, Any] | None = None
    """File, checksum, training record and figures of the texture weights; None where there are none."""

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return next(iter(self.variants[0].graphs.values())).folder

    def takes(self, kind: PortKind) -> bool:
        """Whether its graphs have an input of that kind."""
        return any(port.kind == kind for graph in self.variants[0].graphs.values() for port in graph.inputs)

    def variant(self, quality: int) -> Variant:
        """The network that suits an IJG quality best."""
        return min(self.variants, key=lambda variant: variant.distance(quality))

    def suits(self, quality: int) -> bool:
        """Whether a network was trained for an IJG quality, or one near it."""
        return self.variant(quality).distance(quality)[0] <= MAX_QUALITY_DISTANCE

    def as_dict(self) -> dict[str, Any]:
        """The whole as JSON's types."""
        entry = {field.name: getattr(self, field.name) for field in fields(self)}
        entry["variants"] = [
            {
                "qualities": variant.qualities,
                "training": variant.training,
                "graphs": {kind: graph.as_dict() for kind, graph in variant.graphs.items()},
            }
            for variant in self.variants
        ]
        return entry


def training_time(record: dict[str, Any]) -> str:
    """Duration and machines of a training with its earlier stages: "8.22 h on a CPU core and 0.38 h on ..."."""
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


def verified(folder: Path, file: str, sha256: str) -> Path:
    """The path of a file of the manifest, its checksum verified.

    Raises:
        ModelCorrupt: it is missing, or is not the one that the manifest describes.
    """
    path = folder / file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelCorrupt(f"{path}: {reason_of(error)}; reinstall mjpeg-restore") from error
    if found != sha256:
        raise ModelCorrupt(f"{path}: not the file that the manifest describes; reinstall mjpeg-restore")
    return path


def shipped_folder() -> Path:
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
    folder = folder or shipped_folder()
    try:
        entries = json.loads((folder / "manifest.json").read_text())["models"]
        return {name: _model(name, folder, entry) for name, entry in entries.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ModelCorrupt(f"{folder / 'manifest.json'}: {error}; reinstall mjpeg-restore") from error


def _model(name: str, folder: Path, entry: dict[str, Any]) -> Model:
    variants = tuple(
        Variant(
            _range(v["qualities"]) if v["qualities"] else None,
            v["training"],
            {kind: GraphFile.parse(folder, graph) for kind, graph in v["graphs"].items()},
        )
        for v in entry.pop("variants")
    )
    if not variants or not all("grey" in variant.graphs for variant in variants):
        raise ValueError(f"{name}: each of its variants needs a graph for grey pictures")
    model = Model(name=name, variants=variants, **entry)
    if model.margin < 0 or model.bytes_per_pixel <= 0:
        raise ValueError(f"{name}: margin {model.margin}, bytes_per_pixel {model.bytes_per_pixel}")
    return model


def _range(qualities: list[int]) -> tuple[int, int]:
    first, last = map(int, qualities)
    return first, last


def find(name: str) -> Model:
    """The network of that name.

    Raises:
        UnknownModel: there is none.
    """
    try:
        return models()[name]
    except KeyError:
        raise UnknownModel(f"no model {name!r}; there are {', '.join(models())}") from None
