"""From a graph of the catalogue to a network on a GPU: the engine is found or built, and loaded."""

from __future__ import annotations

from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.runtime.base import LoadSettings
from mjpeg_restore.runtime.cuda import Device, gpu_index
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.engines import EngineRequest, engine
from mjpeg_restore.runtime.tensorrt.network import EngineUnusable, TensorRtNetwork
from mjpeg_restore.runtime.tensorrt.package import load_package


def load(name: str, graph: GraphFile, settings: LoadSettings) -> TensorRtNetwork:
    """Load a graph by one of the two packages.

    Args:
        name: "tensorrt" or "tensorrt-rtx".
        graph: of the catalogue.
        settings: the detail is the GPU's index.

    Raises:
        MissingExtra: the package is not installed, or what it needs.
        RuntimeUnavailable: there is no such GPU, or the package refuses the GPU or the graph.
    """
    package = load_package(name)
    device = Device(gpu_index(settings.detail))
    request = EngineRequest(graph, package, package.target(device), settings.precision, blend=settings.blend)
    cache = EngineCache(settings.engine_cache)
    found = engine(request, cache, settings.progress)
    try:
        return TensorRtNetwork(package, device, graph, found.content, settings.precision)
    except EngineUnusable:
        if found.built or device.broken:  # nothing is loaded there any more, and the engine may be sound
            raise
    cache.remove(found.key)  # of another driver, for example: a new one is built
    found = engine(request, cache, settings.progress)
    return TensorRtNetwork(package, device, graph, found.content, settings.precision)


def check(name: str) -> str:
    """The first GPU, in words.

    Raises:
        MissingExtra: the package is not installed, or what it needs.
        RuntimeUnavailable: there is no GPU, or the package builds nothing for it.
    """
    package, device = load_package(name), Device()
    if package.edition.portable:
        package.kind_of(device.capability)
    return str(device)
