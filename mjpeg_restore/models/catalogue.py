"""The networks that are shipped: what `engines/manifest.json` says of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mjpeg_restore.errors import ModelCorrupt, UnknownModel

DEFAULT = "stream"


@dataclass(frozen=True, slots=True)
class Model:
    """One shipped network."""

    name: str
    summary: str
    """One sentence."""
    parameters: int
    macs_per_pixel: float
    """Multiply-accumulates for one luma pixel of a 4:2:0 picture, chroma included."""
    quality: dict[str, Any]
    """What `scripts/evaluate.py` measured, by data set."""
    training: dict[str, Any]
    """How it was trained; empty for `decode`."""
    folder: Path
    graphs: dict[str, dict[str, str]]

    def as_dict(self) -> dict[str, Any]:
        """For `mjpeg-restore models --json`."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "folder"}

    def describe(self) -> list[str]:
        """For people, in lines."""
        lines = [f"{self.name}: {self.summary}"]
        lines.append(f"    {self.parameters:,} parameters, {self.macs_per_pixel / 1000:.2f} kMAC per pixel at 4:2:0")
        for data, by_quality in self.quality.items():
            gains = ", ".join(
                f"Q{quality} {row['luma_gain']:+.2f} dB luma, {row['rgb_gain']:+.2f} RGB"
                for quality, row in by_quality.items()
            )
            lines.append(f"    {data}: {gains}")
        if self.training:
            lines.append(f"    trained for {self.training['hours']} h on {self.training['hardware']}")
        return lines

    def graph(self, *, colour: bool) -> Path:
        """The ONNX file for grey or for colour pictures, its checksum verified.

        Raises:
            ModelCorrupt: the file is missing, or is not the one that the manifest describes.
        """
        entry = self.graphs["colour" if colour else "gray"]
        path = self.folder / entry["file"]
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
        return {name: Model(name=name, folder=folder, **entry) for name, entry in entries.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelCorrupt(f"{folder / 'manifest.json'}: {error}; reinstall mjpeg-restore") from error


def find(name: str) -> Model:
    """The network of that name.

    Raises:
        UnknownModel: there is none.
    """
    try:
        return models()[name]
    except KeyError:
        raise UnknownModel(f"no model {name!r}; there are {', '.join(models())}") from None
