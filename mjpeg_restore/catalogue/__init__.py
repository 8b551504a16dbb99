"""The catalogue of models: the shipped ones, `engines/manifest.json`, and those that installed packages bring.

ports.py         inputs and outputs of graphs, and the contract's forms of them
model.py         what is known of a model: its networks, files, cost and measured quality
json_object.py   objects of a JSON file that others wrote
manifest.py      the manifest of a folder of graphs
packages.py      models of other packages, by their entry points
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from mjpeg_restore.catalogue.manifest import parse_variant, read_manifest, write_manifest
from mjpeg_restore.catalogue.model import (
    MAX_QUALITY_DISTANCE,
    GraphFile,
    Model,
    Variant,
    quality_label,
    training_time,
    verified,
)
from mjpeg_restore.catalogue.packages import ModelPackage, find_in_package, packages
from mjpeg_restore.catalogue.ports import COMPONENTS, Port, PortKind
from mjpeg_restore.errors import UnknownModel

__all__ = [
    "COMPONENTS",
    "DECODE",
    "DEFAULT",
    "MAX_QUALITY_DISTANCE",
    "GraphFile",
    "Model",
    "ModelPackage",
    "Port",
    "PortKind",
    "Variant",
    "find",
    "models",
    "packages",
    "parse_variant",
    "quality_label",
    "read_manifest",
    "shipped",
    "shipped_folder",
    "training_time",
    "verified",
    "write_manifest",
]

DEFAULT = "stream"
DECODE = "decode"
"""The model without a network."""


def shipped_folder() -> Path:
    """The folder of the shipped graphs and their manifest: inside an installed package, beside it in a checkout."""
    package = Path(str(files("mjpeg_restore")))
    installed = package / "engines"
    return installed if installed.is_dir() else package.parent / "engines"


@cache
def shipped() -> dict[str, Model]:
    """Every shipped model by name, in the manifest's order.

    Raises:
        ModelCorrupt: the manifest is missing or malformed.
    """
    return read_manifest(shipped_folder())


def models(others: Iterable[ModelPackage] | None = None) -> dict[str, Model]:
    """Every model by name: the shipped ones, then those of other packages that are not faulty.

    Args:
        others: the other packages, where they have been looked for already.

    Raises:
        ModelCorrupt: the manifest of the shipped ones is missing or malformed.
    """
    others = packages() if others is None else others
    return shipped() | {name: model for package in others for name, model in package.models.items()}


def find(name: str) -> Model:
    """The model of that name; no other package is looked at than the one that it names.

    Args:
        name: "stream", or "acme-models/soft" of the package acme-models.

    Raises:
        UnknownModel: there is none.
        ModelCorrupt: the package that it names is faulty.
    """
    package, of_another, alone = name.partition("/")
    if of_another:
        return find_in_package(package, alone)
    try:
        return shipped()[name]
    except KeyError:
        raise UnknownModel(f"no model {name!r}; there are {', '.join(models())}") from None
