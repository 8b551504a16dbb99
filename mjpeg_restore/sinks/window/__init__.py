"""A window that shows before and after: what it shows, when, with which figures, and OpenCV's part of it.

* `sink`: the sink, where frames, time stamps, keys and mouse meet.
* `canvas`: the newest frame on the screen, as the user wants to see it.
* `view`: what is shown of a frame, in pure functions.
* `clock`: when a picture of a recording is due.
* `meter`: the figures in the corner.
* `screen`: OpenCV's window; nothing else knows OpenCV.
* `display`: whether there is a display at all.
"""

from mjpeg_restore.sinks.window.sink import Window
from mjpeg_restore.sinks.window.view import KEYS

__all__ = ["KEYS", "Window"]
