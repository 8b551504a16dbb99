"""The outlets of a run, opened by the names of their targets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mjpeg_restore.errors import SinkError
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.sinks import OutputSettings, Sink, Target, open_sink
from mjpeg_restore.sound import SoundTrack


def open_outlets(
    targets: Sequence[str | os.PathLike[str]],
    settings: OutputSettings,
    sound: Sequence[SoundTrack] = (),
    inputs: Sequence[Path] = (),
) -> list[Outlet]:
    """Open an outlet for each target.

    Args:
        targets: see `open_sink`.
        settings: each of them is for the outputs that use it.
        sound: see `open_sink`.
        inputs: see `open_sink`.

    Raises:
        OutputExists, SinkError: see `open_sink`; or two targets are the same. No output is left behind.
    """
    parsed = [Target.parse(target, settings) for target in targets]
    _refuse_doubles(parsed)
    used = frozenset[str]().union(*(target.used for target in parsed))
    outlets: dict[int, Outlet] = {}
    try:  # named pipes last: they wait for their readers
        for number in sorted(range(len(parsed)), key=lambda number: parsed[number].is_pipe):
            target = parsed[number]
            sink = open_sink(targets[number], _without(settings, used - target.used), sound, inputs)
            outlets[number] = outlet_of(sink, target, live=settings.live)
    except BaseException:
        for outlet in outlets.values():
            outlet.sink.discard()
        raise
    return [outlets[number] for number in range(len(parsed))]


def outlet_of(sink: Sink, target: Target, *, live: bool) -> Outlet:
    """The outlet of a target's sink.

    Files get every frame, and the run waits for them. It also waits for pipes, servers and virtual cameras, which set
    the pace of a recording; but of a live source they get the newest frames, and nobody waits for them.
    """
    return Outlet(sink, target.name, when_full="drop" if live and target.is_stream else "wait")


def _refuse_doubles(targets: Sequence[Target]) -> None:
    places = set[str]()
    for target in targets:
        if target.place in places:
            raise SinkError(f"{target.name} is given twice: name each output once")
        places.add(target.place)


def _without(settings: OutputSettings, names: frozenset[str]) -> OutputSettings:
    """The settings with the defaults of some."""
    default = OutputSettings()
    kept: dict[str, Any] = {name: getattr(default, name) for name in names}
    return replace(settings, **kept)
