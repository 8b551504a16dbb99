"""What the catalogue says of a model: its networks, their files, cost and measured quality."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mjpeg_restore.catalogue.ports import Port, PortKind
from mjpeg_restore.errors import ModelCorrupt, reason_of

OURS = "mjpeg-restore"
"""The package that the shipped models are in."""

MAX_QUALITY_DISTANCE = 10
"""Distance in IJG quality from the training range within which a network still does well."""


@dataclass(frozen=True, slots=True)
class GraphFile:
    """An ONNX graph under the contract of `models/graph.py`."""

    file: str
    sha256: str
    inputs: tuple[Port, ...]
    """In the graph's order, and so are the outputs."""
    outputs: tuple[Port, ...]
    folder: Path
    package: str = OURS
    """The installed package that it is in."""

    @property
    def full_chroma(self) -> bool:
        """Whether it gives Cb and Cr at luma's size, whatever their sampling in the stream."""
        return any(port.component != port.grid for port in self.outputs if port.kind == "samples")

    @property
    def has_state(self) -> bool:
        """Whether it restores a frame with what is remembered of those before it."""
        return any(port.kind == "mean" for port in self.inputs)

    @property
    def label(self) -> str:
        """For messages: "stream.colour.onnx"; of another package "acme-models/soft.grey.onnx"."""
        return self.file if self.package == OURS else f"{self.package}/{self.file}"

    def path(self) -> Path:
        """The path of the file, its checksum verified.

        Raises:
            ModelCorrupt: it is missing, or is not the one that the manifest describes.
        """
        return verified(self.folder, self.file, self.sha256, self.package)

    def check_names(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Compare the names of the tensors that a runtime finds in the file with those of the ports.

        Raises:
            ModelCorrupt: they are others, or in another order.
        """
        for side, found, ports in (("inputs", inputs, self.inputs), ("outputs", outputs, self.outputs)):
            if (named := [port.name for port in ports]) != [*found]:
                raise ModelCorrupt(f"{self.label}: its {side} are {', '.join(found)}, not {', '.join(named)}")

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
    """What is shipped or installed under one name."""

    name: str
    """"stream"; of another package "acme-models/soft"."""
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
    """The figures that `scripts/evaluate.py` measured, by data set and quality; empty where nobody did."""
    variants: tuple[Variant, ...]
    projected: bool = False
    """Whether every restored coefficient lies in its quantisation cell, and so quantises back to the file's."""
    per_component: bool = False
    """Whether one single-channel graph, "grey", runs on Y, Cb and Cr independently."""
    texture: dict[str, Any] | None = None
    """File, checksum, training record and figures of the texture weights; None where there are none."""

    @property
    def has_state(self) -> bool:
        """Whether it restores a frame with what is remembered of those before it."""
        return self.variants[0].graphs["grey"].has_state

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.variants[0].graphs["grey"].folder

    @property
    def package(self) -> str:
        """The installed package that its files are in."""
        return self.variants[0].graphs["grey"].package

    @property
    def files(self) -> list[str]:
        """The names of its files."""
        graphs = [graph.file for variant in self.variants for graph in variant.graphs.values()]
        return [*graphs, *([self.texture["file"]] if self.texture else [])]

    def takes(self, kind: PortKind) -> bool:
        """Whether its graphs have an input of that kind."""
        return any(port.kind == kind for graph in self.variants[0].graphs.values() for port in graph.inputs)

    @property
    def full_chroma(self) -> bool:
        """Whether its colour graphs give Cb and Cr at luma's size; either all of them do, or none."""
        return any(graph.full_chroma for graph in self.variants[0].graphs.values())

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
    """Duration and machines of a training with its earlier stages: "8.22 h on a CPU core and 0.38 h on ...".

    Args:
        record: `hours` since the first stage began, `device`, `threads` of a CPU, and the stage `before`, if any.
    """
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


def verified(folder: Path, file: str, sha256: str, package: str = OURS) -> Path:
    """The path of a file of the manifest, its checksum verified.

    Args:
        folder: of the manifest.
        file: its name.
        sha256: its checksum, in hexadecimal.
        package: the installed package that it is in.

    Raises:
        ModelCorrupt: it is missing, or is not the one that the manifest describes.
    """
    path = folder / file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelCorrupt(f"{path}: {reason_of(error)}; reinstall {package}") from error
    if found != sha256:
        raise ModelCorrupt(f"{path}: not the file that the manifest describes; reinstall {package}")
    return path
