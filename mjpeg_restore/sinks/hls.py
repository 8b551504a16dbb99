"""HLS: a playlist and segments of MPEG-TS that browsers and players fetch from any web server."""

# PyAV's stubs leave types open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import os
import re
import time
import zlib
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import av
from av.error import FFmpegError

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import Frame, Picture, Sampling, SoundPacket
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import BaseSink, OutputSettings, PartFile, check_size
from mjpeg_restore.sinks.containers import IN_MPEG_TS, check_codec
from mjpeg_restore.sinks.encoder import find_encoder
from mjpeg_restore.sinks.target import cannot_write
from mjpeg_restore.sinks.timing import Timeline, container_time_base, guess_rate
from mjpeg_restore.sinks.writer import VideoWriter
from mjpeg_restore.sound import SoundTrack

_SECONDS = 2
"""Length of a segment: that of the encoder's groups of pictures. A player is about three segments behind."""
_LISTED = 10
"""Segments in the playlist of a live source. Older ones are removed, a few later than they leave the list: a player may
be reading them."""
_KEPT = 5
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
"""Characters that would be something else in a URL, or in FFmpeg's pattern of names."""


class _Files:
    """What FFmpeg's muxer writes its playlists and segments to.

    It ignores that a disk is full. Here the first error is kept, for the sink to raise. What could not be written is
    removed before the muxer renames it, and nothing is written after it: no playlist lists what is not there.

    Attributes:
        error: the first error; None if there is none.
    """

    def __init__(self) -> None:
        self.error: OSError | None = None

    def open(self, path: str, flags: int, options: dict[str, str]) -> _File:
        """Create a file, as PyAV asks for it."""
        return _File(Path(path), self)


