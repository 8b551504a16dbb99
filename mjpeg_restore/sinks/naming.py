"""What the name of an output means: its format, its place, and the settings that it uses."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from mjpeg_restore.address import Address, redact
from mjpeg_restore.errors import SinkError, SourceError, reason_of
from mjpeg_restore.sinks.base import OutputSettings
from mjpeg_restore.sinks.stills import EXTENSIONS, is_pattern, pattern_of, without_width
from mjpeg_restore.sinks.target import kind_of, linked, timed
from mjpeg_restore.sinks.video import CONTAINERS

Format = Literal["rtsp", "tcp", "udp", "v4l2", "y4m", "raw", "ts", "pictures", "picture", "hls", "video"]

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCHEMES: dict[str, Format] = {"rtsp": "rtsp", "rtsps": "rtsp", "tcp": "tcp", "udp": "udp"}
_PORTS = {"rtsp": 554, "rtsps": 322, "tcp": 0, "udp": 0}
"""Default ports; 0: the URL has to name one."""
_PREFIX = re.compile(r"(v4l2|y4m|raw|ts):(.*)", re.DOTALL)
_PREFIXES: dict[str, Format] = {"v4l2": "v4l2", "y4m": "y4m", "raw": "raw", "ts": "ts"}
"""What a name may begin with: `ts:-`. A file that is called so is named with its folder, `./ts:-`."""
_PATH = re.compile(r"\.{0,2}/(?!/)|[a-z]:[\\/]", re.IGNORECASE)
"""The beginning of what can only be a path: of a folder, or a drive of Windows."""
_MISTYPED = re.compile(r"(rtsps?|tcp|udp|https?)([:;.]+/+|//+|:)", re.IGNORECASE)
"""A scheme whose :// is mistyped."""
_STANDARD_OUTPUT = "/dev/stdout"
"""Another name of "-", where the system has it."""
_DEVICE = re.compile(r"/dev/video[0-9]+")
_SUFFIXES: dict[str, Format] = {".y4m": "y4m", ".m3u8": "hls", **dict.fromkeys(EXTENSIONS, "picture")}
_EXTENSIONS = frozenset((*_SUFFIXES, *CONTAINERS))

_IN_PIPES: dict[str, Format] = {"": "y4m", ".y4m": "y4m", ".ts": "ts"}
"""Of named pipes and devices. Other files cannot be written from their beginning to their end."""

