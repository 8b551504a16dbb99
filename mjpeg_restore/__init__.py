"""Restore Motion-JPEG from what the stream really holds: its quantised DCT coefficients.

picture = mjpeg_restore.restore(jpeg_bytes)
for picture in mjpeg_restore.open("cam.mjpeg"): ...
"""

import logging

# Before everything that imports PyAV.
import mjpeg_restore.libxcb  # noqa: F401  # pyright: ignore[reportUnusedImport]

# isort: split
from mjpeg_restore.api import Stream, open, restore
from mjpeg_restore.async_stream import AsyncStream, aopen
from mjpeg_restore.capture import VideoCapture
from mjpeg_restore.errors import (
    BadJpeg,
    ClusterError,
    ClusterLost,
    ConnectionFailed,
    Hint,
    JpegError,
    MissingExtra,
    MjpegRestoreError,
    ModelCorrupt,
    ModelError,
    NotMjpeg,
    OutputExists,
    RuntimeUnavailable,
    SettingsError,
    SinkError,
    SourceError,
    SourceNotFound,
    TooLarge,
    UnknownModel,
    UnsupportedJpeg,
    WorkerLost,
)
from mjpeg_restore.frames import CodedPicture, Colour, Damage, Frame, Packet, Picture, Sampling, SoundPacket
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.pipeline import PipelineSettings, restore_frames, restore_pictures, run
from mjpeg_restore.report import OutputReport, Report
from mjpeg_restore.restorer import Restorer, RestorerStream
from mjpeg_restore.sinks import BaseSink, OutputSettings, SegmentLimit, Sink, open_sink
from mjpeg_restore.sound import SoundTrack
from mjpeg_restore.sources import BaseSource, LiveSettings, LiveStatus, Source, SourceInfo, open_source
from mjpeg_restore.verification import Verification

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # the program decides what becomes of the log

__all__ = [
    "AsyncStream",
    "BadJpeg",
    "BaseSink",
    "BaseSource",
    "ClusterError",
    "ClusterLost",
    "CodedPicture",
    "Colour",
    "ConnectionFailed",
    "Damage",
    "Frame",
    "Hint",
    "JpegError",
    "LiveSettings",
    "LiveStatus",
    "MissingExtra",
    "MjpegRestoreError",
    "ModelCorrupt",
    "ModelError",
    "NotMjpeg",
    "Outlet",
    "OutputExists",
    "OutputReport",
    "OutputSettings",
    "Packet",
    "Picture",
    "PipelineSettings",
    "Report",
    "Restorer",
    "RestorerStream",
    "RuntimeUnavailable",
    "Sampling",
    "SegmentLimit",
    "SettingsError",
    "Sink",
    "SinkError",
    "SoundPacket",
    "SoundTrack",
    "Source",
    "SourceError",
    "SourceInfo",
    "SourceNotFound",
    "Stream",
    "TooLarge",
    "UnknownModel",
    "UnsupportedJpeg",
    "Verification",
    "VideoCapture",
    "WorkerLost",
    "aopen",
    "open",
    "open_sink",
    "open_source",
    "restore",
    "restore_frames",
    "restore_pictures",
    "run",
]


def __getattr__(name: str) -> object:
    if name == "Tally":  # until 0.3
        import warnings

        warnings.warn("mjpeg_restore.Tally is Report now", DeprecationWarning, stacklevel=2)
        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
