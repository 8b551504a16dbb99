"""Settings of an archive: how each recording is restored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.sinks import OutputSettings, choose_format
from mjpeg_restore.sources import SoundChoice
from mjpeg_restore.sources.timing import Rate

DEFAULT_PART = 1000
"""Packets of a part: twelve seconds of a core at 640x480, and 40 seconds of video."""


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """How each recording is restored. Results depend on nothing else, but for the device's arithmetic."""

    model: str = catalogue.DEFAULT
    """A name from the catalogue."""
    device: str = "auto"
    """See `Restorer`."""
    engine_cache: str | None = None
    """See `Restorer`."""
    extension: str = ".mkv"
    """Of the restored files, which names their container: see `VideoFile`."""
    output: OutputSettings = field(default_factory=OutputSettings)
    """Codec, quality and range; frame rate and aspect are those of each recording."""
    policies: PipelineSettings = field(default_factory=PipelineSettings)
    """Policies for damaged pictures and for changes of size."""
    fps: Rate | None = None
    """Frame rate of streams without time stamps; None for 25."""
    audio_track: SoundChoice | None = None
    """Number of the audio track, or "all"; None for the first."""
    sound: bool = True
    """False: without sound."""
    part: int = DEFAULT_PART
    """Packets of a part of a long recording; 0: recordings are not cut."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a part of fewer than 0 packets.
            UnknownModel, ModelCorrupt: see `catalogue.find`.
            SinkError: see `choose_format`.
        """
        if self.part < 0:
            raise ValueError(f"part {self.part}: 0 or more packets")
        catalogue.find(self.model)
        choose_format(f"recording{self.extension}", self.output)

    def output_for(self, fps: Fraction | None, sample_aspect: Fraction) -> OutputSettings:
        """The settings of a recording's output.

        Encoders have one thread, so that there are no more than cores, and so that the result does not depend on their
        number.

        Args:
            fps: nominal frame rate; None where it is not known.
            sample_aspect: of the upright pictures.
        """
        fixed = {"threads": 1, "overwrite": True, "reproducible": True}
        return replace(self.output, fps=fps, sample_aspect=sample_aspect, **fixed)

    def described(self) -> dict[str, Any]:
        """The settings that results depend on, as JSON's types, without defaults."""
        given: dict[str, Any] = {"extension": self.extension, "part": self.part}
        for group, names in ((self.output, _OF_OUTPUT), (self.policies, _OF_POLICIES), (self, _OWN)):
            default = type(group)()
            given |= {name: getattr(group, name) for name in names if getattr(group, name) != getattr(default, name)}
        return json.loads(json.dumps(given, default=str))

    @property
    def key(self) -> str:
        """Checksum of all that results depend on, the model's files included."""
        words = json.dumps([self.model, model_checksum(catalogue.find(self.model)), self.described()], sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()

    @property
    def cuts(self) -> bool:
        """Whether long recordings are cut into parts.

        A model with a state restores each picture with what it has seen since the recording began: in parts, pictures
        would be others than in one run. Such recordings are restored whole, several at the same time.
        """
        return self.part > 0 and not catalogue.find(self.model).has_state


_OF_OUTPUT = ("codec", "crf", "preset", "range", "options")
_OF_POLICIES = ("on_corrupt", "on_resize")
_OWN = ("fps", "audio_track", "sound")


def model_checksum(model: Model) -> str:
    """SHA-256 of the checksums of a model's graphs."""
    graphs = [graph.sha256 for variant in model.variants for graph in variant.graphs.values()]
    return hashlib.sha256(" ".join(graphs).encode()).hexdigest()
