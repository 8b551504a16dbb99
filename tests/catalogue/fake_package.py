"""A package with a model, as it lies in a folder where Python looks for packages: right, or as a test wants it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from mjpeg_restore import catalogue

ENTRY_POINT = "[mjpeg_restore.models]\nmodels = acme_models\n"
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"


def entry() -> dict[str, Any]:
    """An entry of the manifest whose graphs are the plain decode's."""
    model = catalogue.find("decode")
    graphs = {kind: graph.as_dict() for kind, graph in model.variants[0].graphs.items()}
    return {
        "summary": "decodes",
        "parameters": 9,
        "macs_per_pixel": 96.5,
        "margin": 1,
        "bytes_per_pixel": 64,
        "variants": [{"graphs": graphs}],
    }


def manifest() -> dict[str, Any]:
    """A manifest of one model, "plain"."""
    return {"schema": 1, "models": {"plain": entry()}}


def fill(folder: Path, content: Any) -> Path:
    """Make a folder of a manifest, JSON or text or bytes, and of the graphs of `entry`; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for graph in catalogue.find("decode").variants[0].graphs.values():
        shutil.copy(graph.path(), folder)
    if isinstance(content, bytes):
        (folder / "manifest.json").write_bytes(content)
    else:
        (folder / "manifest.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def install(place: Path, name: str = "acme-models", version: str = "1.2", points: str | bytes = ENTRY_POINT) -> Path:
    """Make the metadata of a package, which Python finds if it looks for packages in `place`; the metadata's folder."""
    folder = place / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(METADATA.format(name, version))
    (folder / "entry_points.txt").write_bytes(points if isinstance(points, bytes) else points.encode())
    return folder
