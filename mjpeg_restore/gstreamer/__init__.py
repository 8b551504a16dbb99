"""The GStreamer element `mjpegrestore`: image/jpeg in, restored raw video out; docs/gstreamer.md describes it.

    GstVideo.VideoDecoder -> element -> pushed -> stages of the pipeline
                             element -> output

`python/` is the folder in which GStreamer's loader of Python plugins looks.
"""

from pathlib import Path

PLUGIN_PATH = Path(__file__).parent
"""What GST_PLUGIN_PATH has to hold."""
