"""The settings of an output, from its own keys and those that it inherits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mjpeg_restore.errors import SinkError
from mjpeg_restore.fleet.keys import FIELDS
from mjpeg_restore.sinks import OutputSettings, SegmentLimit, Target, choose_format, effective_settings

_HOURLY = SegmentLimit(seconds=3600)
"""The segments of a video file. A recording that begins anew must not replace the one before, and so the names of video
files have the time in them, as those of segments do."""


class OutputKeys:
    """An output's keys, before they are known to be right."""

    def __init__(
        self, target: str, own: Mapping[str, Any], inherited: Mapping[str, Any], *, new_file_on_resize: bool
    ) -> None:
        """Choose the settings.

        Args:
            target: see `open_sink`.
            own: keys of `OF_OUTPUTS` that are given for this output.
            inherited: those of its camera, or of all cameras; without effect where the output does not use them.
            new_file_on_resize: likewise.
        """
        self._target, self._own = target, own
        self._given = {**inherited, **own}
        self._effective = effective_settings(target, self._given.get("image-format", "png"))
        chosen = {FIELDS[key]: value for key, value in self._given.items() if self.uses(key)}
        if self.is_video:
            chosen["new_file_on_resize"] = new_file_on_resize
            if not chosen.get("overwrite"):
                chosen.setdefault("segment", _HOURLY)
        elif Target.parse(target, OutputSettings()).format == "hls":
            chosen.setdefault("overwrite", True)  # it holds the latest seconds, no recording to be kept
        # One camera of many keeps up with one thread, and forty encoders with threads of their own are too many.
        self.settings = OutputSettings(**chosen, threads=1)

    @property
    def is_video(self) -> bool:
        """Whether it is a video file."""
        return self.uses("segment")

    def uses(self, key: str) -> bool:
        """Whether a key has an effect on the output."""
        return FIELDS[key] in self._effective

    def mistakes(self, *, live: bool) -> Iterator[tuple[str, str]]:
        """What is wrong, by its key; of the output as a whole, by an empty one.

        Args:
            live: whether the source is a camera.
        """
        for key in self._own:
            if not self.uses(key):
                yield key, "has no effect on this output"
        if self.is_video and (error := self._refusal(replace(self.settings, live=live))):
            advice = f": {error.hint.worded(_worded)}" if error.hint else ""
            yield self._culprit(live=live), error.message + advice

    def _refusal(self, settings: OutputSettings) -> SinkError | None:
        try:
            choose_format(self._target, settings)
        except SinkError as error:
            return error
        return None

    def _culprit(self, *, live: bool) -> str:
        """The key without which the video file would be accepted; empty if there is none."""
        settings = OutputSettings(live=live)
        if self._refusal(settings):
            return ""
        for key in ("codec", "crf", "preset", "encoder-options"):
            if key in self._given:
                settings = replace(settings, **{FIELDS[key]: self._given[key]})
                if self._refusal(settings):
                    return key
        return ""


def _worded(setting: str, value: str | int | None) -> str:
    """A setting of a hint by its key."""
    key = next((key for key, name in FIELDS.items() if name == setting), setting)
    return key if value is None else f'{key} = "{value}"'
