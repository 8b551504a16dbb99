"""An archive's output beside that of one run: every packet, and every decoded sample."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from mjpeg_restore.archive import Archive, ArchiveReport, ArchiveSettings, Destination, list_recordings
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.pipeline import run
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.sinks import OutputSettings, open_sink
from mjpeg_restore.sources import open_source

LOSSLESS = {
    "h264": {"crf": "0", "bf": "2"},
    "hevc": {"x265-params": "lossless=1"},
    "vp9": {"lossless": "1", "crf": "0"},
}
"""Options with which an encoder loses nothing, though it may reorder pictures."""


class InlineWorkers:
    """Does each task at once, on values that have been pickled as on their way to another process."""

    slots = 1

    def __init__(self) -> None:
        self.tasks: list[tuple[str, tuple[Any, ...]]] = []
        """Name and arguments of each."""

    def submit(self, task: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        self.tasks.append((task.__name__, arguments))
        done: Future[Any] = Future()
        task, arguments, named = pickle.loads(pickle.dumps((task, arguments, named)))
        done.set_result(pickle.loads(pickle.dumps(task(*arguments, **named))))
        return done

    def close(self) -> None:
        pass


def settings(part: int = 10, extension: str = ".mkv", codec: str = "ffv1", **more: Any) -> ArchiveSettings:
    """Those of tests: the plain decode, lossless."""
    output = OutputSettings(codec=codec, options=LOSSLESS.get(codec, {}))
    return ArchiveSettings(model="decode", extension=extension, output=output, part=part, **more)


def archive(
    sources: Sequence[Path] | Path, out: Path, chosen: ArchiveSettings, workers: Any = None
) -> tuple[ArchiveReport, Any]:
    """Restore an archive; the report and the workers."""
    workers = workers or InlineWorkers()
    given = [str(source) for source in ([sources] if isinstance(sources, Path) else sources)]
    recordings = list_recordings(given, str(out), chosen.extension)
    return Archive(recordings, Destination(str(out)), chosen).run(workers), workers


def one_run(source: Path, target: Path, chosen: ArchiveSettings) -> Report:
    """Restore a recording without cutting it, by the pipeline alone."""
    with open_source(str(source), audio_track=chosen.audio_track) as opened:
        aspect = upright_aspect(opened.info.sample_aspect, opened.info.rotation)
        output = replace(chosen.output, threads=1, fps=opened.info.fps, sample_aspect=aspect, reproducible=True)
        sink = open_sink(target, output, opened.sound)
        return run(opened, Restorer(chosen.model, threads=1), sink, chosen.policies)


@dataclass(frozen=True)
class Contents:
    """What is in a video file."""

    streams: list[tuple[Any, ...]]
    packets: list[list[tuple[Any, ...]]]
    """Of each stream, times first; the bytes of sound too."""
    frames: list[tuple[int | None, bytes]]
    """Time stamp and samples."""
    order: list[int]
    """Number of the stream of each packet, as they are stored."""


def contents(path: Path) -> Contents:
    """Read a video file."""
    with av.open(str(path)) as container:
        streams = [described(stream) for stream in container.streams]
        packets: list[list[tuple[Any, ...]]] = [[] for _ in container.streams]
        order: list[int] = []
        for packet in container.demux():
            if not packet.size:
                continue
            sound = packet.stream.type == "audio"
            row = (packet.pts, packet.dts, packet.duration, bytes(packet) if sound else b"")
            packets[packet.stream_index].append(row)
            order.append(packet.stream_index)
    with av.open(str(path)) as container:
        frames = [
            (frame.pts, np.ascontiguousarray(frame.to_ndarray()).tobytes()) for frame in container.decode(video=0)
        ]
    return Contents(streams, packets, frames, order)


def described(stream: Any) -> tuple[Any, ...]:
    """All that a container says of a track."""
    context = stream.codec_context
    shared = (
        stream.type,
        context.name,
        stream.time_base,
        stream.start_time,
        stream.duration,
        bytes(context.extradata or b""),
    )
    labels = {key: value for key, value in stream.metadata.items() if key != "DURATION"}
    if stream.type == "video":
        tags = (context.pix_fmt, context.width, context.height, stream.average_rate, stream.sample_aspect_ratio)
        colours = (
            context.color_range,
            context.colorspace,
            context.color_primaries,
            context.color_trc,
            context.codec_tag,
        )
        return (*shared, *tags, *colours, labels)
    return (*shared, context.sample_rate, context.channels, labels)


def by_time(packets: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Packets in the order in which they are shown."""
    return sorted(packets)


def assert_same(found: Path, wanted: Path, *, lossless: bool = True) -> None:
    """Assert that two video files hold the same, but for what an encoder decides."""
    ours, theirs = contents(found), contents(wanted)
    assert ours.streams == theirs.streams
    for stream, mine, other in zip(ours.streams, ours.packets, theirs.packets, strict=True):
        if found.suffix == ".mov" and stream[1].startswith("pcm"):  # FFmpeg reads as much as lies beside each other
            assert b"".join(data for *_, data in mine) == b"".join(data for *_, data in other)
            continue
        # The order of coding is the encoder's, which may reorder other pictures where a part ends.
        assert [dts for _, dts, *_ in mine] == [dts for _, dts, *_ in other]
        assert [(pts, data) for pts, _, _, data in by_time(mine)] == [(pts, data) for pts, _, _, data in by_time(other)]
        durations = [packet[2] for packet in mine], [packet[2] for packet in other]
        if found.suffix not in (".mp4", ".mov"):  # there a duration is the distance of two decoding times
            durations = [packet[2] for packet in by_time(mine)], [packet[2] for packet in by_time(other)]
        assert durations[0] == durations[1]
    assert [pts for pts, _ in ours.frames] == [pts for pts, _ in theirs.frames]
    assert ours.frames == theirs.frames or not lossless
