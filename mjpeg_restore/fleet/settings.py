"""The settings of many cameras, as values: two that are equal need no restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from mjpeg_restore import catalogue
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.sinks import OutputSettings, Target
from mjpeg_restore.sources import LiveSettings


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """A network and where it runs; cameras with the same choice share one."""

    model: str = catalogue.DEFAULT
    """A name from the catalogue."""
    device: str = "auto"
    """See `Restorer`."""


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """An output of one camera."""

    target: str = field(repr=False)
    """See `open_sink`; a relative path has been joined to the folder of the settings file. May hold credentials."""
    settings: OutputSettings = field(default_factory=OutputSettings)
    """Without what only the source knows: `fps`, `sample_aspect` and `live`."""

    @property
    def name(self) -> str:
        """The target for messages, without credentials."""
        return self.parsed.name

    @property
    def parsed(self) -> Target:
        """What the target means."""
        return Target.parse(self.target, self.settings)


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """One camera."""

    name: str
    """Letters, digits, "-" and "_"; the first is a letter or a digit."""
    source: str = field(repr=False)
    """See `open_source`; a relative path has been joined to the folder of the settings file. May hold credentials."""
    outputs: tuple[OutputChoice, ...] = ()
    network: NetworkChoice = NetworkChoice()
    fps: Fraction | None = None
    """See `open_source`."""
    live: bool = False
    """The source is a pipe that is a camera; see `open_source`."""
    connection: LiveSettings = field(default_factory=LiveSettings)
    policies: PipelineSettings = field(default_factory=PipelineSettings)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What concerns the whole process."""

    threads: int | None = None
    """Threads that restore, for all cameras; None: as many as there are usable cores."""
    engine_cache: Path | None = None
    """Folder of TensorRT's engines; None: the user's cache."""
    log_format: Literal["text", "json"] = "text"
    """Of the lines on standard error."""
    serve: tuple[str, int] | None = None
    """Host and port where all cameras can be watched; None: nowhere."""
    token: str | None = field(default=None, repr=False)
    """What a browser must bring; so too for `password`."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A whole settings file."""

    cameras: tuple[CameraSettings, ...]
    """In the file's order; each name once."""
    run: RunSettings = RunSettings()
    remarks: tuple[str, ...] = ()
    """What is no mistake, and yet has to be otherwise before the outputs can be written; each with its line and key."""
