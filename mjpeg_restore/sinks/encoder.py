"""Video encoders: their names, how each is told quality and speed, and opening one."""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import math
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import av
import av.logging
from av.codec.context import Flags
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from mjpeg_restore.errors import Hint, SinkError
from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import OutputSettings, Range
from mjpeg_restore.sinks.interlacing import announce

_FRIENDLY = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}

# The encoder's own words for quality and speed; the defaults keep up with a camera on two cores while the
# restored detail survives.
_DEFAULTS: dict[str, dict[str, str]] = {
    # Half the time of veryfast at crf 18 and 0.8 dB nearer to the restored picture, for files half as large again.
    "libx264": {"crf": "20", "preset": "superfast"},
    "libx265": {"crf": "20", "preset": "superfast"},
    "libsvtav1": {"crf": "24", "preset": "10"},
    "libvpx-vp9": {"crf": "24", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"},
    "mjpeg": {"q": "2"},
    "png": {"compression_level": "1", "pred": "sub"},  # 8 times as fast as FFmpeg's default, 5 % larger
    "h264_nvenc": {"cq": "19"},
    "hevc_nvenc": {"cq": "21"},
    "av1_nvenc": {"cq": "26"},
}
_QUALITY = {"mjpeg": "q", "h264_nvenc": "cq", "hevc_nvenc": "cq", "av1_nvenc": "cq"}
"""Where the option for constant quality is not called `crf`."""

# x264 itself prints what it does not know to standard error, past FFmpeg's log: it is not asked.
_X264 = {
    "preset": r"ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo",
    "tune": r"film|animation|grain|stillimage|psnr|ssim|fastdecode|zerolatency",
    "profile": r"baseline|main|high|high10|high422|high444",
}


WORST_X264 = 51
"""x264 takes larger numbers for this one."""

_LISTENING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder that exists, with the options that it will be opened with."""

    codec: av.Codec
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """FFmpeg's name of it."""
        return self.codec.name

    @property
    def full_range_only(self) -> bool:
        """True for JPEG, which knows no limited range."""
        return self.name == "mjpeg"

    @property
    def tags_itself(self) -> bool:
        """True where the coded stream says its range by itself, whatever the container keeps."""
        return self.codec.canonical_name in {"h264", "hevc", "av1", "vp9", "mjpeg"}

    def is_full_range(self, format_name: str, wanted: Range) -> bool:
        """Whether samples are written in full range, into a container of that format."""
        if self.full_range_only:
            return True
        if format_name in ("avi", "mov") and not self.tags_itself:
            return False  # untagged video is shown as limited range
        return wanted == "full"


def find_encoder(name: str, settings: OutputSettings | None = None) -> Encoder:
    """Look an encoder up and translate the settings' `crf` and `preset` into its own options.

    Raises:
        SinkError: there is no video encoder of that name, or it does not take such a setting.
    """
    settings = settings or OutputSettings()
    crf = settings.crf
    name = _FRIENDLY.get(name, name)
    try:
        codec = av.Codec(name, "w")
    except ValueError:
        codec = None
    if codec is None or codec.type != "video":
        known = "h264, hevc, av1, vp9, ffv1, mjpeg"
        raise SinkError(f"no video encoder is called {name!r}: give {known} or another by FFmpeg's name")
    chosen = dict(_DEFAULTS.get(name, {}))
    if crf is not None:
        if not (math.isfinite(crf) and crf >= 0):
            raise SinkError(f"no encoder has a quality of {crf:g}", Hint("{crf} is 0 or more", crf=None))
        chosen[_QUALITY.get(name, "crf")] = f"{crf:g}"
    if settings.preset is not None:
        chosen["preset"] = settings.preset
    chosen.update(settings.options)
    if name == "libx264":
        _check_x264(chosen)
    if "q" in chosen:
        # Pinning both ends: `global_quality` is read from each frame, where PyAV cannot set it.
        chosen["qmin"] = chosen["qmax"] = str(_jpeg_quality(chosen.pop("q")))
    return Encoder(codec, {**chosen, **_quiet(name, chosen)})


def check_container(encoder: Encoder, format_name: str) -> None:
    """Ask FFmpeg whether the container holds the codec, before any work is done.

    Raises:
        SinkError: it does not.
    """
    with av.open(os.devnull, "w", format=format_name) as probe:
        try:
            probe.add_stream(encoder.name)
        except ValueError as error:
            message = f"{format_name} does not hold {encoder.name}: use .mkv, or another codec"
            raise SinkError(message) from error


def open_stream(
    container: OutputContainer,
    encoder: Encoder,
    picture: Picture,
    time_base: Fraction,
    rate: Fraction,
    sample_aspect: Fraction,
) -> tuple[VideoStream, Sampling]:
    """Add a video stream for pictures like this one and open its encoder.

    Returns:
        The stream, and the sampling that it takes.

    Raises:
        SinkError: the encoder refuses the picture or an option.
    """
    sampling, pix_fmt = pixels.choose_format(encoder.codec, picture.sampling)
    width, height = pixels.coded_size(encoder.codec, sampling, picture.width, picture.height)
    stream = container.add_stream(encoder.name, rate=rate, width=width, height=height)
    assert isinstance(stream, VideoStream)
    stream.time_base = time_base
    context = stream.codec_context
    context.time_base = time_base
    stream.sample_aspect_ratio = context.sample_aspect_ratio = sample_aspect
    context.pix_fmt = pix_fmt
    context.thread_type = "AUTO"  # PyAV's default, slices only, costs x264 both speed and quality
    context.flags |= Flags.frame_duration
    pixels.tag(context, picture.full_range)
    if container.format.name in ("mp4", "mov") and encoder.codec.canonical_name == "hevc":
        context.codec_tag = "hvc1"  # Apple's players refuse the default, hev1
    options = {**_container_options(container, encoder, sampling), **encoder.options}
    if picture.field_order:
        options = announce(context, picture.field_order, sampling, options)
    context.options = options
    try:
        context.open()
    except (FFmpegError, ValueError) as error:
        reason = _reason(context) or getattr(error, "strerror", None) or str(error)
        raise _refusal(encoder, f"{width}x{height} {pix_fmt}", reason) from error
    if unknown := sorted(context.options):
        name = encoder.name
        raise SinkError(f"encoder {name} has no option {unknown[0]!r}: see ffmpeg -h encoder={name}")
    return stream, sampling


def _reason(refused: VideoCodecContext) -> str:
    """Why FFmpeg opens no encoder: it says so in its log alone, so it is asked once more, and listened to."""
    again = av.VideoCodecContext.create(refused.codec, "w")
    assert isinstance(again, VideoCodecContext)
    for name in ("width", "height", "pix_fmt", "time_base", "flags", "options"):
        setattr(again, name, getattr(refused, name))
    with _LISTENING:  # the log is one for all
        level, skipping = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        try:
            with av.logging.Capture() as said, contextlib.suppress(FFmpegError, ValueError):
                again.open()
        finally:
            av.logging.set_skip_repeated(skipping)
            av.logging.set_level(level)
    return " ".join(said[0][2].split()).rstrip(".:") if said else ""


def _container_options(container: OutputContainer, encoder: Encoder, sampling: Sampling) -> dict[str, str]:
    options: dict[str, str] = {}
    if (sampling.value or (1, 1)) != (1, 1):
        options["chroma_sample_location"] = "center"  # as JPEG sites it (quirk C7)
    if container.format.name == "avi" and encoder.codec.canonical_name == "h264":
        options["bf"] = "0"  # AVI holds no presentation times: B-frames would come back out of order
    return options


def _quiet(name: str, options: Mapping[str, str]) -> dict[str, str]:
    """Silence the two encoders that write a banner to standard error past FFmpeg's log."""
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; the library offers no other way through FFmpeg
    if name == "libx265":
        given = options.get("x265-params")
        return {"x265-params": "log-level=none" + (f":{given}" if given else "")}
    return {}


def _check_x264(options: Mapping[str, str]) -> None:
    with contextlib.suppress(ValueError):  # what is no number at all, the encoder refuses
        if float(options.get("crf", "0")) > WORST_X264:
            hint = Hint(f"{{crf}} is 0 (best) to {WORST_X264}", crf=None)
            raise SinkError(f"libx264 has no quality of {options['crf']}", hint)
    for key, known in _X264.items():
        # Several tunings may be joined; a preset may be a number, 0 to 9.
        if key in options and not re.fullmatch(rf"(?:{known})(?:[,.+-](?:{known}))*|\d", options[key], re.IGNORECASE):
            raise SinkError(f"libx264 has no {key} {options[key]!r}: give {known.replace('|', ', ')}")


def _jpeg_quality(word: str) -> int:
    with contextlib.suppress(ValueError):
        quality = float(word)
        if 0 <= quality <= 31:
            return max(round(quality), 1)
    raise SinkError(f"{word!r} is no quality of JPEG: give 1 (best) to 31")


def _refusal(encoder: Encoder, what: str, reason: str) -> SinkError:
    if encoder.name.endswith(("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi", "_mf")):
        hint = Hint("are its hardware and driver here? {codec} needs none", codec="h264")
    else:
        advice = "check {crf}, {preset} and the encoder's options, or try {codec}"
        hint = Hint(advice, crf=None, preset=None, codec="h264")
    return SinkError(f"encoder {encoder.name} cannot be opened for {what} ({reason})", hint)
