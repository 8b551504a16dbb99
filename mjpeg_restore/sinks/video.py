"""Video files through FFmpeg's encoders and muxers: planes in as they are, times kept, colour tagged."""

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

from mjpeg_restore.errors import SinkError
from mjpeg_restore.frames import FieldOrder, Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.audio import AudioSource, AudioWriter
from mjpeg_restore.sinks.base import OutputSettings, PartFile, check_size
from mjpeg_restore.sinks.encoder import Encoder, check_container, find_encoder, open_stream
from mjpeg_restore.sinks.interlacing import FieldMarker
from mjpeg_restore.sinks.rate import Timeline, avi_unit, beginning, longest_step, plausible_rate, time_options

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
    """An MP4, MOV, MKV, WebM or AVI file, by the extension of its name.

    *Samples.* Planes are encoded at their own sampling; where the encoder has none such they go to the
    nearest richer one (4:1:1 to 4:2:2, 4:4:0 to 4:4:4), else to 4:2:0. Grey stays grey in FFV1 and gets
    neutral 4:2:0 chroma elsewhere. An encoder that takes whole chroma samples only (all but FFV1, MJPEG and
    VP9) gets an odd width or height rounded up by one, the last column or row repeated: 163x117 in 4:2:0
    becomes 164x118.

    *Colour.* BT.601 matrix, sRGB primaries and transfer, centre-sited chroma, and the range are tagged.
    MJPEG is always full range. AVI and MOV have no tag that says "full": codecs that do not say it themselves
    (FFV1, MPEG-4 Part 2) are written limited there.

    *Time.* Stamps come back exactly from MP4 and MOV, the first one kept as it is, any time base, variable
    rate too. MKV and WebM round to 1 ms by their nature; AVI to the nearest frame of its fixed rate, counted from
    its first picture or sound, and of H.264 and HEVC in it FFmpeg shows each picture at the next one's time. A stamp
    that does not rise is moved to one unit after the one before: no picture is lost.

    *Fields.* Woven ones are coded and tagged as interlaced, by encoders that can.

    *Size.* Every picture must have the first one's.

    The file grows under a temporary name beside the target and gets its own at `close`.
    """

    fixed_size = True
    closed = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: OutputSettings | None = None,
        audio: Sequence[AudioSource] = (),
    ) -> None:
        """Claim the file; the encoder opens with the first picture.

        Args:
            path: the extension names the container.
            settings: all but `image_format`; without a codec it is av1 in WebM, else h264, and without a frame rate
                that is guessed from the time base. The defaults if None.
            audio: tracks of sound to go along; copied where the container holds the codec, else AAC (WebM: Opus).

        Raises:
            OutputExists: the file is there and `overwrite` is False.
            SinkError: unknown extension or encoder, a codec that the container does not hold, or a folder
                that cannot be written.
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
        """What became of chroma, times or the audio that it should not, in one line; None where all is well."""
        return self._writer.remark if self._writer else None

    def write(self, picture: Picture) -> None:
        """Encode one picture and mux what is ready, audio too.

        Raises:
            SinkError: the encoder cannot be opened, the size changed, or the file cannot be written.
        """
        with self._errors_named():
            if self._writer is None:
                self._writer = self._open(picture)
            check_size(picture, self._writer.size, self._part.target)
            self._writer.write(picture)

    def close(self) -> None:
        """Finish the file and give it its name; without a single picture there is none.

        Raises:
            SinkError: it cannot be finished; the temporary file is removed.
        """
        if self._finished:
            return
        if self._writer is None:
            self.discard()
            return
        try:
            with self._errors_named():
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
            self._writer.abandon()
        self._part.discard()

    def _open(self, picture: Picture) -> _Writer:
        rate = self._settings.fps or plausible_rate(picture.time_base)
        time_base = avi_unit(picture.time_base, rate) if self._format_name == "avi" else picture.time_base
        container = av.open(
            f"file:{self._part.path}",  # a path is nothing but a path: no protocol before a colon in it
            "w",
            format=self._format_name,
            container_options=time_options(self._format_name, time_base),
        )
        first = pixels.prepare(picture, picture.sampling, self._full_range)
        avi = self._format_name == "avi"
        origin = beginning(picture, rate, self._audio) if avi else Fraction(0)
        longest = longest_step(self._format_name, time_base)
        timeline = Timeline(time_base, rate, origin, longest, from_zero=avi)
        return _Writer(container, self._encoder, first, timeline, self._settings.sample_aspect, self._audio)

    @contextlib.contextmanager
    def _errors_named(self) -> Generator[None, None, None]:
        try:
            yield
        except (FFmpegError, OSError, ValueError, OverflowError) as error:  # the last two: what FFmpeg cannot be told
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(
                f"{self._part.target}: writing {self._encoder.name} failed ({reason}): is there room on the "
                "disk, and does this container hold this codec? .mkv holds nearly all"
            ) from error


class _Writer:
    """An open container with its encoder: what a VideoFile is from its first picture on.

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
        self._first = first.sampling
        self._reduced: Sampling | None = None
        self._container = container
        self._timeline = timeline
        self._stream, self._sampling = open_stream(
            container, encoder, first, timeline.time_base, timeline.rate, sample_aspect
        )
        self._full_range = first.full_range
        self._audio = [AudioWriter(track, container, timeline.origin) for track in audio]
        self._mark: FieldMarker | None = None
        self._shown: av.VideoFrame | None = None
        self._first_dts: int | None = None
        self._written = 0
        container.start_encoding()

    @property
    def remark(self) -> str | None:
        """What the user should know, in one line."""
        found: list[str] = []
        if self._reduced:
            what = f"{self._reduced.label} is written as {self._sampling.label}"
            if pixels.loses_chroma(self._first, self._sampling):
                found.append(f"{what} by {self._encoder.name}: h264, hevc, vp9 and ffv1 keep its chroma")
            else:
                found.append(f"{what}, for the first picture is {self._first.label}")
        # A rate that is constant may be rounded to the frame.
        if self._is_avi and self._timeline.moved > self._timeline.time_base / 10:
            by = f"up to {1000 * float(self._timeline.moved):.0f} ms"
            found.append(f"AVI moves pictures to whole frames, by {by}: mp4, mov and mkv keep times")
        found += dict.fromkeys(writer.problem for writer in self._audio if writer.problem)
        return "; ".join(found) or None

    def write(self, picture: Picture) -> None:
        """Encode and mux one picture, and the audio that has come meanwhile."""
        context = self._stream.codec_context
        if pixels.loses_chroma(picture.sampling, self._sampling):
            self._reduced = picture.sampling
        ready = pixels.prepare(picture, self._sampling, self._full_range)
        frame = pixels.to_frame(ready, str(context.pix_fmt), context.width, context.height)
        for pts in self._timeline.repeats(picture):
            self._encode(self._shown or frame, pts, picture.field_order)
        self._shown = frame
        self._encode(frame, self._timeline.next(picture), picture.field_order)
        for writer in self._audio:
            writer.drain()
        self._written += 1

    @property
    def _is_avi(self) -> bool:
        return self._container.format.name == "avi"

    def _encode(self, frame: av.VideoFrame, pts: int, order: FieldOrder | None) -> None:
        frame.pts, frame.duration, frame.time_base = pts, self._timeline.duration, self._timeline.time_base
        if order:
            self._mark = self._mark or FieldMarker(frame, self._timeline.time_base, order)
            frame = self._mark(frame)
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Sequence[av.Packet[Stream]]) -> None:
        for packet in packets:
            if self._first_dts is None:
                self._first_dts = packet.dts
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoders still hold, and the container's index."""
        packets = self._stream.encode(None)
        for packet in packets:
            if self._written <= 2:
                packet.dts = packet.pts  # x265 leaves it undefined; so few pictures cannot be reordered
        self._hold(packets)
        self._mux(packets)
        for writer in self._audio:
            writer.finish()
        self._container.close()

    def _hold(self, packets: Sequence[av.Packet[Stream]]) -> None:
        """MP4 and MOV last until the packet ends that is decoded last, which may be shown before the last one."""
        end = self._timeline.held_until
        if self._container.format.name not in ("mp4", "mov") or end is None or not packets:
            return
        first, last = self._first_dts, packets[-1].dts
        first = packets[0].dts if first is None else first  # before 0 where pictures change their order
        if last is not None and first is not None:
            packets[-1].duration = max(packets[-1].duration or 0, end - last + min(first, 0))

    def abandon(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(FFmpegError, OSError, ValueError):
            self._container.close()
