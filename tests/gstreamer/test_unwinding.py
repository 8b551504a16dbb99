"""C++ exceptions beside GStreamer, which loads libunwind: whatever is imported first, nothing aborts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.gstreamer.conftest import ROOT
from tests.lacking import gstreamer_python
from tests.streams import still

GSTREAMER = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst"
ELEMENT = "from mjpeg_restore.gstreamer.element import register; register()"
# OpenVINO throws and catches exceptions of its own while it loads a network for one stream.
RESTORE = """
import sys
from mjpeg_restore import Restorer
from mjpeg_restore.jpeg import read
stream = Restorer(streams=1).stream()
for path in sys.argv[1:]:
    stream.restore(read(open(path, "rb").read()))
"""


@pytest.mark.slow
@pytest.mark.parametrize("imports", [[ELEMENT], [GSTREAMER, ELEMENT]])
def test_a_network_is_loaded_beside_gstreamer(environment: dict[str, str], imports: list[str], tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(still(number))
    done = run([*imports, RESTORE], environment, *paths)
    assert done.returncode == 0, done.stderr


def test_an_order_that_would_abort_is_refused(environment: dict[str, str]) -> None:
    done = run(["import numpy", GSTREAMER, ELEMENT], environment)
    last = done.stderr.splitlines()[-1] if done.stderr else ""
    # Where GStreamer was built without libunwind, every order is right.
    assert done.returncode == 0 or "GStreamer was loaded after NumPy" in last


def run(lines: list[str], environment: dict[str, str], *paths: Path) -> subprocess.CompletedProcess[str]:
    command = [gstreamer_python(environment), "-c", "\n".join(lines), *map(str, paths)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
