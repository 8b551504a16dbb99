"""`open_sink`: the sink for a target, chosen by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

from mjpeg_restore.address import Address
from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.sinks.base import ImageFormat, OutputSettings, Sink
from mjpeg_restore.sinks.hls import Hls
from mjpeg_restore.sinks.links import Link, PipeLink, TcpLink, UdpLink
from mjpeg_restore.sinks.naming import Target
from mjpeg_restore.sinks.push import Push
from mjpeg_restore.sinks.raw import RawStream
from mjpeg_restore.sinks.rtsp import RtspLink
from mjpeg_restore.sinks.segments import Segments
from mjpeg_restore.sinks.stills import Still, Stills
from mjpeg_restore.sinks.target import linked, open_pipe, part_name, refuse_inputs
from mjpeg_restore.sinks.v4l2 import V4l2Device
from mjpeg_restore.sinks.video import VideoFile
from mjpeg_restore.sinks.y4m import Y4mStream
from mjpeg_restore.sound import SoundTrack

_NEVER_REFUSED = frozenset({"overwrite", "fps", "sample_aspect", "live", "threads", "reproducible"})
"""Settings that each sink may ignore: they are set for every output."""


def open_sink(
    target: str | os.PathLike[str],
    settings: OutputSettings | None = None,
    sound: Sequence[SoundTrack] = (),
    inputs: Sequence[Path] = (),
    source: str = "",
    before: Sink | int | None = None,
) -> Sink:
    """Open the sink for a target.

    `target` is interpreted in this order:

    1. A URL: `rtsp://` and `rtsps://` publish at a server; `tcp://HOST:PORT` and `udp://HOST:PORT` send MPEG-TS.
    2. `y4m:NAME`, `raw:NAME` and `ts:NAME`: that format in "-", which is standard output, or in a named pipe; y4m and
       raw pictures also in a file of any name. `v4l2:/dev/video10`, or only `/dev/video10`: a virtual camera.
    3. "-", a named pipe, or a device that takes bytes: y4m.
    4. A pattern like `out/%06d.png`; an existing folder, or a name that ends in a slash or has no extension: pictures.
    5. .png and .jpg: a single picture; .y4m; .m3u8: HLS, a playlist with its segments; any other name is a video file,
       its container chosen by the extension, or with `segment` or `new_file_on_resize` the beginning of the names of
       several.

    Args:
        target: see above.
        settings: the user's choices; the defaults if None.
        sound: tracks of sound, for sinks that take it; others ignore them.
        inputs: the source's files, which are never replaced.
        source: whose pictures they are, in the log; empty: it does not say.
        before: the sink of this target that failed or ended, and that this one goes on for, or, of one in another
            process, the last number that is known to be written. A folder then keeps the pictures that it wrote, and
            the numbers go on; other sinks begin anew. For a file see `following`.

    Raises:
        OutputExists: the output exists and `overwrite` is False.
        SinkError: the output cannot be made, is one of the inputs, or does not use one of the settings.
    """
    settings = settings or OutputSettings()
    found = Target.parse(target, settings)
    _check_settings(settings, found)
    match found.format:
        case "rtsp" | "tcp" | "udp":
            assert found.address
            return Push(_link(found.address), settings, sound, source=source)
        case "v4l2":
            return V4l2Device(found.where, settings)
        case "ts":
            if not found.is_pipe:
                raise SinkError(f"{found.where} is no pipe: a file of MPEG-TS is called NAME.ts")
            link = PipeLink(open_pipe(found.where), f"ts:{found.where}")
            return Push(link, settings, sound, source=source, paced=False)
        case "y4m":
            return Y4mStream(_opened(found, inputs), settings, closes=True)
        case "raw":
            return RawStream(_opened(found, inputs), settings, f"raw:{found.where}", source=source, closes=True)
        case "pictures":
            return Stills(found.where, settings, inputs, before if isinstance(before, (Stills, int)) else None)
        case "picture" | "hls" | "video":
            return _open_file(found, settings, sound, inputs)


def effective_settings(target: str, image_format: ImageFormat = "png") -> frozenset[str]:
    """Names of the `OutputSettings` that `open_sink` does not refuse for a target.

    Args:
        target: as for `open_sink`.
        image_format: of a folder.

    Raises:
        SinkError: no sink is for the target.
    """
    return _NEVER_REFUSED | Target.parse(target, OutputSettings(image_format=image_format)).used


def _link(address: Address) -> Link:
    match address.scheme:
        case "tcp":
            return TcpLink(address)
        case "udp":
            return UdpLink(address)
        case _:
            return RtspLink(address)


def _opened(target: Target, inputs: Sequence[Path]) -> BinaryIO | Path:
    """An open pipe, or the path of a file that is none of the inputs."""
    if target.is_pipe:
        return open_pipe(target.where)
    return _refuse_inputs(Path(target.where), inputs)


def _open_file(target: Target, settings: OutputSettings, sound: Sequence[SoundTrack], inputs: Sequence[Path]) -> Sink:
    path = _refuse_inputs(Path(target.where), inputs)
    if target.format == "picture":
        return Still(path, settings)
    if target.format == "hls":
        return Hls(path, settings, sound)
    if settings.segment or settings.new_file_on_resize:
        return Segments(path, settings, sound)
    return VideoFile(path, settings, sound)


def _refuse_inputs(path: Path, inputs: Sequence[Path]) -> Path:
    for name in (path, part_name(linked(path))):
        refuse_inputs(name, inputs)
    return path


def _check_settings(settings: OutputSettings, target: Target) -> None:
    """Refuse settings that differ from the default and have no effect on a target.

    Raises:
        SinkError: one of the settings has no effect.
    """
    default = OutputSettings()
    for name in (field.name for field in fields(settings)):
        if name in _NEVER_REFUSED or name in target.used or getattr(settings, name) == getattr(default, name):
            continue
        hint = Hint(f"leave {{{name}}} out, or choose another output", **{name: None})
        raise SinkError(f"{name.replace('_', ' ')} has no effect on {target.what}", hint)
