"""Chooses the video and audio tracks of a container, and lists all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from types import MappingProxyType
from typing import Literal

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from mjpeg_restore.errors import Hint, NotMjpeg, SourceError
from mjpeg_restore.sound import SoundTrack
from mjpeg_restore.sources.base import TrackInfo
from mjpeg_restore.sources.lookahead import MAX_PACKETS, Lookahead
from mjpeg_restore.sources.tracks import codec_tag, printable, time_base

SoundChoice = int | Literal["all"]
"""The number of an audio track, from 1, or all of them."""

_CODEC_NAMES = {
    "mjpeg": "Motion-JPEG",
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
# S6, S7: JPEG without markers, or with Avid's own: the coefficients cannot be read.
_UNREADABLE = {"mjpegb": "Motion-JPEG B", "avrn": "Avid's AVRn", "amv": "AMV", "smvjpeg": "SigmaTel's SMV"}

_MIN_RATE, _MAX_RATE = 1000, 1_000_000
_MAX_CHANNELS = 32
_CHANNELS = {1: "mono", 2: "stereo"}

_PREVIEW_DURATION = Fraction(1, 2)
"""A track that is shorter than this share of another is a preview of it."""
_PREVIEW_PICTURES = Fraction(1, 10)
"""A track with at most this share of another's pictures is a preview of it."""
_SINGLE_PREVIEW = 4
"""A single picture beside a track of at least so many is a preview of it."""
_COUNTED_PICTURES = 96
"""Packets that are counted if the container does not state the number of pictures."""


def choose_video(container: InputContainer, ahead: Lookahead, name: str, number: int | None = None) -> VideoStream:
    """Choose the Motion-JPEG track; cover pictures do not count.

    Args:
        container: the opened container.
        ahead: its next packets, which are counted if the container does not state numbers of pictures.
        name: the source's name in messages.
        number: number of the track, from 1; None: the first that is not a preview of another.

    Raises:
        NotMjpeg: there is none, or only a preview of a recording in another codec, which the message names.
        SourceError: there is no track of that number.
    """
    videos = _videos(container)
    if not videos:
        raise NotMjpeg(f"{name} holds no video track: give a Motion-JPEG recording, or a folder of JPEGs")
    candidates = [stream for stream in videos if is_mjpeg(stream)]
    if not candidates:
        raise _not_mjpeg(videos[0], name)
    if number is not None:
        if number > len(candidates):
            raise SourceError(f"{name} holds {_counted(len(candidates), 'Motion-JPEG')}: there is no number {number}")
        return candidates[number - 1]
    if len(videos) == 1:
        return candidates[0]
    extents = _extents(videos, ahead)
    for stream in candidates:
        if not any(_is_preview(extents[stream.index], extents[other.index]) for other in videos):
            return stream
    main = next((stream for stream in videos if not is_mjpeg(stream)), None)
    if main is None:
        return candidates[0]
    codec = _codec(main)
    raise NotMjpeg(
        f"{name} holds {_name_of(codec)}, and its Motion-JPEG track is only a preview",
        Hint("{track} restores the preview", track=1),
    )


_OTHER = Hint("leave out {audio_track}, or give another number", audio_track=None)


def choose_sound(container: InputContainer, name: str, choice: SoundChoice | None = None) -> tuple[SoundTrack, ...]:
    """The chosen audio tracks; if `choice` is None, the first that FFmpeg can copy.

    Raises:
        SourceError: there is no track of that number, or FFmpeg cannot copy it.
    """
    sounds = _sounds(container)
    copyable = [stream for stream in sounds if _can_be_copied(stream)]
    if choice is None:
        copyable = copyable[:1]
    elif choice != "all":
        if choice > len(sounds):
            raise SourceError(f"{name} holds {_counted(len(sounds), 'sound')}: there is no number {choice}", _OTHER)
        copyable = [sounds[choice - 1]]
        if not _can_be_copied(copyable[0]):
            raise SourceError(f"{name}: sound track {choice} is of a kind that FFmpeg cannot copy", _OTHER)
    return tuple(SoundTrack(stream, MappingProxyType(dict(stream.metadata))) for stream in copyable)


def list_tracks(container: InputContainer, video: VideoStream, sound: Sequence[SoundTrack]) -> tuple[TrackInfo, ...]:
    """All video and audio tracks; Motion-JPEG and audio tracks have the numbers that select them."""
    tracks: list[TrackInfo] = []
    number = 0
    for stream in _videos(container):
        number += is_mjpeg(stream)
        size = f"{stream.width}x{stream.height}" if stream.codec_context else ""
        own = number if is_mjpeg(stream) else None
        tracks.append(_track_info(stream, "video", own, size, chosen=stream.index == video.index))
    chosen = {track.stream.index for track in sound}
    for number, stream in enumerate(_sounds(container), 1):
        format = _sound_format(stream) if _can_be_copied(stream) else ""
        tracks.append(_track_info(stream, "sound", number, format, chosen=stream.index in chosen))
    return tuple(tracks)


