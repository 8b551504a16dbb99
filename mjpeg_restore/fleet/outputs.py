"""The outputs of cameras: where each goes, and its settings, from its own keys and those that it inherits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from mjpeg_restore.errors import SinkError
from mjpeg_restore.fleet import keys
from mjpeg_restore.fleet.keys import FIELDS
from mjpeg_restore.fleet.positions import KeyPath
from mjpeg_restore.fleet.settings import OutputChoice
from mjpeg_restore.fleet.tables import TableReader
from mjpeg_restore.sinks import OutputSettings, SegmentLimit, Target, choose_format, effective_settings, within

_BRACES = re.compile(r"(?<!\$)\{\w+\}")
_HOURLY = SegmentLimit(seconds=3600)
"""The segments of a video file. A recording that begins anew must not replace the one before, and so the names of video
files have the time in them, as those of segments do."""


class OutputReader:
    """Reads the outputs of one camera after the other."""

    def __init__(self, reader: TableReader, defaults: Mapping[str, Any]) -> None:
        """Begin.

        Args:
            reader: of the file's tables.
            defaults: the values of `[defaults]`.
        """
        self._reader, self._mistakes, self._defaults = reader, reader.mistakes, defaults
        self._targets: dict[str, str] = {}
        """The camera that writes to each place."""

    def writer(self, place: str) -> str | None:
        """The camera that writes to a place; see `Target.place`."""
        return self._targets.get(place)

    def of(self, camera: str, own: Mapping[str, Any], *, live: bool) -> tuple[OutputChoice, ...]:
        """The outputs of a camera, from its own table or from the defaults.

        Args:
            camera: its name.
            own: the values of its table.
            live: whether its source is a camera.
        """
        merged = {**self._defaults, **own}
        mine = bool({"output", "outputs"} & {*own})
        table, path = (own, ("cameras", camera)) if mine else (self._defaults, ("defaults",))
        inherited = {key: value for key, value in merged.items() if key in keys.OF_OUTPUTS}
        choices: list[OutputChoice] = []
        used = set[str]()
        for where, given in self._entries(table, path):
            entry = self._output(given, where)
            target = self._target(entry, camera, where)
            if target is None:
                used.update(inherited)  # they may be meant for it
                continue
            found = OutputKeys(target, entry, inherited, new_file_on_resize=merged.get("on-resize") == "new-file")
            used.update(filter(found.uses, inherited))
            for key, what in found.mistakes(live=live):
                place = (*where, key) if key else where
                if key in inherited and key not in entry:
                    place = ("cameras", camera, key) if key in own else ("defaults", key)
                self._mistakes.note(place, what)
            choices.append(choice := OutputChoice(target, found.settings))
            self._claim(choice.parsed, camera, where)
        for key in keys.OF_OUTPUTS:
            if key in own and key not in used:
                self._mistakes.note(("cameras", camera, key), "has no effect on what this camera writes")
        return tuple(choices)

    def _entries(self, table: Mapping[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
        """The outputs of a table, each with its path."""
        if "output" in table:
            yield (*path, "output"), table["output"]
        if "outputs" not in table:
            return
        given = table["outputs"]
        if "output" in table:
            self._mistakes.note((*path, "outputs"), "stands beside output: list all of them here")
        elif not isinstance(given, list):
            self._mistakes.note((*path, "outputs"), "is not a list; one alone is called output")
        else:
            yield from (((*path, "outputs", index), one) for index, one in enumerate(cast("list[object]", given)))

    def _output(self, given: object, path: KeyPath) -> dict[str, Any]:
        """The keys of an output, which is a target or a table."""
        if isinstance(given, dict):
            return self._reader.read(cast("dict[str, Any]", given), path, keys.OF_ONE_OUTPUT)
        try:
            return {"to": keys.text(given)}
        except ValueError as error:
            self._mistakes.note(path, str(error))
            return {}

    def _target(self, entry: dict[str, Any], camera: str, path: KeyPath) -> str | None:
        """Take the target out of an output's keys; None where there is none."""
        if "to" not in entry:
            if self._reader.lacks(entry, path, "to") and not self._mistakes.noted(path):
                self._mistakes.note(path, "has no to: where is it written?")
            return None
        given = entry.pop("to")
        unknown = [one for one in _BRACES.findall(given) if one != "{camera}"]
        if unknown and "://" not in given:  # in a URL it may be a password's
            self._mistakes.note(path, f"{unknown[0]} stands for nothing; {{camera}} is the camera's name")
            return None
        expanded = self._reader.expand(given, path)
        if expanded is None:
            return None
        target = expanded.replace("{camera}", camera)
        if target == "-" or target.endswith(":-"):
            self._mistakes.note(path, "standard output is for mjpeg-restore INPUT -o -")
            return None
        try:
            target = within(self._reader.folder, target)
            _ = Target.parse(target, OutputSettings()).is_pipe  # which looks for the file
        except SinkError as error:
            self._reader.refuse(given, path, str(error))
            return None
        return target

    def _claim(self, target: Target, camera: str, path: KeyPath) -> None:
        """Note who writes to the place of a target, and whether that can be written."""
        places = {target.place}
        if target.pattern:  # a folder is one also for pictures of two formats, and for a source
            places.add(os.path.realpath(target.where))
        if other := next((self._targets[place] for place in places if place in self._targets), None):
            who = "another output" if other == camera else f"cameras.{other}"
            self._mistakes.note(path, f"{who} writes there, too; {{camera}} in a name stands for the camera's")
        for place in places:
            self._targets.setdefault(place, camera)
        if what := target.unwritable:  # no mistake: while cameras run, a disk may come and go
            self._mistakes.remark(path, what)


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
            yield self._culprit(live=live), keys.worded(error)
        found = Target.parse(self._target, self.settings)
        if found.format == "picture" and live:
            path = Path(found.where)
            pattern = path.with_name(f"{path.stem}-%06d{path.suffix}")
            yield "", f"{path} holds one picture, and a camera sends more: name a folder, {pattern}, or a video file"

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
        for key in ("codec", "crf", "preset", "range", "encoder-options"):
            if key in self._given:
                settings = replace(settings, **{FIELDS[key]: self._given[key]})
                if self._refusal(settings):
                    return key
        return ""
