"""The plugin: GStreamer's loader of Python plugins imports each file in a folder `python` of its plugin path."""

import platform
import sys
from pathlib import Path

# The system's Python, which the loader runs, knows nothing of the environment in which this package is installed.
sys.path.append(str(Path(__file__).parents[3]))

try:
    from mjpeg_restore.gstreamer.bindings import Gst
    from mjpeg_restore.gstreamer.element import NAME, MjpegRestore
except Exception as error:  # the loader would print a traceback
    reason = next(filter(None, str(error).splitlines()), type(error).__name__)
    python = f"Python {platform.python_version()}, which GStreamer runs"
    sys.stderr.write(f"mjpegrestore: {python}, cannot import it ({reason}): install mjpeg-restore with that Python\n")
else:
    __gstelementfactory__ = (NAME, Gst.Rank.NONE, MjpegRestore)
