"""Models of other packages, found by their entry points in the group `mjpeg_restore.models`.

The value of an entry point is the name of a package, "acme_models" or "acme.models", whose folder holds a manifest and
the files that it names. The package is looked up and not imported: none of its code runs. docs/models.md says how one
is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distribution, distributions
from importlib.util import find_spec
from pathlib import Path

from mjpeg_restore.catalogue.manifest import FILE, read_manifest
from mjpeg_restore.catalogue.model import Model
from mjpeg_restore.errors import ModelCorrupt, UnknownModel, reason_of

GROUP = "mjpeg_restore.models"


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """An installed package that brings models."""

    name: str
    """In lower case, with hyphens: "acme-models"."""
    version: str
    models: dict[str, Model]
    """By their whole names, "acme-models/soft"; empty if it is faulty."""
    fault: str | None = None
    """Why none of its models can be used, in one line that names the package."""


def packages() -> list[ModelPackage]:
    """All installed packages that bring models, the faulty ones too, by name."""
    names = {canonical(found.name) for found in distributions() if _mentions_models(found)}
    return [package for name in sorted(names) if (package := _package(name))]


def find_in_package(package: str, name: str) -> Model:
    """A model of another package.

    Args:
        package: its name, in any spelling that installers take for the same.
        name: of the model, without the package's.

    Raises:
        UnknownModel: the package is not installed, or brings no such model.
        ModelCorrupt: the package is faulty.
    """
    found = _package(canonical(package))
    if not found:
        raise UnknownModel(f"no model {f'{package}/{name}'!r}: no package {package!r} is installed that brings models")
    if found.fault:
        raise ModelCorrupt(found.fault)
    whole = f"{found.name}/{name}"
    if whole not in found.models:
        raise UnknownModel(f"no model {whole!r}; that package brings {', '.join(found.models) or 'none'}")
    return found.models[whole]


def canonical(name: str) -> str:
    """A package's name in the one spelling that stands for all: "Acme_Models" and "acme.models" are "acme-models"."""
    return re.sub("[-_.]+", "-", name).lower()


def _mentions_models(found: Distribution) -> bool:
    """Whether a package may have an entry point in the group. One that is damaged may be anybody's, and has none."""
    try:
        return GROUP in (found.read_text("entry_points.txt") or "") and bool(found.name)
    except Exception:  # importlib.metadata's are of many types
        return False


def _package(name: str) -> ModelPackage | None:
    """The package of that canonical name; None if it is not installed, or brings no models.

    If it is installed twice, it is the one that Python would import.
    """
    try:
        found = distribution(name)
        named, version = found.name, found.version
    except Exception:  # it is not there, or damaged
        return None
    try:
        points = _entry_points(found)
        return ModelPackage(name, version, _models(name, points)) if named and points else None
    except (ModelCorrupt, ValueError, OSError) as error:
        why = f"{error.filename}: {reason_of(error)}" if isinstance(error, OSError) else str(error)
        return ModelPackage(name, version, {}, f"the package {name} {version} cannot be used: {why}")


def _entry_points(found: Distribution) -> list[EntryPoint]:
    try:
        return sorted(found.entry_points.select(group=GROUP), key=lambda point: point.name)
    except Exception:  # a line without "=" is a TypeError, for example
        raise ValueError("its entry_points.txt is malformed") from None


def _models(package: str, points: Iterable[EntryPoint]) -> dict[str, Model]:
    """The models of a package by their whole names.

    Raises:
        ModelCorrupt: a manifest is missing or malformed.
        ValueError: something else is wrong, in words.
        OSError: a folder may not be looked at.
    """
    found: dict[str, Model] = {}
    for point in points:
        folder = _folder(point)
        for name, model in read_manifest(folder, package).items():
            if name in found:
                raise ValueError(f"two of its models are called {name}")
            if missing := [file for file in model.files if not (folder / file).is_file()]:
                raise ValueError(f"{folder / missing[0]} is missing, which the manifest names")
            found[name] = model
    return found


def _folder(point: EntryPoint) -> Path:
    """The folder of the package that an entry point names.

    Raises:
        ValueError: there is no such package, or it has no manifest.
        OSError: a folder may not be looked at.
    """
    if not re.fullmatch(r"\w+(\.\w+)*", point.value):
        raise ValueError(f"its entry point {point.name!r} is {point.value!r}, not the name of a package")
    top, *rest = point.value.split(".")  # find_spec would import `top` to look for the rest
    try:
        spec = find_spec(top)
    except Exception:  # whatever an import hook raises; a module without a spec is a ValueError
        spec = None
    folders = [Path(place, *rest) for place in (spec and spec.submodule_search_locations) or ()]
    if not folders:
        raise ValueError(f"its entry point {point.name!r} names {top!r}, and there is no package of that name")
    for folder in folders:
        if (folder / FILE).is_file():
            return folder
    raise ValueError(f"{folders[0]} has no {FILE}")
