"""Keeps C++ exceptions working beside GStreamer.

GStreamer links libunwind, which has functions of the same names as libgcc. Where libstdc++ was loaded first, it throws
with libgcc, while libraries that are loaded after GStreamer unwind with libunwind: an exception that OpenVINO throws
and catches then ends the process. The first library that is global wins. So libgcc has to come before GStreamer, or
else everything that is written in C++ after it.
"""

from __future__ import annotations

import ctypes

from mjpeg_restore.errors import RuntimeUnavailable

_GCC, _UNWIND, _CPP = "libgcc_s.so.1", "libunwind.so", "libstdc++.so"


def prefer_libgcc() -> None:
    """Make libgcc global, unless GStreamer has come before.

    Raises:
        RuntimeUnavailable: GStreamer has come between libstdc++ and this call.
    """
    try:
        gcc = ctypes.CDLL(_GCC, ctypes.RTLD_GLOBAL)
    except OSError:  # not Linux, or not glibc: GStreamer has no libunwind there
        return
    if _address(gcc) == _address(ctypes.CDLL(None)):
        return
    unwind, cpp = (_place(name) for name in (_UNWIND, _CPP))
    if unwind > cpp >= 0:
        raise RuntimeUnavailable(
            "GStreamer was loaded after NumPy: import mjpeg_restore.gstreamer.element before gi.repository.Gst, "
            f"or set LD_PRELOAD={_GCC}"
        )


def _address(library: ctypes.CDLL) -> int | None:
    return ctypes.cast(library._Unwind_Resume, ctypes.c_void_p).value


class _Library(ctypes.Structure):
    """The first fields of `struct dl_phdr_info`."""

    _fields_ = (("address", ctypes.c_void_p), ("path", ctypes.c_char_p))


def _place(name: str) -> int:
    """The place of a shared library in the order of loading; -1 where it is not loaded."""
    paths: list[str] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    def note(library: int, _size: int, _data: int) -> int:
        paths.append((_Library.from_address(library).path or b"").decode())
        return 0

    ctypes.CDLL(None).dl_iterate_phdr(note, None)
    return next((place for place, path in enumerate(paths) if f"/{name}" in path), -1)
