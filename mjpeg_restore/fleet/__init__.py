"""Many cameras in one process, by a settings file or by settings made in Python.

    with Fleet(load_settings("cameras.toml")) as fleet:
        ...

Each camera has a thread, on which it is run again if it fails; they share a pool of threads, and a network if they have
the same.
"""

from mjpeg_restore.fleet.camera import Audience, Camera, Status
from mjpeg_restore.fleet.fleet import Changes, Fleet
from mjpeg_restore.fleet.loading import load_settings
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings, NetworkChoice, OutputChoice, RunSettings

__all__ = [
    "Audience",
    "Camera",
    "CameraSettings",
    "Changes",
    "Fleet",
    "FleetSettings",
    "NetworkChoice",
    "OutputChoice",
    "RunSettings",
    "Status",
    "load_settings",
]
