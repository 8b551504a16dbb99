"""Cameras that do what a test says, and settings for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from mjpeg_restore.errors import Hint, SourceError
from mjpeg_restore.fleet import CameraSettings, Fleet, FleetSettings, NetworkChoice, OutputChoice, RunSettings
from mjpeg_restore.frames import Packet
from mjpeg_restore.sinks import OutputSettings
from mjpeg_restore.sources import BaseSource, LiveStatus, Source, SourceInfo
from tests.streams import still

NETWORK = NetworkChoice("decode", "onnxruntime")
BASE = Fraction(1, 1000)


class Scripted(BaseSource):
    """A camera that sends pictures until it is stopped, or does what its script says after five of them."""

    def __init__(self, settings: CameraSettings, script: str) -> None:
        self.info = SourceInfo(settings.source, "scripted", "arrival", BASE, live=script != "recording")
        self.status = self._status = LiveStatus(connected=True)
        self._script = script
        self._done = threading.Event()

    def __iter__(self) -> Iterator[Packet]:
        for index in range(5 if self._script in ("recording", "breaks", "gives up") else 10**9):
            if self.stopped:
                return
            yield Packet(still(index % 3), index, 20 * index, BASE, arrived=time.monotonic())
            self._done.wait(0.01)
        if self._script == "breaks":
            raise SourceError(f"{self.info.name}: the wire is cut")
        if self._script == "gives up":
            self._status.gave_up, self.truncated = True, f"{self.info.name}: nothing came for 5 s, gave up"

    def stop(self) -> None:
        super().stop()
        self._done.set()


class Town:
    """Opens the sources of cameras as their scripts say, by the cameras' names."""

    def __init__(self, **scripts: str) -> None:
        self.scripts = scripts
        self.opened: list[str] = []

    def open(self, settings: CameraSettings) -> Source:
        self.opened.append(settings.name)
        script = self.scripts.get(settings.name, "")
        if script == "refuses":
            raise SourceError(f"{settings.source} refuses the user name and password")
        if script == "advises":
            raise SourceError(
                f"{settings.source} is not to be trusted", Hint("{verify_tls} accepts any", verify_tls=False)
            )
        if script == "crashes":
            raise RuntimeError("a fault of the program")
        if script == "exits":
            raise SystemExit(3)
        return Scripted(settings, script)


def camera(name: str, *targets: Path | str, **changes: object) -> CameraSettings:
    outputs = tuple(OutputChoice(str(target), OutputSettings(overwrite=True, threads=1)) for target in targets)
    return replace(CameraSettings(name, f"http://{name}/", outputs, NETWORK), **changes)


def settings(*cameras: CameraSettings) -> FleetSettings:
    return FleetSettings(cameras, RunSettings(threads=1))


def running(fleet: Fleet, *names: str) -> bool:
    return all(fleet.cameras[name].status.state == "running" for name in names)
