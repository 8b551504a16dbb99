"""Video files through FFmpeg's encoders and muxers: exact planes and times, tagged colour."""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from mjpeg_restore.errors import SinkError, reason_of
from mjpeg_restore.frames import FieldOrder, Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.audio import AudioSource, AudioWriter
from mjpeg_restore.sinks.base import OutputSettings, PartFile, check_size
from mjpeg_restore.sinks.encoder import Encoder, check_container, find_encoder, open_stream
from mjpeg_restore.sinks.interlacing import FieldMarker
from mjpeg_restore.sinks.timing import Timeline, avi_origin, avi_time_base, guess_rate, max_step, timescale_options

_CONTAINERS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
}
_DEFAULT_CODEC = {"webm": "av1"}


class VideoFile:
    """An MP4, MOV, MKV, WebM or AVI file, by the file's extension.

    *Samples.* Planes are encoded at their own chroma subsampling. If the encoder does not support it, they are
    converted to the nearest finer one (4:1:1 to 4:2:2, 4:4:0 to 4:4:4), else to 4:2:0. Grey stays grey in FFV1 and gets
    neutral 4:2:0 chroma elsewhere. Encoders that need whole chroma samples (all but FFV1, MJPEG and VP9) get an odd
    width or height rounded up by one, the last column or row repeated: 163x117 in 4:2:0 becomes 164x118.

    *Colour.* BT.601 matrix, sRGB primaries and transfer, centre-sited chroma, and the range are tagged. MJPEG is always
    full range. AVI and MOV have no tag for full range: codecs that do not signal it themselves (FFV1, MPEG-4 Part 2)
    are written in limited range there.

    *Time.* MP4 and MOV store time stamps exactly, in any time base, with a variable rate and any start time. MKV and
    WebM round them to 1 ms. AVI rounds them to frames of its fixed rate, counted from the first picture or sound;
    FFmpeg reads H.264 and HEVC back from AVI with each picture at the next one's time. A time stamp that does not rise
    is moved to one unit after the last one: no picture is lost.

    *Fields.* Interlaced pictures are coded and tagged as interlaced by encoders that support it.

    *Size.* Every picture must have the first one's size.

    The file is written under a temporary name beside the target and renamed by `close`.
    """

    fixed_size = True
    closed = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: OutputSettings | None = None,
        audio: Sequence[AudioSource] = (),
    ) -> None:
        """Check the settings and create the temporary file; the encoder opens with the first picture.

        Args:
            path: the extension names the container.
            settings: all but `image_format`; a missing frame rate is guessed from the time base. The defaults if None.
            audio: tracks of sound; copied if the container supports the codec, else transcoded to AAC (WebM: Opus).

        Raises:
            OutputExists: the file exists and `overwrite` is False.
            SinkError: the extension or encoder is unknown, the container does not support the codec, or the folder
                cannot be written.
        """
        format_name = _CONTAINERS.get(Path(path).suffix.lower())
        if format_name is None:
            raise SinkError(f"{path}: no container has that extension; use one of {' '.join(_CONTAINERS)}")
        self._settings = settings = settings or OutputSettings()
        self._encoder = find_encoder(settings.codec or _DEFAULT_CODEC.get(format_name, "h264"), settings)
        check_container(self._encoder, format_name)
        self._format_name = format_name
        self._full_range = self._encoder.is_full_range(format_name, settings.range)
        self._part = PartFile(path, settings.overwrite)
        self._writer: _Writer | None = None
        self._finished = False
        self._audio = audio
        for track in audio:
            track.enabled = True

    @property
    def remark(self) -> str | None:
        """How chroma, times or sound were changed or lost, in one line; None if they were not."""
        return self._writer.remark if self._writer else None

    def write(self, picture: Picture) -> None:
        """Encode one picture, and mux finished packets and the sound so far.

        Raises:
            SinkError: the encoder cannot be opened, the size changed, or the file cannot be written.
        """
        with self._wrap_errors():
            if self._writer is None:
                self._writer = self._open(picture)
            check_size(picture, self._writer.size, self._part.target)
            self._writer.write(picture)

    def close(self) -> None:
        """Finish the file and rename it to its target; without a picture, remove it.

        Raises:
            SinkError: the file cannot be finished; the temporary file is removed.
        """
        if self._finished:
            return
        if self._writer is None:
            self.discard()
            return
        try:
            with self._wrap_errors():
                self._writer.finish()
        except SinkError:
            self.discard()
            raise
        self._finished = True
        self._part.commit()

    def discard(self) -> None:
        """Remove the temporary file; the target is untouched."""
        if self._finished:
            return
        self._finished = True
        if self._writer is not None:
            self._writer.discard()
        self._part.discard()

    def _open(self, picture: Picture) -> _Writer:
        rate = self._settings.fps or guess_rate(picture.time_base)
        is_avi = self._format_name == "avi"
        time_base = avi_time_base(picture.time_base, rate) if is_avi else picture.time_base
        origin = avi_origin(picture, rate, self._audio) if is_avi else Fraction(0)
        timeline = Timeline(time_base, rate, origin, max_step(self._format_name, time_base), from_zero=is_avi)
        container = av.open(
            f"file:{self._part.path}",  # "file:", or FFmpeg would read a protocol before a colon in the name
            "w",
            format=self._format_name,
            container_options=timescale_options(self._format_name, time_base),
        )
        first = pixels.convert(picture, picture.sampling, self._full_range)
        return _Writer(container, self._encoder, first, timeline, self._settings.sample_aspect, self._audio)

    @contextlib.contextmanager
    def _wrap_errors(self) -> Generator[None, None, None]:
        try:
            yield
        except (FFmpegError, OSError, ValueError, OverflowError) as error:  # the last two: numbers out of range
            reason = reason_of(error)
            raise SinkError(
                f"{self._part.target}: writing {self._encoder.name} failed ({reason}): is there room on the "
                "disk, and does this container hold this codec? .mkv holds nearly all"
            ) from error


