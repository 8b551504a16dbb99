"""Where pictures go: files, folders, pipes, servers, virtual cameras, a window.

`open_sink` chooses the sink by the target's name. A sink of your own implements `Sink`; `BaseSink` has defaults for
everything but `write`.
"""

from mjpeg_restore.sinks.base import BaseSink, OutputSettings, PixelFormat, SegmentLimit, Sink
from mjpeg_restore.sinks.comparing import Comparing
from mjpeg_restore.sinks.hls import Hls
from mjpeg_restore.sinks.naming import Target, following, joined, within
from mjpeg_restore.sinks.opening import effective_settings, open_sink
from mjpeg_restore.sinks.push import Push
from mjpeg_restore.sinks.raw import RawStream
from mjpeg_restore.sinks.segments import Segments
from mjpeg_restore.sinks.stills import Still, Stills
from mjpeg_restore.sinks.target import held_open
from mjpeg_restore.sinks.usable import usable_encoders
from mjpeg_restore.sinks.v4l2 import V4l2Device
from mjpeg_restore.sinks.video import VideoFile, choose_format
from mjpeg_restore.sinks.window import Window
from mjpeg_restore.sinks.y4m import Y4mStream

__all__ = [
    "BaseSink",
    "Comparing",
    "Hls",
    "OutputSettings",
    "PixelFormat",
    "Push",
    "RawStream",
    "SegmentLimit",
    "Segments",
    "Sink",
    "Still",
    "Stills",
    "Target",
    "V4l2Device",
    "VideoFile",
    "Window",
    "Y4mStream",
    "choose_format",
    "effective_settings",
    "following",
    "held_open",
    "joined",
    "open_sink",
    "usable_encoders",
    "within",
]
