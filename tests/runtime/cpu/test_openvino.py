from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


@needs_openvino
@pytest.mark.parametrize("before", ["", "import openvino_telemetry; "])
def test_nothing_is_reported_to_the_makers_of_openvino(before: str, tmp_path: Path) -> None:
    package = tmp_path / "openvino_telemetry"
    (package / "backend").mkdir(parents=True)
    (package / "__init__.py").write_text("class Telemetry:\n    def __init__(self, **_):\n        print('reported')\n")
    (package / "backend" / "__init__.py").touch()
    (package / "backend" / "backend_ga4.py").touch()
    code = (
        f"{before}import sys; import mjpeg_restore.runtime.cpu.openvino as ours\n"
        "print(ours.ov.Core().available_devices, 'openvino_telemetry' in sys.modules)\n"
        "import openvino_telemetry; openvino_telemetry.Telemetry()"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    devices, *others = ran.stdout.splitlines()
    assert "'CPU'" in devices and devices.endswith(str(bool(before)))
    assert others == ["reported"]  # by the test itself, for which the package is as it was


@needs_openvino
@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of the process")
def test_memory_does_not_grow_with_each_size() -> None:
    code = """
from pathlib import Path
from mjpeg_restore import Restorer, restore
from tests.jpeg.pictures import encode

restorer, pages = Restorer("stream-lite", "openvino", threads=1), []
for width in range(16, 256, 16):
    for height in range(16, 112, 16):
        restore(encode("4:2:0", (width, height)), restorer)
    pages.append(int(Path("/proc/self/statm").read_text().split()[1]))
print(pages[4], pages[9], pages[14])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    early, later, last = (int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in ran.stdout.split())
    assert last - later < 30 * 2**20, (early, later, last)  # of 30 sizes; each took more than 2 MB


@needs_openvino
def test_an_application_may_keep_telemetry_from_being_loaded() -> None:
    code = (
        "import sys; sys.modules['openvino_telemetry'] = None; import mjpeg_restore.runtime.cpu.openvino\n"
        "print(sys.modules['openvino_telemetry'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "None\n"
