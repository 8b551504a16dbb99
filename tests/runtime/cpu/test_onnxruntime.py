from __future__ import annotations

import pytest

from mjpeg_restore import catalogue
from tests.agreement import ROUNDED, difference, plain_decode
from tests.lacking import needs
from tests.runtime.graphs import NETWORKS, open_device, picture, run


@pytest.mark.parametrize("model", NETWORKS)
def test_onnx_runtime_computes_the_network_in_pytorch(model: str) -> None:
    torch = needs("torch")
    needs("onnx")
    from mjpeg_restore.models.graph import Graph, load_weights
    from mjpeg_restore.models.stream import STREAM, STREAM_LITE, Stream

    network = Stream({"stream": STREAM, "stream-lite": STREAM_LITE}[model]).eval()
    load_weights(network, catalogue.find(model).variants[0].graphs["colour"].path())
    coded = picture(quality=20)
    with torch.no_grad():
        expected = Graph(network)(*map(torch.from_numpy, coded))
    ours = run(open_device(model, "onnxruntime"), coded)
    assert difference(ours, [plane.numpy() for plane in expected], plain_decode(coded)) <= ROUNDED
