"""A real RTSP server for the tests: GStreamer's, through its C library, in a process of its own.

    python -m cameras.gstreamer "( videotestsrc is-live=true ! ... ! rtpjpegpay name=pay0 pt=26 )"

    python -m cameras.gstreamer --record "( rtph264depay name=depay0 ! ... ! filesink location=... )"

It serves the pipeline at /video, or with --record takes a stream that is published there. It prints its port, and ends
with its standard input.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import threading

LIBRARIES = ("gstreamer-1.0", "gstrtspserver-1.0", "glib-2.0")


def available() -> bool:
    """Whether the libraries are installed."""
    return all(map(ctypes.util.find_library, LIBRARIES))


_RECORD = 2
"""GST_RTSP_TRANSPORT_MODE_RECORD."""


def main(pipeline: str, *, record: bool = False) -> None:
    """Serve `pipeline`, in the syntax of gst-launch, or let it record, until standard input is closed."""
    gst, server_library, glib = (ctypes.CDLL(ctypes.util.find_library(name) or "") for name in LIBRARIES)

    def made(function: ctypes._NamedFuncPointer, *arguments: object) -> ctypes.c_void_p:
        function.restype = ctypes.c_void_p
        return ctypes.c_void_p(function(*arguments))

    gst.gst_init(None, None)
    server = made(server_library.gst_rtsp_server_new)
    server_library.gst_rtsp_server_set_address(server, b"127.0.0.1")
    server_library.gst_rtsp_server_set_service(server, b"0")
    factory = made(server_library.gst_rtsp_media_factory_new)
    server_library.gst_rtsp_media_factory_set_launch(factory, pipeline.encode())
    if record:
        server_library.gst_rtsp_media_factory_set_transport_mode(factory, _RECORD)
    mounts = made(server_library.gst_rtsp_server_get_mount_points, server)
    server_library.gst_rtsp_mount_points_add_factory(mounts, b"/video", factory)
    server_library.gst_rtsp_server_attach(server, None)
    threading.Thread(target=_end_with_input, daemon=True).start()
    print(server_library.gst_rtsp_server_get_bound_port(server), flush=True)
    glib.g_main_loop_run(made(glib.g_main_loop_new, None, 0))


def _end_with_input() -> None:
    os.read(0, 1)
    os._exit(0)  # the main loop knows nothing of Python


if __name__ == "__main__":
    main(sys.argv[-1], record="--record" in sys.argv)
