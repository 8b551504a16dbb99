"""What the tests of engines share: graphs of the catalogue, and a package that builds without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.runtime.tensorrt.engines import EngineRequest
from mjpeg_restore.runtime.tensorrt.package import Target, load_package

ADA = Target((8, 9))


def shipped() -> Iterator[GraphFile]:
    """The shipped graphs that run on GPUs."""
    for model in catalogue.shipped().values():
        for variant in model.variants:
            yield from variant.graphs.values()


def graph(name: str) -> GraphFile:
    """By the name of its file, without the suffix."""
    return next(graph for graph in shipped() if graph.file == f"{name}.onnx")


def request(name: str = "decode.grey", target: Target = ADA) -> EngineRequest:
    return EngineRequest(graph(name), load_package("tensorrt-rtx"), target)


def ignore(what: str, share: float) -> None:
    """Progress that nobody watches."""


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