_ENCODED = ("codec", "crf", "preset", "range", "options")
_USED: dict[Format, tuple[str, ...]] = {
    **dict.fromkeys(("rtsp", "tcp", "udp", "ts", "hls"), _ENCODED),
    "y4m": ("range",),
    "raw": ("range", "pixel_format"),
    "video": (*_ENCODED, "segment", "new_file_on_resize"),
}
_DESCRIPTIONS: dict[Format, str] = {
    "hls": "HLS",
    "raw": "raw pictures",
    "ts": "MPEG-TS in a pipe",
    "v4l2": "a virtual camera",
    "video": "a video file",
    "y4m": "y4m",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A target of `open_sink`, whose docstring lists the names."""

    name: str
    """As it was given, for messages; a URL without credentials."""
    format: Format
    where: str
    """The URL, the path, or "-"; without the format that stands before it."""
    what: str
    """The output in messages about settings."""
    used: frozenset[str]
    """Fields of `OutputSettings` that differ from output to output, and have an effect on this one."""
    address: Address | None = None
    """Of a URL."""
    pattern: Path | None = None
    """Of numbered pictures: see `pattern_of`."""

    @classmethod
    def parse(cls, target: str | os.PathLike[str], settings: OutputSettings) -> Self:
        """Interpret a name.

        Raises:
            SinkError: it is empty or invalid, it is a mistyped address, or no sink is for it.
        """
        pattern = None
        name = os.fspath(target)
        if not name:  # Path makes the current folder of it
            raise SinkError("the output has an empty name: is a variable unset?")
        format, where = _format_of(name)
        used, what = _USED.get(format, ()), _DESCRIPTIONS.get(format, f"{format}://")
        if format in ("picture", "pictures"):
            path = Path(where)
            by_name = format == "picture" or is_pattern(path.name)
            pattern = pattern_of(path, settings.image_format) if format == "pictures" else None
            kind = EXTENSIONS[(pattern or path).suffix.lower()]
            used = (*(["crf"] if kind == "jpeg" else []), *([] if by_name else ["image_format"]))
            what = path.suffix.lower() if by_name else f"a folder of {kind}"
        address = _address(name, format) if _URL.match(name) else None
        return cls(redact(name) if address else name, format, where, what, frozenset(used), address, pattern)

    @property
    def is_standard_output(self) -> bool:
        """Whether it is standard output, by any of its names: "-", /dev/stdout, or the file that it is redirected to.

        Raises:
            SinkError: see `place`.
        """
        return self.place == os.path.realpath(_STANDARD_OUTPUT)

    @property
    def is_pipe(self) -> bool:
        """Whether it is standard output, a named pipe, or a device that takes bytes one after the other.

        Raises:
            SinkError: the path cannot be looked up.
        """
        return self.format in ("y4m", "raw", "ts") and _is_pipe(self.where)

    @property
    def is_stream(self) -> bool:
        """Whether pictures are taken as they come, and kept by nobody: by a server, a device, or through a pipe."""
        return self.format in ("rtsp", "tcp", "udp", "v4l2") or self.is_pipe

    @property
    def unwritable(self) -> str:
        """Why nothing can be written there now, as far as the folder tells; empty if there is no reason.

        Pictures need their folder, or the one that it is to be made in.
        """
        if self.address or self.format == "v4l2" or self.is_pipe:
            return ""
        folder = os.path.dirname(self.where) or "."
        if self.pattern:
            folder = os.fspath(self.pattern.parent)
            if not os.path.exists(folder):
                folder = os.path.dirname(folder) or "."
        if not os.path.isdir(folder):
            return f"there is no folder {folder}"
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"the folder {folder} cannot be written"

    @property
    def place(self) -> str:
        """What it names, so that "./a.mp4" and "a.mp4" are equal, "raw:-", "-" and "raw:/dev/stdout", and "a/" and
        "a/%d.png", if the folder is one of PNG.

        Raises:
            SinkError: it is a relative path, and the current folder is gone.
        """
        if self.address:
            return self.address.url
        path = without_width(self.pattern) if self.pattern else self.where
        try:
            return os.path.realpath(_STANDARD_OUTPUT if path == "-" else path)
        except OSError as error:
            raise SinkError(f"{self.name}: the current folder is gone ({reason_of(error)}): go to another") from error


def following(target: str, settings: OutputSettings) -> str:
    """The target to open after a sink of this one has failed or ended: for a recording in a single file another name,
    with the time in it, as the file that is there is to be kept; else the same.

    Args:
        target: see `open_sink`.
        settings: of the sink.

    Raises:
        SinkError: see `Target.parse`.
    """
    found = Target.parse(target, settings)
    is_single = not (found.is_pipe or settings.segment or settings.new_file_on_resize)
    if found.format not in ("y4m", "raw", "video") or not is_single or not os.path.lexists(found.where):
        return target
    path = Path(found.where)
    name, _ = timed(linked(path).parent / path.name, datetime.now(UTC))
    return f"{target.removesuffix(found.where)}{name}"


def within(folder: str | os.PathLike[str], target: str) -> str:
    """A target whose path is taken from a folder, if it is a path and not absolute.

    Raises:
        SinkError: it is a mistyped address, or names nothing after `raw:` and the like.
    """
    if _URL.match(target):
        return target
    _check_typed(target)
    found = _PREFIX.fullmatch(target)
    prefix, path = (f"{found[1]}:", found[2]) if found else ("", target)
    return target if path == "-" else prefix + joined(folder, path)


def joined(folder: str | os.PathLike[str], path: str) -> str:
    """A path that is taken from a folder unless it is absolute, without ".." where that makes no difference."""
    whole = os.path.join(folder, path)
    plain = os.path.normpath(whole)
    if os.path.realpath(plain) != os.path.realpath(whole):  # ".." behind a symbolic link
        return whole
    return plain.rstrip(os.sep) + os.sep if whole.endswith(os.sep) else plain  # "out/" is a folder


def _check_typed(name: str) -> None:
    """Refuse what is no URL, and can hardly be meant as a path.

    Raises:
        SinkError: it is a mistyped address, or names nothing after `raw:` and the like.
    """
    if found := _PREFIX.fullmatch(name):
        if not found[2]:
            example = "/dev/video10" if found[1] == "v4l2" else "NAME"
            raise SinkError(f"{name} names nothing to write to: write {name}{example}, or ./{name} for a folder")
    elif _is_mistyped(name):
        found = _MISTYPED.match(name)
        scheme = found[1].lower() if found and found[1].lower() in _SCHEMES else "rtsp"
        rest = redact(name[found.end() if found else 0 :].rpartition("@")[2])
        raise SinkError(f"{rest} is no address without {scheme}:// in front: a path of that kind begins with ./")


def _is_mistyped(name: str) -> bool:
    """Whether it looks like an address whose scheme is missing or mistyped: the name of a file or folder would show the
    password. A file may have both : and @ in its name, if the extension tells that it is one."""
    if _PATH.match(name):
        return False
    before, at, host = name.rpartition("@")
    is_file = os.path.splitext(name)[1].lower() in _EXTENSIONS
    if at and ":" in before:
        return "/" in host or not is_file
    found = _MISTYPED.match(name)
    return found is not None and (found[2] != ":" or not is_file)


def _format_of(name: str) -> tuple[Format, str]:
    """The format of a name, and the name without what states it."""
    if found := _URL.match(name):
        scheme = found[1].lower()
        if scheme not in _SCHEMES:
            raise SinkError(  # without the name: the path of an rtmp:// URL is a key
                f"no output goes to {scheme}://, but to rtsp://, rtsps://, tcp:// and udp://: let FFmpeg send it, "
                f"-o ts:- | ffmpeg -i - -c copy -f FORMAT {scheme}://..."
            )
        return _SCHEMES[scheme], name
    _check_typed(name)
    if found := _PREFIX.fullmatch(name):
        return _PREFIXES[found[1]], found[2]
    if _DEVICE.fullmatch(name):
        return "v4l2", name
    path = Path(name)
    if _is_pipe(name) and path.suffix.lower() in _IN_PIPES:
        return _IN_PIPES[path.suffix.lower()], name
    if is_pattern(path.name) or not path.suffix or name.endswith("/") or kind_of(path) == "folder":
        return "pictures", name
    return _SUFFIXES.get(path.suffix.lower(), "video"), name


def _address(url: str, format: Format) -> Address:
    try:
        address = Address.parse(url, _PORTS)
    except SourceError as error:
        raise SinkError(error.message) from None
    if format != "rtsp" and address.path_and_query != "/":
        raise SinkError(f"{address.name}: host and port are enough: leave the rest out")
    return address


def _is_pipe(name: str) -> bool:
    return name == "-" or kind_of(Path(name)) == "stream"
