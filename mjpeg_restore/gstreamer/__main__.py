"""Prints the folder for GStreamer's plugin path: export GST_PLUGIN_PATH=$(python -m mjpeg_restore.gstreamer)."""

import sys

from mjpeg_restore.gstreamer import PLUGIN_PATH

if __name__ == "__main__":
    sys.stdout.write(f"{PLUGIN_PATH}\n")
