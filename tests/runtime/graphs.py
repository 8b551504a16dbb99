"""Shipped graphs in each runtime, and pictures for them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import GraphFile, Port
from mjpeg_restore.futures import INLINE
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer.arrays import components
from mjpeg_restore.runtime import Inputs, Network, Planes, open_network
from tests.agreement import ROUNDED, assert_same, difference, plain_decode
from tests.jpeg.pictures import encode
from tests.lacking import needs

NETWORKS = ["stream", "stream-lite"]

DEVICES = ["onnxruntime", "openvino"]


def open_device(model: str, device: str, *, colour: bool = True, streams: int = 1) -> Network:
    if device == "openvino":
        needs("openvino")
    graphs = catalogue.find(model).variants[0].graphs
    return open_network(graphs["colour" if colour else "grey"], device, 2, streams)


def shipped(model: str, kind: str = "colour") -> GraphFile:
    """The first graph of a model."""
    return catalogue.find(model).variants[0].graphs[kind]


def graph_file(path: Path) -> GraphFile:
    """A file that is in no catalogue, with the names of its ports alone; those of `decode` where it is no graph."""
    data = path.read_bytes()
    try:
        graph = needs("onnx").load_model_from_string(data).graph
    except DecodeError:
        return replace(shipped("decode"), file=path.name, sha256=hashlib.sha256(data).hexdigest(), folder=path.parent)
    inputs, outputs = (tuple(Port(one.name, "", ()) for one in side) for side in (graph.input, graph.output))
    return GraphFile(path.name, hashlib.sha256(data).hexdigest(), inputs, outputs, path.parent)


def run(network: Network, inputs: Inputs) -> Planes:
    """Restore one picture in a session of its own."""
    session = network.session(INLINE)
    planes = session.submit(inputs).result()
    session.close()
    return planes


def picture(sampling: str = "4:2:0", size: tuple[int, int] = (96, 64), seed: int = 0, quality: int = 40) -> Inputs:
    return components(read(encode(sampling, size, seed, quality=quality)))


def with_three_tables(inputs: Inputs) -> Inputs:
    """The same picture with another table for Cr than for Cb (Q2)."""
    return [*inputs[:5], inputs[5] + np.uint16(9)] if len(inputs) == 6 else inputs


def assert_agree(ours: Planes, theirs: Planes, coded: Inputs, runtime: Network, share: float = ROUNDED) -> None:
    """Check that two runs, one of them in `runtime`, agree within its precision."""
    if runtime.name.endswith(", CPU, f32"):  # neither int8 nor bf16
        assert_same(ours, theirs)
    else:
        assert difference(ours, theirs, plain_decode(coded)) <= share
