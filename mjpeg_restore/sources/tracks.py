"""What a container holds: its Motion-JPEG track, its sound, and what it says of both."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.sources.base import AudioTrack, SourceInfo
from mjpeg_restore.sources.probe import Readable
from mjpeg_restore.sources.timing import kept_duration

_CODEC_NAMES = {
    "h264": "H.264",
    "hevc": "HEVC (H.265)",
    "mpeg4": "MPEG-4",
    "mpeg2video": "MPEG-2",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "prores": "ProRes",
    "dvvideo": "DV",
    "rawvideo": "uncompressed video",
    "ljpeg": "lossless JPEG",
    "jpegls": "JPEG-LS",
    "jpeg2000": "JPEG 2000",
}
# Where FFmpeg finds nothing that it knows it goes by the name, and takes anything for a stream of JPEGs.
_RAW = frozenset({"mjpeg", "mpjpeg", "image2", "jpeg_pipe"})
# S6, S7: JPEG inside, but without the markers, or with Avid's own; their coefficients are out of reach.
_UNREADABLE = {"mjpegb": "Motion-JPEG B", "avrn": "Avid's AVRn", "amv": "AMV", "smvjpeg": "SigmaTel's SMV"}

_COUNTED_FROM_ZERO = frozenset({"matroska,webm", "nut"})

PIPED_HINT = "MOV and MP4 that keep their index at the end cannot be read from a pipe, give the file itself"


def is_piped(target: str | Readable) -> bool:
    """Whether what `open_container` opens cannot seek."""
    return not isinstance(target, str) and not hasattr(target, "seek")


def open_container(target: str | Readable, name: str) -> InputContainer:
    """Open a path, or a stream that need not seek.

    Raises:
        SourceError: FFmpeg cannot.
    """
    # A path is nothing but a path: no protocol before it, no reference that leads to a network.
    where = f"file:{target}" if isinstance(target, str) else target
    try:
        container = av.open(where, "r", container_options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError) as error:
        hint = (
            PIPED_HINT
            if is_piped(target)
            else "it is damaged, cut off before its index was written, or of a kind that FFmpeg does not know"
        )
        raise SourceError(f"cannot open {name} ({error.strerror or error}): {hint}") from None
    if container.format.name in _RAW:
        container.close()
        raise SourceError(f"cannot open {name}: it is named like a JPEG stream but holds no JPEG picture")
    return container


def mjpeg_track(container: InputContainer, name: str) -> VideoStream:
    """The first Motion-JPEG track; cover pictures do not count.

    Raises:
        NotMjpeg: there is none; the message names what there is.
    """
    cover = Disposition.attached_pic
    videos = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not videos:
        raise NotMjpeg(f"{name} holds no video track: give a Motion-JPEG recording, or a folder of JPEGs")
    for stream in videos:
        if _codec(stream) == "mjpeg" and _tag(stream) != "AVRn":
            return stream
    codec = _codec(videos[0])
    if _tag(videos[0]) == "AVRn":
        codec = "avrn"
    if codec in _UNREADABLE:
        raise NotMjpeg(
            f"{name} holds {_UNREADABLE[codec]}, whose JPEG coefficients cannot be reached: record or export "
            "it as plain Motion-JPEG (MJPEG-A); FFmpeg can only decode it, and that leaves nothing to restore"
        )
    raise NotMjpeg(
        f"{name} holds {_CODEC_NAMES.get(codec, codec)}, not Motion-JPEG: there are no JPEG coefficients to "
        "restore; give the camera's own MJPEG recording (converting this file would not bring them back)"
    )


def _codec(stream: VideoStream) -> str:
    if not stream.codec_context:  # the stubs know no stream without a decoder; FFmpeg does
        return f"an unknown codec ({_tag(stream) or 'no tag'})"
    return stream.codec_context.codec.canonical_name


def _tag(stream: Stream) -> str:
    return stream.codec_tag.strip("\x00 ")


def time_base(stream: Stream) -> Fraction:
    """Seconds per tick of a stream."""
    return Fraction(stream.time_base or Fraction(1, 1000))


def audio_track(container: InputContainer) -> AudioTrack | None:
    """The first track of sound that can be copied, or None."""
    for stream in container.streams.audio:
        # Some webcams announce a sound track that no packet ever follows; its index is empty then.
        silent = container.format.name == "avi" and not stream.duration and not len(stream.index_entries)
        if stream.codec_context and stream.sample_rate and not silent:
            return AudioTrack(stream, MappingProxyType(dict(stream.metadata)))
    return None


def describe(
    container: InputContainer,
    track: VideoStream,
    name: str,
    start: Fraction | None,
    duration: Fraction | None,
) -> SourceInfo:
    """What is known before reading, as far as `start` and `duration`, in seconds, keep it."""
    total = duration_of(container, track)
    kept = kept_duration(total, start, duration)
    fps = _rate(track)
    frames = track.frames or None
    if container.format.name == "avi" and len(track.index_entries) > 1:
        # AVI writes a variable rate as a fast constant one with empty frames; the index lists the real ones.
        ticks = [entry.timestamp for entry in track.index_entries if entry.size]
        frames, span = len(ticks), ticks[-1] - ticks[0] if ticks else 0
        if frames - 1 < span * 9 // 10:
            fps = ((frames - 1) / (span * time_base(track))).limit_denominator(1000)
    if frames is None and total and fps:
        frames = round(total * fps)
    if frames and total and kept is not None:
        frames = round(frames * min(kept / total, 1))
    return SourceInfo(
        name=name,
        kind="container",
        format=container.format.long_name,
        origin="container",
        time_base=time_base(track),
        frames=frames,
        fps=Fraction(fps) if fps else None,
        duration=kept,
        width=track.width or None,
        height=track.height or None,
        sample_aspect=Fraction(track.sample_aspect_ratio or 1),
        codec_tag=_tag(track),
        metadata=MappingProxyType(dict(container.metadata)),
    )


def _rate(track: VideoStream) -> Fraction | None:
    """Nominal pictures a second: the average, unless long pauses make it of no use."""
    average, usual = track.average_rate, track.guessed_rate
    return usual if not average or (usual and usual > 2 * average) else average


def duration_of(container: InputContainer, track: VideoStream) -> Fraction | None:
    """Seconds from the first packet on, as the container states them: of the track, else of the whole."""
    from_zero = container.format.name in _COUNTED_FROM_ZERO
    if track.duration is not None:  # these state none of a track: it is FFmpeg's guess, by the bit rate of the sound
        return None if from_zero else track.duration * time_base(track)
    if not container.duration:
        return None
    length, begin = (Fraction(ticks or 0, av.time_base) for ticks in (container.duration, container.start_time))
    # Most muxers count these from 0, however late the first packet is; those that do not show it by a length too short.
    return length - begin if from_zero and length > begin else length


def stated_duration(container: InputContainer, track: VideoStream) -> Fraction | None:
    """Seconds that were once recorded: for a truncated AVI, FFmpeg's duration is what is left."""
    if container.format.name == "avi" and track.frames:
        return track.frames * time_base(track)
    return duration_of(container, track)
