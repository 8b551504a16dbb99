"""Whether a window can be opened. The Qt in OpenCV's wheels for Linux ends or blocks the process where it cannot."""

from __future__ import annotations

import ctypes
import os
from importlib.util import find_spec
from pathlib import Path

from mjpeg_restore import libxcb


def why_none(package: Path) -> str | None:
    """Why no window can be opened, in words; None where one probably can.

    Only an OpenCV with a Qt of its own is judged, as in the wheels for Linux: others raise errors that can be caught.

    Args:
        package: the folder of OpenCV's package.
    """
    plugins = {path.stem.removeprefix("libq") for path in package.glob("qt/plugins/platforms/libq*.so")}
    if not plugins:
        return None
    wanted = [name.partition(":")[0] for name in (os.environ.get("QT_QPA_PLATFORM") or "xcb").split(";")]
    if plugins.isdisjoint(wanted):
        return f"OpenCV's Qt knows no platform {', '.join(wanted)}, but {', '.join(plugins)}: unset QT_QPA_PLATFORM"
    if "xcb" in wanted and not _connects():
        display = os.environ.get("DISPLAY")
        return f"the display {display} does not answer" if display else "there is no display (DISPLAY is not set)"
    if not libxcb.in_time and _clashes(package):
        return "PyAV was imported before mjpeg_restore, and OpenCV's Qt would block: import cv2 or mjpeg_restore first"
    return None


def _connects() -> bool:
    """Whether the X server that DISPLAY names answers; also True where that cannot be found out."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True
    xcb.xcb_connect.restype = ctypes.c_void_p
    xcb.xcb_connection_has_error.argtypes = xcb.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = xcb.xcb_connect(None, None)
    try:
        return not xcb.xcb_connection_has_error(connection)
    finally:
        xcb.xcb_disconnect(connection)


def _clashes(package: Path) -> bool:
    """Whether OpenCV's wheel brings libraries around libxcb that have the same names in PyAV's."""
    av = find_spec("av")
    own = {path.name for path in package.parent.glob("opencv*.libs/libxcb-*")}
    return bool(av and av.origin and own & {path.name for path in Path(av.origin).parents[1].glob("av.libs/libxcb-*")})