class _Writer:
    """An open container with its encoder, from the first picture on.

    Attributes:
        size: (width, height) of every picture.
    """

    def __init__(
        self,
        container: OutputContainer,
        encoder: Encoder,
        first: Picture,
        timeline: Timeline,
        sample_aspect: Fraction,
        audio: Sequence[AudioSource],
    ) -> None:
        self.size = (first.width, first.height)
        self._encoder = encoder
        self._first_sampling = first.sampling
        self._reduced_sampling: Sampling | None = None
        """The latest one that lost chroma samples."""
        self._container = container
        self._timeline = timeline
        self._stream, self._sampling = open_stream(
            container, encoder, first, timeline.time_base, timeline.rate, sample_aspect
        )
        self._full_range = first.full_range
        self._audio = [AudioWriter(track, container, timeline.origin) for track in audio]
        self._field_marker: FieldMarker | None = None
        self._last_frame: av.VideoFrame | None = None
        self._first_dts: int | None = None
        self._written = 0
        container.start_encoding()

    @property
    def remark(self) -> str | None:
        """How chroma, times or sound were changed or lost, in one line; None if they were not."""
        found: list[str] = []
        if self._reduced_sampling:
            what = f"{self._reduced_sampling.label} is written as {self._sampling.label}"
            if pixels.loses_chroma(self._first_sampling, self._sampling):
                found.append(f"{what} by {self._encoder.name}: h264, hevc, vp9 and ffv1 keep its chroma")
            else:
                found.append(f"{what}, because the first picture is {self._first_sampling.label}")
        # Smaller shifts come from the rounded time stamps of a constant rate.
        if self._is_avi and self._timeline.max_shift > self._timeline.time_base / 10:
            by = f"up to {1000 * float(self._timeline.max_shift):.0f} ms"
            found.append(f"AVI moves pictures to whole frames, by {by}: mp4, mov and mkv keep times")
        found += dict.fromkeys(writer.problem for writer in self._audio if writer.problem)
        return "; ".join(found) or None

    def write(self, picture: Picture) -> None:
        """Encode and mux one picture, and mux the sound so far."""
        context = self._stream.codec_context
        if pixels.loses_chroma(picture.sampling, self._sampling):
            self._reduced_sampling = picture.sampling
        converted = pixels.convert(picture, self._sampling, self._full_range)
        frame = pixels.to_frame(converted, str(context.pix_fmt), context.width, context.height)
        for pts in self._timeline.repeats(picture):
            self._encode(self._last_frame or frame, pts, picture.field_order)
        self._last_frame = frame
        self._encode(frame, self._timeline.next(picture), picture.field_order)
        for writer in self._audio:
            writer.mux_pending()
        self._written += 1

    @property
    def _is_avi(self) -> bool:
        return self._container.format.name == "avi"

    def _encode(self, frame: av.VideoFrame, pts: int, order: FieldOrder | None) -> None:
        frame.pts, frame.duration, frame.time_base = pts, self._timeline.duration, self._timeline.time_base
        if order:
            self._field_marker = self._field_marker or FieldMarker(frame, self._timeline.time_base, order)
            frame = self._field_marker(frame)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Sequence[av.Packet[Stream]]) -> None:
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            self._container.mux(packet)

    def finish(self) -> None:
        """Flush the encoders and write the container's trailer."""
        packets = self._stream.encode(None)
        for packet in packets:
            if self._written <= 2:
                packet.dts = packet.pts  # x265 leaves it undefined; one or two pictures are never reordered
        self._extend_last(packets)
        self._mux(packets)
        for writer in self._audio:
            writer.finish()
        self._container.close()

    def _extend_last(self, packets: Sequence[av.Packet[Stream]]) -> None:
        """Lengthen the packet that is decoded last, so that MP4 and MOV show the last picture for its full duration.

        The track ends with that packet, which may be shown before the last picture.
        """
        end = self._timeline.shown_until
        if self._container.format.name not in ("mp4", "mov") or end is None or not packets:
            return
        first, last = self._first_dts, packets[-1].dts
        first = packets[0].dts if first is None else first  # negative where pictures are reordered
        if last is not None and first is not None:
            packets[-1].duration = max(packets[-1].duration or 0, end - last + min(first, 0))

    def discard(self) -> None:
        """Close the file, whatever its state."""
        with contextlib.suppress(FFmpegError, OSError, ValueError):
            self._container.close()
