"""GStreamer as Python sees it, through PyGObject. It has no types: its names are `Any`."""

from __future__ import annotations

import importlib
from typing import Any

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.gstreamer.unwinding import prefer_libgcc


def _load(name: str) -> Any:
    """A library's introspected module.

    Raises:
        RuntimeUnavailable: PyGObject or the library's typelib is not installed.
    """
    try:
        gi: Any = importlib.import_module("gi")
        gi.require_version(name, "1.0")
        return importlib.import_module(f"gi.repository.{name}")
    except (ImportError, ValueError) as error:  # ValueError: no such typelib
        raise RuntimeUnavailable(
            f"the GStreamer element needs PyGObject and {name}: on Debian, apt install python3-gst-1.0 "
            "gir1.2-gst-plugins-base-1.0, in an environment that sees the system's packages"
        ) from error


prefer_libgcc()
Gst = _load("Gst")
GstVideo = _load("GstVideo")
GLib = importlib.import_module("gi.repository.GLib")
GObject = importlib.import_module("gi.repository.GObject")
