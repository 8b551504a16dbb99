"""Video files through FFmpeg's encoders and muxers: exact planes and times, tagged colour."""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError

from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.frames import Frame, Picture, SoundPacket
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import BaseSink, OutputSettings, PartFile, check_size
from mjpeg_restore.sinks.containers import check_container
from mjpeg_restore.sinks.encoder import Encoder, find_encoder
from mjpeg_restore.sinks.stills import EXTENSIONS
from mjpeg_restore.sinks.target import cannot_write
from mjpeg_restore.sinks.timing import (
    Timeline,
    container_time_base,
    guess_rate,
    max_repeats,
    max_step,
    period,
    start_time,
    timescale_options,
)
from mjpeg_restore.sinks.writer import VideoWriter
from mjpeg_restore.sound import SoundTrack

CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
    ".ts": "mpegts",
}
"""FFmpeg's names of containers by file extension."""
_OTHERS = (".y4m", ".m3u8", *EXTENSIONS)
"""File extensions of other outputs, for messages."""
_UNKNOWN_PICTURES = (".webp", ".tif", ".tiff", ".bmp")
"""File extensions of pictures that no output writes."""
_DEFAULT_CODEC = {"webm": "vp9"}
"""h264 for other containers. Not AV1: one of some thousand recordings makes SVT-AV1 4.1 fail, or wait for itself."""

# Fragments and clusters of half a second, each written out when it is complete: so much is lost at most.
_FRAGMENTED = {
    # `delay_moov`, since an earlier header has no start time. No index (mfra): it would grow in memory, as would the
    # one of `hybrid_fragmented`: 76 bytes a picture, 2 GB in ten days.
    "movflags": "+delay_moov+default_base_moof+skip_trailer",
    "frag_duration": "500000",
}
_CLUSTERED = {"cluster_time_limit": "500"}
_AT_ONCE = {"flush_packets": "1", "max_interleave_delta": "500000"}
"""Write at once, and wait half a second for a sound track that pauses: FFmpeg would wait for ten."""
_LIVE_OPTIONS = {
    "mp4": {**_FRAGMENTED, **_AT_ONCE},
    "mov": {**_FRAGMENTED, **_AT_ONCE},
    "matroska": {**_CLUSTERED, **_AT_ONCE},
    "webm": {**_CLUSTERED, **_AT_ONCE},
    "mpegts": _AT_ONCE,
}
"""Muxer options that keep a file playable at any time, by container."""


def choose_format(path: str | os.PathLike[str], settings: OutputSettings) -> tuple[str, Encoder]:
    """FFmpeg's name of a video file's container, and the encoder; nothing is written yet.

    Args:
        path: the extension names the container.
        settings: the user's choices.

    Raises:
        SinkError: the extension or encoder is unknown, a setting is out of its range or has no effect on the encoder,
            the container does not support the codec, or the source is live and the container AVI or the encoder
            SVT-AV1.
    """
    format_name = CONTAINERS.get(Path(path).suffix.lower())
    if format_name is None:
        is_picture = Path(path).suffix.lower() in _UNKNOWN_PICTURES
        known = "pictures are .png or .jpg" if is_picture else f"use one of {' '.join((*CONTAINERS, *_OTHERS))}"
        raise SinkError(f"{path}: no output has that extension; {known}")
    if settings.live and format_name not in _LIVE_OPTIONS:
        raise SinkError(f"{path}: an AVI that is not finished cannot be played; record live video to .mkv or .mp4")
    encoder = find_encoder(settings.codec or _DEFAULT_CODEC.get(format_name, "h264"), settings)
    check_container(encoder, format_name)
    if encoder.full_range_only and settings.range != "full":
        message = f"range has no effect on {encoder.name}, which is always full range"
        raise SinkError(message, Hint("leave {range} out, or choose another codec", range=None))
    return format_name, encoder


def open_timeline(
    format_name: str, encoder: Encoder, first: Picture, settings: OutputSettings, origin: Fraction
) -> Timeline:
    """The time line of a video file.

    Args:
        format_name: FFmpeg's name of the container.
        encoder: of the pictures.
        first: the first picture.
        settings: `fps` and `live`.
        origin: see `start_time`.
    """
    rate = settings.fps or guess_rate(first.time_base)
    time_base = container_time_base(format_name, first.time_base, rate)
    return Timeline(
        time_base,
        rate,
        origin,
        max_step(format_name, time_base, reorders=encoder.reorders),
        from_zero=format_name == "avi",
        max_repeats=max_repeats(live=settings.live, reorders=encoder.reorders),
        period=period(format_name),
    )


