"""Cameras in a browser: a page, MJPEG, snapshots, JSON and metrics over HTTP.

A run writes to a `WebSink`, which keeps the newest frame alone and never waits. A `ServedCamera` joins it with the
run's `Report`. `mjpeg_restore.serve.server.Server` serves cameras from a thread of its own; it needs the extra `serve`.

    with Server([camera := ServedCamera("door", Report())]) as server:
        print(server.url)
        run(source, restorer, camera.sink, report=camera.report)
"""

from mjpeg_restore.serve.access import Access
from mjpeg_restore.serve.camera import ServedCamera, stall_of, without_folders
from mjpeg_restore.serve.sink import WebSink

__all__ = ["Access", "ServedCamera", "WebSink", "stall_of", "without_folders"]
