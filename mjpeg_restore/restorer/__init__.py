"""CodedPicture to Picture: a model's graphs, on pictures of any size and sampling."""

from mjpeg_restore.restorer.restorer import Restorer
from mjpeg_restore.restorer.stream import RestorerStream

__all__ = ["Restorer", "RestorerStream"]