def open_container(
    path: str | os.PathLike[str],
    format_name: str,
    timeline: Timeline,
    settings: OutputSettings,
    options: Mapping[str, str] | None = None,
) -> OutputContainer:
    """Open a container for writing, with the options that keep the time line exact, and others of the muxer."""
    exact = {"fflags": "+bitexact"} if settings.reproducible else {}
    return av.open(
        f"file:{os.fspath(path)}",  # "file:", or FFmpeg would read a protocol before a colon in the name
        "w",
        format=format_name,
        container_options={**timescale_options(format_name, timeline.time_base), **exact, **(options or {})},
    )


class VideoFile(BaseSink):
    """An MP4, MOV, MKV, WebM, AVI or MPEG-TS file, by the file's extension.

    *Samples.* Planes are encoded at the stream's chroma subsampling; chroma that a model restored at luma's size is
    averaged to it, but for FFV1, which loses nothing. If the encoder does not support it, they are converted to the
    nearest finer one (4:1:1 to 4:2:2, 4:4:0 to 4:4:4), else to 4:2:0. Grey stays grey in FFV1 and gets neutral 4:2:0
    chroma elsewhere. Encoders that need whole chroma samples (all but FFV1, MJPEG and VP9) get an odd width or height
    rounded up by one, the last column or row repeated: 163x117 in 4:2:0 becomes 164x118.

    *Colour.* BT.601 matrix, sRGB primaries and transfer, centre-sited chroma, and the range are tagged. MJPEG is always
    full range, VP8 and MPEG-2 are always limited. AVI and MOV have no tag for full range: codecs that do not signal it
    themselves (FFV1, MPEG-4 Part 2) are written in limited range there.

    *Time.* MP4 and MOV store time stamps exactly, in any time base, with a variable rate and any start time from 0 on;
    MKV and WebM round them to 1 ms, MPEG-TS to 1/90000 s. Where the first picture comes before 0, all pictures and
    sound are moved until it is at 0. MPEG-TS has no negative ones: where the encoder reorders pictures and the first
    one is decoded before 0, all pictures and sound are moved until it is at 0. AVI rounds them to frames of its fixed
    rate, counted from the first picture or sound; FFmpeg reads H.264 and HEVC back from AVI with each picture at the
    next one's time. A time stamp that does not rise is moved to one unit after the last one: no picture is lost.

    *Fields.* Interlaced pictures are coded and tagged as interlaced by encoders that support it.

    *Size.* Every picture must have the first one's size.

    The file is written under a temporary name beside the target and renamed by `close`.

    *Live.* If the program is killed, the recording of a live source ends at most half a second, or one picture, before
    that, and can be played. For this, MP4 and MOV are written in fragments, MKV and WebM in short clusters, there is a
    key frame at least every two seconds, and the encoder holds back no picture, unless `options` make it.
    The file gets its final name with the first fragment, which in MP4 and MOV needs a packet of each track of sound. It
    keeps that name even if the run fails: `discard` finishes the file, or ends it with the last whole fragment if it
    cannot be written. (Windows cannot rename an open file: there it has the name from the first picture on, and a file
    that it replaces is lost then.) Such an MP4 or MOV has no index, so that memory does not grow: players seek in it
    less quickly. MKV and WebM keep 40 bytes in memory for each key frame: 17 MB in ten days, but 1 GB with MJPEG or
    FFV1 at 30 pictures a second, which have no other frames; there, `Segments` limits it. AVI is refused: without its
    end it cannot be played. `creation_time` is the wall clock at the first picture.
    """

    fixed_size = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: OutputSettings | None = None,
        sound: Sequence[SoundTrack] = (),
    ) -> None:
        """Check the settings and create the temporary file; the encoder opens with the first picture.

        Args:
            path: the extension names the container.
            settings: all but `image_format`; a missing frame rate is guessed from the time base. The defaults if None.
            sound: tracks of sound; copied if the container supports the codec, else transcoded to AAC (WebM: Opus).

        Raises:
            OutputExists: the file exists and `overwrite` is False.
            SinkError: see `choose_format`; or the folder cannot be written.
        """
        self._settings = settings = settings or OutputSettings()
        self._format_name, self._encoder = choose_format(path, settings)
        self._full_range = self._encoder.is_full_range(self._format_name, settings.range)
        self._part = PartFile(path, settings.overwrite, live=settings.live)
        self._writer: VideoWriter | None = None
        self._finished = False
        self._broken = False
        """True once FFmpeg could not write: more would only do harm."""
        self._whole = 0
        """Bytes of a live file's header and whole fragments."""
        self.sound = bool(sound)
        self._tracks = sound
        self._early: list[SoundPacket] = []
        """The sound before the first picture."""

    @property
    def size(self) -> int:
        """Bytes in the file so far, without what encoder and muxer hold back.

        Raises:
            SinkError: the file was removed.
        """
        return self._part.size()

    def write(self, frame: Frame) -> None:
        """Encode one picture, and mux finished packets.

        Raises:
            SinkError: the encoder cannot be opened, the size changed, the file cannot be written, or a live file was
                removed.
        """
        picture = frame.picture
        with self._wrap_errors():
            if self._writer is None:
                self._writer = self._open(picture)
                self._whole = self.size
                for packet in self._early:
                    self._writer.write_sound(packet)
                self._early = []
            check_size(picture, self._writer.size, self._part.target)
            self._writer.write(picture)
            self.remark = self._writer.remark
        if self._settings.live:
            self._show()

    def write_sound(self, packet: SoundPacket) -> None:
        """Mux sound, once there is a picture.

        Raises:
            SinkError: the file cannot be written.
        """
        if self._writer is None:
            self._early.append(packet)
            return
        with self._wrap_errors():
            self._writer.write_sound(packet)

    def _show(self) -> None:
        """Give a live file its name once it has a fragment."""
        size = self.size
        if size > self._whole:
            self._part.commit()
        self._whole = size

    def close(self) -> None:
        """Finish the file and rename it to its target; without a picture, remove it.

        Raises:
            SinkError: the file cannot be finished; it is discarded.
        """
        if self._finished:
            return
        if self._writer is None:
            self.discard()
            return
        try:
            with self._wrap_errors():
                self._writer.finish()
                self.remark = self._writer.remark
        except SinkError:
            self.discard()
            raise
        self._finished = True
        self._part.commit()

    def discard(self) -> None:
        """Remove the temporary file; the target is untouched. A live file is kept, as far as it was written."""
        if self._finished:
            return
        if self._settings.live and self._writer and not self._broken:
            with contextlib.suppress(SinkError):
                self.close()
            return
        self._finished = True
        if self._writer is not None:
            self._writer.discard()
        if self._part.committed:
            self._part.truncate(self._whole)  # FFmpeg reads no MP4 with half a fragment header
        self._part.discard()

    def _open(self, picture: Picture) -> VideoWriter:
        rate = self._settings.fps or guess_rate(picture.time_base)
        origin = start_time(self._format_name, picture, rate, self._early)
        timeline = open_timeline(self._format_name, self._encoder, picture, self._settings, origin)
        live_options = _LIVE_OPTIONS[self._format_name] if self._settings.live else {}
        container = open_container(self._part.path, self._format_name, timeline, self._settings, live_options)
        if self._settings.live:
            container.metadata["creation_time"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        first = pixels.convert(picture, picture.sampling, self._full_range)
        aspect = self._settings.sample_aspect
        return VideoWriter(container, self._encoder, first, timeline, aspect, self._tracks)

    @contextlib.contextmanager
    def _wrap_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except (FFmpegError, OSError, ValueError, OverflowError) as error:  # the last two: numbers out of range
            self._broken = True
            what = f"{self._part.target}: writing {self._encoder.name} failed"
            raise cannot_write(self._part.target, what, error, self._doubt) from error

    @property
    def _doubt(self) -> str:
        """What may be wrong where FFmpeg does not say it."""
        if given := self._settings.options:  # an encoder obeys also those that contradict the pictures: video_size
            return f"leave out what does not fit of the encoder's options, {', '.join(sorted(given))}"
        return "" if self._format_name == "matroska" else "does this container hold this codec? .mkv holds nearly all"