class _File:
    """A file that never raises: PyAV prints an error that comes after another one."""

    def __init__(self, path: Path, files: _Files) -> None:
        self._path = path
        self._files = files
        self._file: BinaryIO | None = None
        if files.error is None:
            with self._keep_error():
                self._file = path.open("wb")

    def write(self, data: bytes) -> None:
        if self._file:
            with self._keep_error():
                self._file.write(data)

    def close(self) -> None:
        if self._file:
            with self._keep_error():
                self._file.close()

    @contextlib.contextmanager
    def _keep_error(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            self._files.error = error
            with contextlib.suppress(OSError):
                if self._file:
                    self._file.close()
            self._file = None
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


class Hls(BaseSink):
    """A playlist, `cam.m3u8`, and its segments, `cam-1795751234.ts` and so on, in the same folder.

    *What a reader sees* is whole at any time: playlist and segments are written under other names and renamed, and a
    segment is there before it is listed. Names of segments are never used again, so that caches do no harm; they are
    safe in URLs whatever the playlist is called.

    *A recording* gets a playlist of all segments, when it is finished. If it fails, there is nothing.

    *A camera* gets one of the latest 20 seconds; older segments are removed. Numbers go on rising after a restart, as
    players demand. At the end the playlist says that nothing more comes. If a file cannot be written, the segments
    before it are kept.

    Nobody else writes the playlist before `close` or `discard`.

    *An existing playlist* is replaced only with `overwrite`, by the new one as soon as that lists a segment. The
    segments that it lists are removed then, and, if it is a camera's, those that have just left it.

    *Samples* are 4:2:0, which all browsers decode, and the encoder is that of a live recording.
    """

    fixed_size = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: OutputSettings | None = None,
        sound: Sequence[SoundTrack] = (),
    ) -> None:
        """Check the settings and the folder; the first segment begins with the first picture.

        Args:
            path: of the playlist.
            settings: `codec`, `crf`, `preset`, `range`, `options`, `overwrite`, `fps`, `sample_aspect`, `live`; the
                defaults if None.
            sound: tracks of sound; AAC and MP3 are copied, others become AAC.

        Raises:
            OutputExists: the playlist exists and `overwrite` is False.
            SinkError: the encoder is unknown, its codec not one of HLS, the playlist is being written already, or the
                folder cannot be written.
        """
        self._settings = settings = settings or OutputSettings()
        self._encoder = find_encoder(settings.codec or "h264", replace(settings, live=True))
        check_codec(self._encoder, "HLS", IN_MPEG_TS)
        self._full_range = self._encoder.is_full_range("hls", settings.range)
        self._playlist = Path(path)
        if re.search("%[0-9]*d", os.path.abspath(self._playlist.parent)):
            raise SinkError(f"{path}: FFmpeg would take a folder's %d for the number of a segment: choose another")
        self._part = PartFile(path, settings.overwrite)
        """Is not written for a camera, as FFmpeg renames its playlists again and again: as long as it is there, nobody
        else writes the playlist and its segments."""
        numbers = self._numbers()
        self._old = [self._segment(number) for number in _belonging(self._playlist).intersection(numbers)]
        self._first = max([int(time.time()), *(number + 1 for number in numbers)])
        self._files = _Files()
        self._writer: VideoWriter | None = None
        self._finished = False
        self.sound = bool(sound)
        self._tracks = sound
        self._early: list[SoundPacket] = []
        """The sound before the first picture."""

    def write(self, frame: Frame) -> None:
        """Encode one picture.

        Raises:
            SinkError: the encoder cannot be opened, the size changed, or a file cannot be written.
        """
        picture = pixels.convert(frame.picture, Sampling.YUV420, self._full_range)
        with self._wrap_errors():
            if self._writer is None:
                self._writer = self._open(picture)
                for packet in self._early:
                    self._writer.write_sound(packet)
                self._early = []
            check_size(picture, self._writer.size, self._playlist)
            self._writer.write(picture)
            self.remark = self._writer.remark
        if self._settings.live and self._old and self._is_listed:
            self._remove_old()

    def write_sound(self, packet: SoundPacket) -> None:
        """Mux sound, once there is a picture.

        Raises:
            SinkError: a file cannot be written.
        """
        if self._writer is None:
            self._early.append(packet)
            return
        with self._wrap_errors():
            self._writer.write_sound(packet)

    def close(self) -> None:
        """Finish the last segment and the playlist.

        Raises:
            SinkError: they cannot be finished; see `discard`.
        """
        if self._finished:
            return
        if self._writer:
            try:
                with self._wrap_errors():
                    self._writer.finish()
            except SinkError:
                self.discard()
                raise
        self._finished = True
        if self._settings.live or self._writer is None:
            self._part.discard()
        else:
            self._part.commit()
        if self._is_listed:
            self._remove_old()

    def discard(self) -> None:
        """Abandon the output: what a camera has sent is kept, the segments of a recording are removed."""
        if self._finished:
            return
        self._finished = True
        if self._writer:
            self._writer.discard()
        if self._settings.live and self._is_listed:
            self._end_playlist()
            self._remove_old()
        else:
            self._remove(*(self._segment(number) for number in self._numbers() if number >= self._first))
        self._part.discard()

    def _end_playlist(self) -> None:
        """Say in a playlist that could not be written any more that nothing comes: players would wait for ever."""
        if self._files.error:
            with contextlib.suppress(OSError), self._playlist.open("a") as file:
                file.write("#EXT-X-ENDLIST\n")

    def _open(self, picture: Picture) -> VideoWriter:
        rate = self._settings.fps or guess_rate(picture.time_base)
        timeline = Timeline(container_time_base("hls", picture.time_base, rate), rate)
        flags = "temp_file+independent_segments"
        live = {
            "hls_list_size": str(_LISTED),
            "hls_delete_threshold": str(_KEPT),
            "hls_flags": f"{flags}+delete_segments+program_date_time",
        }
        options = live if self._settings.live else {"hls_playlist_type": "vod", "hls_flags": flags}
        container = av.open(
            os.path.abspath(self._part.final if self._settings.live else self._part.path),
            "w",
            format="hls",
            # PyAV asks for no file whose name is not UTF-8: FFmpeg opens that itself, and tells of no full disk.
            io_open=self._files.open if _is_utf8(self._part.final) else None,
            container_options={
                "hls_time": str(_SECONDS),
                # Absolute, as a colon ends a protocol's name; FFmpeg would not remove segments of "file:".
                "hls_segment_filename": os.path.abspath(self._playlist.with_name(f"{self._stem}-%d.ts")),
                "start_number": str(self._first),
                "max_interleave_delta": "500000",
                **options,
            },
        )
        return VideoWriter(container, self._encoder, picture, timeline, self._settings.sample_aspect, self._tracks)

    @property
    def _stem(self) -> str:
        return _stem_of_segments(self._playlist)

    def _segment(self, number: int) -> Path:
        return self._playlist.with_name(f"{self._stem}-{number}.ts")

    def _numbers(self) -> list[int]:
        """Numbers of the segments in the folder."""
        name = re.compile(rf"{re.escape(self._stem)}-([0-9]{{1,18}})\.ts")
        with contextlib.suppress(OSError):
            return [int(found[1]) for path in os.listdir(self._playlist.parent) if (found := name.fullmatch(path))]
        return []

    @property
    def _is_listed(self) -> bool:
        """Whether the playlist is this one: until its first segment is whole, the one before stays as it is."""
        return self._first in _belonging(self._playlist)

    def _remove_old(self) -> None:
        self._remove(*self._old)
        self._old = []

    def _remove(self, *paths: Path) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _wrap_errors(self) -> Generator[None, None, None]:
        try:
            yield
            if self._files.error:
                raise self._files.error
        except (FFmpegError, OSError, ValueError) as error:
            raise cannot_write(self._playlist, f"{self._playlist}: writing failed", error) from error


def _stem_of_segments(playlist: Path) -> str:
    """What the names of a playlist's segments begin with.

    A name that is not safe gets a checksum: two words of two Chinese characters each would both be "__", and one camera
    would write over the segments of the other.
    """
    stem = playlist.stem
    safe = _UNSAFE.sub("_", stem)
    return safe if safe == stem else f"{safe}-{zlib.crc32(os.fsencode(stem)):08x}"


def _is_utf8(path: Path) -> bool:
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _belonging(playlist: Path) -> set[int]:
    """Numbers of the segments of a playlist of ours: those that it lists and, of a camera, those that have left it.

    No others: a file with such a name may be somebody else's, and a playlist that was renamed has its segments still.
    """
    name = re.compile(rf"{re.escape(_stem_of_segments(playlist))}-([0-9]{{1,18}})\.ts")
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = playlist.read_text("utf-8", "replace").splitlines()
    listed = {int(found[1]) for line in lines if (found := name.fullmatch(line))}
    if not listed or "#EXT-X-PLAYLIST-TYPE:VOD" in lines:
        return listed
    return listed | set(range(min(listed) - _KEPT, min(listed)))
