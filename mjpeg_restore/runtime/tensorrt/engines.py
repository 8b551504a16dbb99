"""Engines for the graphs of the catalogue: out of the cache, or built and kept there."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import Blend, Precision, Progress, wrap_errors
from mjpeg_restore.runtime.rewriting import for_tensorrt
from mjpeg_restore.runtime.tensorrt.builder import Built, Plan, build
from mjpeg_restore.runtime.tensorrt.cache import CacheKey, EngineCache
from mjpeg_restore.runtime.tensorrt.package import Package, Target, written
from mjpeg_restore.runtime.tensorrt.profile import DYNAMIC, Profile
from mjpeg_restore.runtime.weights import blended


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """Which engine."""

    graph: GraphFile
    package: Package
    target: Target
    precision: Precision = "fp16"
    profile: Profile = DYNAMIC
    blend: Blend | None = None
    """Weights to mix with the graph's own."""

    @property
    def name(self) -> str:
        """The graph's: "stream.colour", "acme-models/soft.grey"."""
        return self.graph.label.removesuffix(".onnx")


class Engine(NamedTuple):
    """A serialised engine."""

    content: bytes
    key: CacheKey
    """Of its file: `EngineCache.remove` it if TensorRT does not load it, and ask again."""
    built: bool
    """Whether it was built now, and not found."""


def engine(request: EngineRequest, cache: EngineCache, progress: Progress) -> Engine:
    """Find an engine in the cache, or build it.

    Args:
        request: which one.
        cache: where it is looked for, and kept.
        progress: called while it is built, here or by another process. Its exception ends that, and is raised here.

    Raises:
        RuntimeUnavailable: it cannot be built; see `builder.build`.
        MissingExtra: the package `onnx` is not installed.
        ModelCorrupt: the graph's file is missing or altered.
    """
    package, target = request.package, request.target
    if package.edition.portable:
        package.kind_of(target.capability)
    elif target.gpu is None:
        raise RuntimeUnavailable(f"{package.name} builds only for the GPUs of this machine, and there is none")
    graph = request.graph.path().read_bytes()
    with wrap_errors(f"{package.name} does not take {request.name}"):  # it may be anybody's
        if request.blend:
            graph = blended(graph, request.blend)
        graph = for_tensorrt(graph, half=request.precision == "fp16", extra=package.edition.device)
    key, timing = _engine_key(request, hashlib.sha256(graph).hexdigest()), _timing_key(package, target)

    def keep(built: Built) -> None:
        if built.timing:
            cache.write(timing, built.timing)
        if built.engine:
            cache.write(key, built.engine)

    def made() -> bytes:
        plan = Plan(request.name, graph, request.graph.inputs, request.profile, target)
        before = b"" if package.edition.portable else cache.read(timing) or b""
        made = build(plan, package, progress, before, keep)  # so that the next call need not begin anew
        if made.timing:
            cache.write(timing, made.timing)
        return made.engine

    content, built = cache.get(key, made, partial(progress, f"another process builds {request.name}", 0.0))
    return Engine(content, key, built)


def _engine_key(request: EngineRequest, digest: str) -> CacheKey:
    """The key of an engine.

    The digest is that of the very graph that is built: it changes with the model's file, with a blend, and with the way
    in which graphs are rewritten.
    """
    device = _device_key(request.package, request.target)
    name = request.name.replace("/", "-")
    file = f"{name}-{digest[:12]}-{device.file}-{request.precision}-{request.profile.label}.engine"
    about = {"graph": request.name, "sha256": digest, "precision": request.precision, "profile": str(request.profile)}
    return CacheKey(file, about | device.about)


def _timing_key(package: Package, target: Target) -> CacheKey:
    """The key of what was measured while engines were built."""
    device = _device_key(package, target)
    return CacheKey(f"{device.file}.timing", device.about)


def _device_key(package: Package, target: Target) -> CacheKey:
    """What an engine depends on besides its graph: the package, and the GPU or what it has in common with others."""
    capability = written(target.capability)
    file = f"{package.edition.short}-{package.version}-sm{capability.replace('.', '')}"
    about = {"package": package.edition.device, "version": package.version, "capability": capability}
    if not package.edition.portable:
        gpu = target.gpu or ""
        file += "-" + re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
        about["gpu"] = gpu
    return CacheKey(file, about)