def _track_info(
    stream: VideoStream | AudioStream, kind: Literal["video", "sound"], number: int | None, format: str, *, chosen: bool
) -> TrackInfo:
    codec = _codec(stream)
    labels = stream.metadata
    language, title = labels.get("language", ""), labels.get("title", labels.get("name", ""))  # "name" in MOV
    language = "" if language == "und" else language
    name = _name_of(codec)
    return TrackInfo(kind, number, name, format, printable(language), printable(title), chosen)


def _sound_format(stream: AudioStream) -> str:
    number = stream.codec_context.channels
    return f"{stream.sample_rate} Hz {_CHANNELS.get(number, f'{number} channels')}"


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what} track{'' if number == 1 else 's'}"


def _videos(container: InputContainer) -> list[VideoStream]:
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _sounds(container: InputContainer) -> list[AudioStream]:
    """The audio tracks. Some webcams declare one without any packets, which in AVI shows in an empty index."""
    avi = container.format.name == "avi"
    return [stream for stream in container.streams.audio if not avi or stream.duration or len(stream.index_entries)]


def _can_be_copied(stream: AudioStream) -> bool:
    """Whether FFmpeg can copy a track. Absurd rates and channel counts would make hours or gigabytes of a few bytes."""
    return bool(
        stream.codec_context
        and _MIN_RATE <= stream.sample_rate <= _MAX_RATE
        and 1 <= stream.codec_context.channels <= _MAX_CHANNELS
    )


def is_mjpeg(stream: VideoStream) -> bool:
    """Whether a track holds Motion-JPEG with coefficients that can be read."""
    return _codec(stream) == "mjpeg"


def codec_name(stream: Stream) -> str:
    """A name of a track's codec for messages: "H.264"."""
    return _name_of(_codec(stream))


def _name_of(codec: str) -> str:
    return _CODEC_NAMES.get(codec, codec)


def _codec(stream: Stream) -> str:
    if not stream.codec_context:  # None if FFmpeg has no decoder, which PyAV's stubs do not say
        return "an unknown codec"
    return "avrn" if codec_tag(stream) == "AVRn" else stream.codec_context.codec.canonical_name


def _not_mjpeg(stream: VideoStream, name: str) -> NotMjpeg:
    codec = _codec(stream)
    if codec in _UNREADABLE:
        return NotMjpeg(
            f"{name} holds {_UNREADABLE[codec]}, whose JPEG coefficients cannot be reached: record or export "
            "it as plain Motion-JPEG (MJPEG-A); FFmpeg can only decode it, and that leaves nothing to restore"
        )
    return NotMjpeg(
        f"{name} holds {_name_of(codec)}, not Motion-JPEG: there are no JPEG coefficients to "
        "restore; give the camera's own MJPEG recording (converting this file would not bring them back)"
    )


_Extent = tuple[Fraction | None, int | None]
"""Duration in seconds and number of pictures of a track; None if unknown."""


def _extents(videos: Sequence[VideoStream], ahead: Lookahead) -> dict[int, _Extent]:
    """The extents of the tracks, by stream index."""
    numbers = {stream.index: _stated_pictures(stream) for stream in videos}
    if None in numbers.values():
        packets = islice(ahead.peek(), MAX_PACKETS)
        pictures = (packet.stream_index for packet in packets if packet.size and packet.stream_index in numbers)
        counted = Counter(islice(pictures, _COUNTED_PICTURES))
        numbers = {index: counted[index] for index in numbers}
    return {stream.index: (_seconds(stream), numbers[stream.index]) for stream in videos}


def _seconds(stream: VideoStream) -> Fraction | None:
    if stream.duration is not None:
        return stream.duration * time_base(stream)
    return _matroska_seconds(stream.metadata.get("DURATION", ""))


def _matroska_seconds(text: str) -> Fraction | None:
    """Seconds of a track's DURATION tag, such as 00:00:01.200000000."""
    try:
        hours, minutes, seconds = map(Fraction, text.split(":"))
    except (ValueError, ZeroDivisionError):
        return None
    return 3600 * hours + 60 * minutes + seconds


def _stated_pictures(stream: VideoStream) -> int | None:
    if stream.container.format.name == "avi":  # the header also counts empty chunks
        return sum(entry.size > 0 for entry in stream.index_entries) or None
    if stream.frames:
        return stream.frames
    tag = stream.metadata.get("NUMBER_OF_FRAMES", "")
    return int(tag) if tag.isdecimal() and len(tag) < 10 else None


def _is_preview(track: _Extent, other: _Extent) -> bool:
    (seconds, count), (other_seconds, other_count) = track, other
    if seconds is not None and other_seconds is not None and seconds < _PREVIEW_DURATION * other_seconds:
        return True
    if count is None or other_count is None:
        return False
    return count <= _PREVIEW_PICTURES * other_count or (count <= 1 and other_count >= _SINGLE_PREVIEW)
