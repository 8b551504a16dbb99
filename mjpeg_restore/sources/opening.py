"""`open_source`: tells apart paths, patterns, URLs, standard input, buffers and file objects."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Union, cast

from mjpeg_restore.address import Address, file_path, redact, without_scheme
from mjpeg_restore.errors import Hint, SourceError, SourceNotFound, reason_of
from mjpeg_restore.jpeg.buffers import as_bytes
from mjpeg_restore.sources.base import Source
from mjpeg_restore.sources.choice import SoundChoice
from mjpeg_restore.sources.detection import OpenOptions, open_file, open_stills
from mjpeg_restore.sources.live.settings import LiveSettings
from mjpeg_restore.sources.live.source import LiveSource
from mjpeg_restore.sources.stills import files_in_folder, files_matching
from mjpeg_restore.sources.timing import Rate, check_cut, parse_rate

if TYPE_CHECKING:
    from typing_extensions import Buffer

Spec = Union[str, os.PathLike[str], BinaryIO, "Buffer"]
"""A path, a pattern, "-", a binary file, or a buffer: bytes, a memoryview, a uint8 array."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def open_source(
    spec: Spec,
    *,
    fps: Rate | None = None,
    start: Fraction | None = None,
    duration: Fraction | None = None,
    track: int | None = None,
    audio_track: SoundChoice | None = None,
    live: bool = False,
    camera: LiveSettings | None = None,
) -> Source:
    """Open a Motion-JPEG source.

    `spec` is interpreted in this order:

    1. A buffer or a binary file object: its content is detected as in 6. The file need not seek, and stays open.
       `Source.stop` ends the iteration even while a read of the file waits.
    2. "-": standard input, likewise.
    3. A URL: `file://` is a path. `http://` and `https://` are a camera that sends a multipart stream, bare JPEGs or
       snapshots, which are polled `fps` times a second (1 if None), or a recording; `rtsp://` and `rtsps://` are
       cameras. User name and password stand in the URL. `v4l2:/dev/video0` and `/dev/video0` are a camera on Linux.
    4. An existing folder: its JPEG files in natural order.
    5. A name with `*`, `?` or `[` that no file has: a pattern for JPEG files; `**` includes subfolders.
    6. A file, whose first bytes tell the format: a stream of JPEGs, with any bytes between them; else a container
       that FFmpeg demuxes; else the error names the format. Of a dumped chunked HTTP response the bodies are read.
       The name matters in one case: a JPEG called `.jpg`, `.jpeg`, `.jpe` or `.jfif` is one picture, and bytes after
       it, such as a phone's second view, are ignored.

    Args:
        spec: what to open.
        fps: frames per second for sources without time stamps, 25 if None; of a snapshot camera the rate of polling,
            1 if None; asked of a V4L2 device. Containers have time stamps.
        start: seconds to skip; the first time stamp after the cut becomes 0. None: time stamps are copied exactly.
        duration: seconds to keep, from `start` on. A camera's are counted from its first picture;
            `LiveSettings.give_up` limits the wait for that.
        track: number of the container's Motion-JPEG track, from 1. None: the first that is not a preview of another.
        audio_track: number of the container's audio track, from 1, or "all". None: the first.
        live: a binary file, a named pipe or standard input is a camera. JPEGs are stamped as they arrive; a container's
            pictures keep its time stamps. Cameras by URL or device are live anyway, and the path of an ordinary file is
            refused.
        camera: what concerns cameras alone; the defaults if None.

    Raises:
        SourceNotFound: the file does not exist, or the pattern matches nothing.
        NotMjpeg: the input can be read but holds no Motion-JPEG.
        SourceError: the input cannot be read, or an argument does not fit it.
        TypeError: `spec` is none of these types.
    """
    check_cut(start, duration)
    for number in (track, audio_track):
        if isinstance(number, int) and number < 1:
            raise SourceError(f"there is no track number {number}: tracks are counted from 1")
    rate = None if fps is None else parse_rate(fps)
    options = OpenOptions(rate, start, duration, track, audio_track, live, camera or LiveSettings())
    if not isinstance(spec, str | os.PathLike):
        return _open_object(spec, options)
    name = os.fspath(spec)
    if name == "-":
        return _open_standard_input(options)
    if name.lower().startswith("v4l2:"):
        return _open_device(name[len("v4l2:") :].removeprefix("//"), options)
    if url := _URL.match(name):
        if url[1].lower() in ("http", "https"):
            # Imported here: TLS and http.client take a twentieth of the command's start.
            from mjpeg_restore.sources.live.http_opening import open_http

            return open_http(name, options)
        if url[1].lower() in ("rtsp", "rtsps"):
            return _open_rtsp(name, options)
        if url[1].lower() != "file":
            raise SourceError(
                f"{redact(name)} is no camera's address, which begins with http, https or rtsp: have FFmpeg write it "
                f"to standard output with its time stamps, ffmpeg -i {redact(name)} -c copy -f matroska -, and read "
                "that"
            )
        try:
            name = file_path(name)
        except ValueError as error:
            raise SourceError(f"{name}: {error}") from None
    return _open_path(name, options)


