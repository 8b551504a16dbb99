from __future__ import annotations

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime import open_network
from mjpeg_restore.runtime.cpu import projection
from mjpeg_restore.runtime.loading import Loader
from tests.agreement import FINE, ROUNDED
from tests.lacking import needs, needs_native_projection, needs_openvino
from tests.runtime.graphs import DEVICES, NETWORKS, assert_agree, open_device, picture, run, with_three_tables


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.usefixtures("without_bf16")
def test_both_runtimes_give_the_same_without_bf16(model: str) -> None:
    one, other = (open_device(model, device) for device in DEVICES)
    assert other.name.endswith(", int8 and f32")
    for quality, share in [(5, ROUNDED), (40, ROUNDED), (90, FINE)]:
        coded = with_three_tables(picture(quality=quality))
        assert_agree(run(other, coded), run(one, coded), coded, other, share)


@needs_native_projection
@needs_openvino
@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_the_tail_of_the_graph_agrees_with_the_native_extension(
    model: str, colour: bool, bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not bf16:
        monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.has_bf16", lambda *_: False)
    native = open_device(model, "openvino", colour=colour)
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.native", None)
    monkeypatch.setattr(projection, "native", None)
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())  # the same network would be shared
    without = open_device(model, "openvino", colour=colour)
    assert native.name == without.name
    coded = with_three_tables(picture("4:2:0" if colour else "gray"))
    planes = run(without, coded)
    monkeypatch.undo()
    assert_agree(run(native, coded), planes, coded, native)


def test_the_error_for_a_missing_openvino_device_lists_the_present_ones() -> None:
    needs("openvino")
    with pytest.raises(RuntimeUnavailable, match=r"OpenVINO has no device 'NPU\.7' here, only .*CPU"):
        open_network(catalogue.find("decode").variants[0].graphs["colour"], "openvino:NPU.7")
