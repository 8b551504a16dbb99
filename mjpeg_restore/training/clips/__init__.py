"""Short clips with a known truth for networks that restore several frames: made on the fly from stills and recordings.

* `batches`: clips put together, each drawn for itself.
* `odds`: how often each thing happens.
* `timing`: dropped and frozen frames, and cuts.
* `motion`: paths of cameras and of objects, and the view of a picture along a path.
* `objects`: cut-outs of other pictures with soft edges and shadows.
* `light`: lighting that changes, mains flicker, auto-exposure.
* `noise`: a sensor's noise.
* `recordings`: real clips, and which of them are for validation alone.
"""

from mjpeg_restore.training.clips.batches import ClipBatch, Clips
from mjpeg_restore.training.clips.odds import Odds
from mjpeg_restore.training.clips.recordings import HELD_OUT_FIXED, HELD_OUT_MOVING, load_recording, load_recordings

__all__ = ["HELD_OUT_FIXED", "HELD_OUT_MOVING", "ClipBatch", "Clips", "Odds", "load_recording", "load_recordings"]
