"""`mjpeg-restore build`: engines of TensorRT, built ahead of their first use."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile, Model
from mjpeg_restore.cli.exit_codes import exit_code
from mjpeg_restore.cli.progress import Preparing
from mjpeg_restore.cli.streams import logged, warn, write
from mjpeg_restore.cli.wording import option, worded
from mjpeg_restore.errors import RuntimeUnavailable, SinkError
from mjpeg_restore.runtime import Precision
from mjpeg_restore.runtime.cuda import gpus
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.engines import EngineRequest, engine
from mjpeg_restore.runtime.tensorrt.package import (
    EDITIONS,
    Capability,
    Package,
    Target,
    is_installed,
    load_package,
    written,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one engine."""

    graph: str
    device: str
    target: str
    """The GPU, or the compute capability."""
    file: str | None = None
    bytes: int = 0
    built: bool = False
    """Whether it was built now, and not there already."""
    seconds: float = 0.0
    error: str | None = None
    """Why there is none."""

    def __str__(self) -> str:
        how = f"built in {self.seconds:.1f} s" if self.built else "was there"
        return f"{self.graph}, {self.target}: {self.bytes / 1e6:.1f} MB, {how}"


def command(options: argparse.Namespace) -> int:
    """Build the engines of some models, or of all; the result is the exit code."""
    models = [catalogue.find(name) for name in options.models]
    return build_models(models or [*catalogue.models().values()], options, "fp16")


def build_models(models: Sequence[Model], options: argparse.Namespace, precision: Precision) -> int:
    """Build the engines of some models, and say so; the result is the exit code.

    Args:
        models: whose graphs are built.
        options: those of `arguments.add_build_options`.
        precision: of the networks.
    """
    requests = [
        EngineRequest(graph, package, target, precision)
        for package, target in _targets(options.device, options.compute_capability or ())
        for graph in graphs_of(models)
    ]
    outcomes: list[Outcome] = []
    with logged(logging.WARNING):
        for outcome in build_engines(requests, EngineCache(options.engine_cache), Preparing(quiet=options.quiet)):
            outcomes.append(outcome)
            if outcome.error:
                warn(outcome.error, "error")
            elif not (options.quiet or options.json):
                write(str(outcome), sys.stdout)
    if options.json:
        write(json.dumps([asdict(outcome) for outcome in outcomes], indent=2), sys.stdout)
    return exit_code(RuntimeUnavailable) if any(outcome.error for outcome in outcomes) else 0


def build_engines(requests: Iterable[EngineRequest], cache: EngineCache, watch: Preparing) -> Iterator[Outcome]:
    """Build engines, one after the other. One that cannot be built does not keep the others from it.

    Raises:
        SinkError: an engine could not be kept.
    """
    for request in requests:
        capability = f"compute capability {written(request.target.capability)}"
        who = (request.name, request.package.edition.device, request.target.gpu or capability)
        began = time.monotonic()
        try:
            made = engine(request, cache, watch)
        except RuntimeUnavailable as error:
            yield Outcome(*who, error=worded(error))
            continue
        file = cache.folder / made.key.file
        if not file.is_file():  # a warning has said why
            raise SinkError(f"{request.name} was built, and could not be kept in {cache.folder}")
        yield Outcome(*who, str(file), len(made.content), made.built, round(time.monotonic() - began, 2))


def graphs_of(models: Iterable[Model]) -> Iterator[GraphFile]:
    """All graphs of some models."""
    for model in models:
        for variant in model.variants:
            yield from variant.graphs.values()


def _targets(device: str | None, capabilities: Sequence[Capability]) -> list[tuple[Package, Target]]:
    """What is built, and by which package: that of a device, else all that are installed and can.

    Raises:
        RuntimeUnavailable: none can.
    """
    devices = [device] if device else [edition.device for edition in EDITIONS if is_installed(edition)]
    if not devices:
        raise RuntimeUnavailable(
            "engines are built by TensorRT: pip install tensorrt (the extra mjpeg-restore[tensorrt]), or tensorrt-rtx "
            "for RTX cards and to build on a machine without a GPU (mjpeg-restore[tensorrt-rtx])"
        )
    found: list[tuple[Package, Target]] = []
    errors: list[RuntimeUnavailable] = []
    for name in devices:
        try:
            package = load_package(name)
            found += [(package, target) for target in _targets_of(package, capabilities)]
        except RuntimeUnavailable as error:
            errors.append(error)
    if not found:
        raise errors[-1]  # the package for RTX can do more without a GPU, and says what
    return found


def _targets_of(package: Package, capabilities: Sequence[Capability]) -> list[Target]:
    """What a package builds for: the compute capabilities, or the GPUs of this machine."""
    if package.edition.portable and capabilities:
        targets = [Target(capability) for capability in capabilities]
    else:
        targets = [package.target(gpu) for gpu in gpus() if not capabilities or gpu.capability in capabilities]
    if not targets and package.edition.portable:
        known = ", ".join(map(written, package.capabilities))
        raise RuntimeUnavailable(f"no GPU is here to build for: name its {option('compute_capability')} ({known})")
    if not targets:
        which = " of this compute capability" if capabilities else ""
        raise RuntimeUnavailable(f"{package.name} builds only for the GPUs of this machine, and there is none{which}")
    if package.edition.portable:
        for target in targets:
            package.kind_of(target.capability)
    return [*{(target.capability, target.gpu): target for target in targets}.values()]  # each kind of GPU once
