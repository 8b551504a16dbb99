"""`mjpeg-restore doctor`: what is here, what each network would run on, and what to install."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.cli.streams import write
from mjpeg_restore.cli.versions import installed, versions
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MissingExtra, MjpegRestoreError, RuntimeUnavailable
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime.cuda import gpu_present
from mjpeg_restore.runtime.devices import RUNTIMES, Runtime
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.package import EDITIONS
from mjpeg_restore.sinks import usable_encoders

BUILDERS = tuple(edition.device for edition in EDITIONS)
"""Runtimes that build engines."""

NOTHING_RUNS = 4
"""The exit code where no runtime works, as of `RuntimeUnavailable`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A runtime as it was found."""

    name: str
    title: str
    version: str | None
    """None if its package is not installed."""
    runs_on: str | None
    """Its devices in words; None if it does not work here."""
    advice: str = ""
    """Why it does not, or how to install it."""

    def __str__(self) -> str:
        if self.version is None:
            return f"{self.title}: not installed; {self.advice}"
        return f"{self.title} {self.version}: {self.runs_on or self.advice}"


def command(options: argparse.Namespace) -> int:
    """Look around and say what there is; the result is the exit code."""
    runtimes = [_look_at(runtime) for runtime in RUNTIMES]
    models = {name: _runs_on(model, runtimes) for name, model in catalogue.models().items()}
    encoders = usable_encoders()
    cache = EngineCache(options.engine_cache)
    engines = [*cache.entries()]
    if options.json:
        found = {
            "versions": [*versions(), _system()],
            "runtimes": [asdict(runtime) for runtime in runtimes],
            "gpu": gpu_present(),
            "models": models,
            "encoders": encoders,
            "engine_cache": str(cache.folder),
            "engines": [{"file": one.path.name, "bytes": one.size, **one.about} for one in engines],
        }
        write(json.dumps(found, indent=2), sys.stdout)
    else:
        size = sum(one.size for one in engines) / 1e6
        lines = [
            *versions(),
            _system(),
            *_listed("runtimes", map(str, runtimes)),
            "NVIDIA GPU: " + ("yes" if gpu_present() else "none that CUDA could use"),
            *_listed("models, on the device auto", (f"{name}: {where}" for name, where in models.items())),
            *_listed("video encoders", (f"{codec}: {', '.join(names) or 'none'}" for codec, names in encoders.items())),
            f"engines of TensorRT in {cache.folder}: {len(engines)}, {size:.0f} MB",
            *(f"    {one.path.name}" for one in engines),
            *_advice(runtimes),
        ]
        write("\n".join(lines), sys.stdout)
    return 0 if any(runtime.runs_on for runtime in runtimes) else NOTHING_RUNS


def _system() -> str:
    return f"system: Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def _listed(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"    {line}" for line in lines)


def _look_at(runtime: Runtime) -> Finding:
    """Import a runtime, and see what it finds."""
    version = next(filter(None, map(installed, runtime.packages)), None)
    try:
        return Finding(runtime.name, runtime.title, version or "", runtime.check())
    except MissingExtra as error:
        if version is None:
            how = f'pip install "mjpeg-restore[{runtime.extra}]"'
            return Finding(runtime.name, runtime.title, None, None, how)
        return Finding(runtime.name, runtime.title, version, None, worded(error))
    except RuntimeUnavailable as error:
        return Finding(runtime.name, runtime.title, version or "", None, error.message)


def _runs_on(model: Model, runtimes: list[Finding]) -> str:
    """What restores a colour picture by a model, in words. No engine is built to find that out."""
    builders = [one for one in runtimes if one.name in BUILDERS and one.runs_on]
    if gpu_present() and builders and model.name != catalogue.DECODE:
        return f"{builders[0].title} {builders[0].version}, {builders[0].runs_on}"
    graphs = model.variants[0].graphs
    try:
        return Restorer(model).network(graphs["grey" if model.per_component else "colour"]).name
    except MjpegRestoreError as error:
        return f"nothing: {worded(error)}"


def _advice(runtimes: list[Finding]) -> Iterator[str]:
    """What to install for more speed."""
    working = {finding.name for finding in runtimes if finding.runs_on}
    if gpu_present() and not working.intersection(BUILDERS):
        yield 'advice: pip install "mjpeg-restore[tensorrt-rtx]" (RTX cards) or "mjpeg-restore[tensorrt]" uses the GPU'
    if "openvino" not in working and platform.machine() in ("x86_64", "AMD64"):
        yield 'advice: pip install "mjpeg-restore[openvino]" is faster on this CPU'
