"""One libxcb for PyAV and OpenCV. It has to be imported before PyAV, and therefore before the rest of the package.

PyAV's wheels for Linux bring a libxcb and its helpers (libxcb-shm and others), for FFmpeg's screen grabber. The
wheels of OpenCV bring Qt and the helpers, but no libxcb. Where the helpers have the same names in both, the loader
gives PyAV's to Qt, which then speaks to the X server through two libxcb at once, and blocks when it opens a window;
so does `cv2.imshow` in a program that uses this package. (PyAV's issues 978 and 1050, OpenCV's 29195.) If the
system's libxcb is loaded before PyAV, with its symbols visible to all, it serves both.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from importlib.util import find_spec


def share() -> bool:
    """Load the system's libxcb for all that come later, where OpenCV is installed.

    Returns:
        False where PyAV was imported before, without OpenCV before it: the helpers are PyAV's then.
    """
    loaded = [name for name in sys.modules if name in ("av", "cv2")]  # in the order in which they were imported
    if sys.platform == "linux" and (loaded or find_spec("cv2")):
        with suppress(OSError):  # no libxcb, and so no X
            ctypes.CDLL("libxcb.so.1", ctypes.RTLD_GLOBAL)
    return loaded[:1] != ["av"]


in_time = share()
"""What `share` returned."""
