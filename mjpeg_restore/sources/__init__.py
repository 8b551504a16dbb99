"""Where packets come from: `open_source` opens files, folders, pipes and buffers; `BaseSource` is for your own."""

from mjpeg_restore.sources.base import BaseSource, LiveStatus, Source, SourceInfo, TrackInfo
from mjpeg_restore.sources.choice import SoundChoice
from mjpeg_restore.sources.live.settings import LiveSettings, RtspTransport
from mjpeg_restore.sources.opening import Spec, open_source
from mjpeg_restore.sources.pacing import Paced
from mjpeg_restore.sources.timing import parse_rate

__all__ = [
    "BaseSource",
    "LiveSettings",
    "LiveStatus",
    "Paced",
    "RtspTransport",
    "SoundChoice",
    "Source",
    "SourceInfo",
    "Spec",
    "TrackInfo",
    "open_source",
    "parse_rate",
]