def _open_object(spec: BinaryIO | Buffer, options: OpenOptions) -> Source:
    if isinstance(spec, io.TextIOBase):
        raise SourceError(f"{spec!r} is open as text: open it as binary, with mode 'rb'")
    if hasattr(spec, "read"):
        name = str(getattr(spec, "name", "the stream"))
        if getattr(spec, "closed", False) is True:
            raise SourceError(f"cannot read {name}: it is closed, open it again")
        return open_file(cast(BinaryIO, spec), name, options)
    try:
        data = as_bytes(cast("Buffer", spec))
    except TypeError:
        raise TypeError(f"{type(spec).__name__} is no source: give a path, bytes or a binary file") from None
    return open_file(io.BytesIO(data), "the buffer", options)


def _open_standard_input(options: OpenOptions) -> Source:
    if sys.stdin is None or sys.stdin.closed:  # None: closed before the program started
        raise SourceError("standard input is closed: pipe a stream into it, or give the name of a file")
    if sys.stdin.isatty():
        raise SourceError("standard input is the keyboard: pipe a stream into it, or give the name of a file")
    # The raw file: a waiting read of the buffered one cannot be ended, and would hold its lock at the program's exit.
    buffer = sys.stdin.buffer
    raw = getattr(buffer, "raw", buffer)
    source = open_file(raw if isinstance(raw, io.FileIO) else buffer, "standard input", options)
    source.paths = (Path("/dev/stdin"),)  # on Linux and macOS this resolves to a redirected file
    return source


def _open_rtsp(url: str, options: OpenOptions) -> LiveSource:
    from mjpeg_restore.sources.live.rtsp import RtspConnection

    address = Address.parse(url)
    options.check_without_tracks(address.name)
    return LiveSource(
        address.name,
        "RTP/JPEG",
        lambda: RtspConnection(address, options.camera),
        options.camera,
        fps=options.fps,
        start=options.start,
        duration=options.duration,
    )


def _open_device(device: str, options: OpenOptions) -> LiveSource:
    from mjpeg_restore.sources.live.v4l2 import V4l2Connection

    if not device:
        raise SourceError("v4l2: names no device: write v4l2:/dev/video0")
    options.check_without_tracks(device)
    return LiveSource(
        device,
        "Video4Linux2",
        lambda: V4l2Connection(device, options.camera.size, options.fps),
        options.camera,
        fps=options.fps,
        start=options.start,
        duration=options.duration,
    )


def _open_path(name: str, options: OpenOptions) -> Source:
    if not name:  # Path("") is the current folder
        raise SourceNotFound("the input has an empty name: is a variable unset?")
    path = Path(name)
    try:
        if path.is_dir():
            return open_stills(files_in_folder(path, name), name, "folder", options)
        if not path.exists():
            if (rest := without_scheme(name)) and not glob.glob(name):
                raise SourceError(f"{rest} is no address without http:// or rtsp:// in front")
            if glob.has_magic(name):
                return open_stills(files_matching(name), name, "pattern", options)
            raise SourceNotFound(f"{name}: no such file or folder")
        if path.is_char_device() and name.startswith("/dev/video"):
            return _open_device(name, options)
        if options.live and path.is_file():  # read at the speed of the disk, nearly all of its pictures would be late
            raise SourceError(f"{name} is a recording, no camera", Hint("leave {live} out", live=None))
        file = path.open("rb", buffering=0)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SourceError(f"cannot read {name}: {reason_of(error)}") from None
    try:
        source = open_file(cast(BinaryIO, file), name, options, path)
    except BaseException:
        file.close()
        raise
    source.paths = (path,)
    return source
