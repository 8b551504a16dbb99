"""Opens containers with FFmpeg. Only demuxers and protocols that read this one file are allowed."""

from __future__ import annotations

import io
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import BinaryIO, cast

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from mjpeg_restore.errors import SourceError, reason_of
from mjpeg_restore.sources.probe import HEAD_BYTES, ByteStream

# Scripts and playlists (concat, hls, sdp, ...), image sequences, devices, and subtitles with a companion file are left
# out on purpose: such an input names other files, which FFmpeg would open. The list is positive because FFmpeg gains
# new demuxers. Beside formats that can hold Motion-JPEG it has those often taken for it, so that the error names the
# codec.
_DEMUXERS = (
    *("avi", "mov", "matroska", "nut", "mxf", "asf", "asf_o", "mpegts", "mpeg", "flv", "live_flv", "kux", "ogg"),
    *("smjpeg", "gxf", "dv", "rm", "wtv", "swf", "nuv", "nsv", "dhav", "ivf", "mxg", "lmlm4", "pva", "ty", "vivo"),
    *("mods", "moflex", "cine", "h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "av1", "obu", "h261", "h263"),
    *("wav", "w64", "aiff", "caf", "au", "mp3", "aac", "ac3", "eac3", "flac", "amr", "ape", "tta", "wv", "dsf", "dts"),
)

_OPTIONS = MappingProxyType(
    {
        "format_whitelist": ",".join(_DEMUXERS),
        "enable_drefs": "0",  # MOV: samples in other files
        "use_absolute_path": "0",
    }
)
_PATH_PROTOCOL = "file"
_FILE_OBJECT_PROTOCOL = "none"
"""Values of `protocol_whitelist`: a path is opened through "file"; beside a file object nothing else may be opened."""

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_HEADERS_ONLY = MappingProxyType({"codec_whitelist": "none", "probesize": "32", "analyzeduration": "0"})
"""Without a decoder FFmpeg cannot replace the size that the container states by that of the pictures."""


class ContainerOpenError(SourceError):
    """None of the allowed demuxers can open the file."""


def is_piped(target: str | ByteStream) -> bool:
    """Whether the target of `open_container` is a stream that cannot seek."""
    return not isinstance(target, str) and not hasattr(target, "seek")


def open_container(target: str | ByteStream, name: str, more: Mapping[str, str] = _NO_OPTIONS) -> InputContainer:
    """Open a container. FFmpeg opens no other file, whatever the container names.

    Args:
        target: a path, or a stream, which need not seek.
        name: the source's name in messages.
        more: further options for the demuxer.

    Raises:
        ContainerOpenError: FFmpeg cannot open it.
        SourceError: the stream cannot be read.
    """
    if isinstance(target, str):
        where, protocol = f"file:{target}", _PATH_PROTOCOL  # the prefix: a colon in a name is not another protocol
    else:
        where, protocol = target, _FILE_OBJECT_PROTOCOL
    options = {**_OPTIONS, "protocol_whitelist": protocol, **more}
    try:
        return av.open(where, "r", container_options=options, metadata_errors="replace")
    except TimeoutError:
        raise ContainerOpenError(f"cannot open {name}: it fell silent before it told what it holds") from None
    except av.error.FFmpegError as error:
        hint = "it is damaged, cut off before its index was written, or of a kind that FFmpeg does not know"
        raise ContainerOpenError(f"cannot open {name} ({reason_of(error)}): {hint}") from None
    except OSError as error:  # of the stream itself
        raise SourceError(f"cannot read {name}: {reason_of(error)}") from None


def open_unindexed(target: str | ByteStream, name: str) -> InputContainer:
    """Open a container as if it could not seek, so that FFmpeg reads its chunks in their order and no index.

    Args:
        target: a path, or a stream that can seek.
        name: the source's name in messages.

    Raises:
        ContainerOpenError: FFmpeg cannot open it.
        SourceError: the stream cannot be read.
    """
    if isinstance(target, str):
        return open_container(target, name, {"seekable": "0"})
    cast(BinaryIO, target).seek(0)
    unseekable = HeadRecorder(target)
    unseekable.discard()
    return open_container(unseekable, name)


class HeadRecorder:
    """A stream that cannot seek; its first bytes are recorded as it is read."""

    def __init__(self, stream: ByteStream) -> None:
        """Read from `stream`, and record."""
        self._stream = stream
        self._head: bytearray | None = bytearray()

    @property
    def head(self) -> bytes:
        """The recorded bytes: all that were read, up to about `HEAD_BYTES`."""
        return bytes(self._head or b"")

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        chunk = self._stream.read(size)
        if self._head is not None and len(self._head) < HEAD_BYTES:
            self._head += chunk
        return chunk

    def discard(self) -> None:
        """Discard the recorded bytes, and record no more."""
        self._head = None


def stated_size(target: str | ByteStream, index: int) -> tuple[int, int] | None:
    """Width and height of a track as the container states them, before FFmpeg corrects them by the first pictures.

    Args:
        target: the target of `open_container`, or a `HeadRecorder` that has read its first bytes. The position of a
            file does not change.
        index: index of the track's stream.

    Returns:
        None if the size cannot be determined.
    """
    again = io.BytesIO(target.head) if isinstance(target, HeadRecorder) else target
    with (
        suppress(SourceError, OSError, IndexError),
        _from_start(again),
        open_container(again, "", _HEADERS_ONLY) as container,
    ):
        stream = container.streams[index]
        if isinstance(stream, VideoStream) and stream.width and stream.height:
            return stream.width, stream.height
    return None


@contextmanager
def _from_start(target: str | ByteStream) -> Generator[None]:
    """Move a file to its beginning, and back afterwards."""
    if isinstance(target, str):
        yield
        return
    file = cast(BinaryIO, target)
    position = file.tell()
    file.seek(0)
    try:
        yield
    finally:
        file.seek(position)
