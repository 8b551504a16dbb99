"""`mjpeg-restore doctor`: what is here, what each network would run on, and what to install."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model, ModelPackage
from mjpeg_restore.cli.exit_codes import exit_code
from mjpeg_restore.cli.streams import logged, write
from mjpeg_restore.cli.versions import installed, versions
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MissingExtra, MjpegRestoreError, RuntimeUnavailable
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime.base import wrap_errors
from mjpeg_restore.runtime.cuda import gpu_present, gpus
from mjpeg_restore.runtime.devices import RUNTIMES, Runtime
from mjpeg_restore.runtime.tensorrt.cache import EngineCache, Entry
from mjpeg_restore.runtime.tensorrt.package import EDITIONS
from mjpeg_restore.sinks import usable_encoders

BUILDERS = tuple(edition.device for edition in EDITIONS)
"""Runtimes that build engines."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A runtime as it was found."""

    name: str
    title: str
    version: str | None
    """None if it is not installed; empty if it is, by other means than a Python package."""
    runs_on: str | None
    """Its devices in words; None if it does not work here."""
    advice: str = ""
    """Why it does not, or how to install it."""

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.title}: not installed; {self.advice}"
        return f"{self.called}: {self.runs_on or self.advice}"

    @property
    def called(self) -> str:
        """Title and version: "OpenVINO 2026.4.1"."""
        return f"{self.title} {self.version or ''}".rstrip()


def command(options: argparse.Namespace) -> int:
    """Look around and say what there is; the result is the exit code."""
    packages = catalogue.packages()
    with logged(logging.ERROR):  # a warning of a GPU that is not used would say what is said anyway
        runtimes = [_look_at(runtime) for runtime in RUNTIMES]
        models = {name: _runs_on(model, runtimes) for name, model in catalogue.models(packages).items()}
        cards, encoders = _gpus(), usable_encoders()
    folder, engines = _engines(options.engine_cache)
    if options.json:
        found = {
            "versions": [*versions(), _system()],
            "runtimes": [asdict(runtime) for runtime in runtimes],
            "gpus": cards,
            "models": models,
            "model_packages": [_as_dict(package) for package in packages],
            "encoders": encoders,
            "engine_cache": folder,
            "engines": [{"file": one.path.name, "bytes": one.size, "about": one.about} for one in engines],
        }
        write(json.dumps(found, indent=2), sys.stdout)
    else:
        lines = [
            *versions(),
            _system(),
            *_listed("runtimes", map(str, runtimes)),
            *_listed("NVIDIA GPUs", cards or ["none"]),
            *_listed("models, on the device auto", (f"{name}: {where}" for name, where in models.items())),
            *(_listed("packages with models", map(_brings, packages)) if packages else ()),
            *_listed("video encoders", (f"{codec}: {', '.join(names) or 'none'}" for codec, names in encoders.items())),
            *_listed(f"engines of TensorRT in {folder}", map(_described, engines) if engines else ["none"]),
            *_advice(runtimes),
        ]
        write("\n".join(lines), sys.stdout)
    return 0 if any(runtime.runs_on for runtime in runtimes) else exit_code(RuntimeUnavailable)


def _system() -> str:
    return f"system: Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"    {line}" for line in lines)


def _look_at(runtime: Runtime) -> Finding:
    """Import a runtime, and see what it finds."""
    version = next(filter(None, map(installed, runtime.packages)), None)
    try:
        with wrap_errors("it does not work"):  # a broken library may raise anything
            return Finding(runtime.name, runtime.title, version or "", runtime.check())
    except MissingExtra as error:
        how = worded(error) if version else f'pip install "mjpeg-restore[{runtime.extra}]"'
        return Finding(runtime.name, runtime.title, version, None, how)
    except RuntimeUnavailable as error:
        return Finding(runtime.name, runtime.title, version or "", None, error.message)


def _gpus() -> list[str]:
    """The NVIDIA GPUs in words."""
    try:
        return [str(gpu) for gpu in gpus()]
    except RuntimeUnavailable as error:
        return [f"there is a driver, and it cannot be asked: {worded(error)}"]


def _runs_on(model: Model, runtimes: list[Finding]) -> str:
    """What restores a colour picture by a model, in words. No engine is built to find that out."""
    builders = [one for one in runtimes if one.name in BUILDERS and one.runs_on]
    if gpu_present() and builders and model.name != catalogue.DECODE:
        return f"{builders[0].called}, {builders[0].runs_on}"
    graphs = model.variants[0].graphs
    try:
        return Restorer(model).network(graphs.get("colour", graphs["grey"])).name
    except MjpegRestoreError as error:
        return f"nothing: {worded(error)}"


def _brings(package: ModelPackage) -> str:
    return package.fault or f"{package.name} {package.version}: {', '.join(package.models) or 'none'}"


def _as_dict(package: ModelPackage) -> dict[str, object]:
    found = {"name": package.name, "version": package.version, "models": [*package.models]}
    return {**found, "fault": package.fault}


def _engines(folder: Path | None) -> tuple[str, list[Entry]]:
    """The folder of engines, and what is in it; why there is none, if there is none."""
    try:
        cache = EngineCache(folder)
    except RuntimeUnavailable as error:
        return f"no folder ({worded(error)})", []
    return str(cache.folder), [*cache.entries()]


def _described(engine: Entry) -> str:
    return f"{engine.path.name}, {engine.size / 1e6:.1f} MB" + (
        "" if engine.about else ", damaged or of something else"
    )


def _advice(runtimes: list[Finding]) -> Iterator[str]:
    """What to install for more speed."""
    working = {finding.name for finding in runtimes if finding.runs_on}
    absent = {finding.name for finding in runtimes if finding.version is None}
    to_install = [f'"mjpeg-restore[{name}]"' for name in BUILDERS if name in absent]
    if gpu_present() and to_install and not working.intersection(BUILDERS):
        yield f"advice: to use the GPU, pip install {' (in data centres) or '.join(to_install)}"
    if "openvino" in absent and platform.machine() in ("x86_64", "AMD64"):
        yield 'advice: this CPU is faster with pip install "mjpeg-restore[openvino]"'
