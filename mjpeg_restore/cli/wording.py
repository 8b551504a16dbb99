"""Errors and remarks in the command's own words: settings by the names of its options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.sources import TrackInfo

_OPTIONS = {
    "codec": "-c",
    "overwrite": "-y",
    "options": "--encoder-option",
    "new_file_on_resize": "--on-resize new-file",
    "verify_tls": "--insecure",
}
"""Options that are not called like the setting."""


def option(setting: str, value: str | int | None = None) -> str:
    """A setting, and a value for it, as they are typed: "--on-corrupt pass", "-y", "--insecure"."""
    name = _OPTIONS.get(setting, f"--{setting.replace('_', '-')}")
    return name if value is None or isinstance(value, bool) else f"{name} {value}"


def joined(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def worded(error: Exception) -> str:
    """An error in one line, the hint of one of ours in options."""
    if isinstance(error, MjpegRestoreError) and error.hint:
        return f"{error.message}: {error.hint.worded(option)}"
    return str(error)


def left_out(tracks: Sequence[TrackInfo], *, sound: bool) -> Iterator[str]:
    """A sentence for each track that is left out, and how to have it.

    Args:
        tracks: all tracks of a container.
        sound: include the audio tracks.
    """
    for track in tracks:
        if track.chosen or (track.kind == "sound" and not sound):
            continue
        words = described(track)
        if track.number is None:
            yield f"a video track is left out ({words}): it is not Motion-JPEG"
            continue
        total = sum(other.number is not None for other in tracks if other.kind == track.kind)
        what = "track" if track.kind == "video" else "sound track"
        yield f"{what} {track.number} of {total} is left out ({words}): {_remedy(track, track.number)}"


def described(track: TrackInfo) -> str:
    """Codec, format, language and title of a track, as far as they are known."""
    return ", ".join(filter(None, (track.codec, track.format, track.language, track.title)))


def _remedy(track: TrackInfo, number: int) -> str:
    if track.kind == "video":
        return f"{option('track', number)} restores it"
    if not track.format:
        return "FFmpeg cannot copy it"
    return f"{option('audio_track', number)} takes it, all takes every one"
