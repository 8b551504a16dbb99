"""Video encoders: names, default quality and speed, checks of options, and opening one."""

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

from mjpeg_restore.errors import Hint, SinkError, reason_of
from mjpeg_restore.frames import Picture, Sampling
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import OutputSettings, Range
from mjpeg_restore.sinks.interlacing import set_field_order
from mjpeg_restore.sinks.scheduling import ordinary_scheduling

_ALIASES = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}

# Quality and speed in each encoder's own options. The defaults keep up with a camera on two cores and preserve the
# restored detail.
_DEFAULTS: dict[str, dict[str, str]] = {
    # Against veryfast at crf 18: half the time, 0.8 dB nearer to the restored picture, files half as large again.
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
_NVENC_LOW_DELAY = {"bf": "0", "delay": "0", "zerolatency": "1", "forced-idr": "1"}
# No picture waits in the encoder for later ones: it would be lost when the program is killed. Without B-frames x264
# needs a sixth more bits.
_LOW_DELAY: dict[str, dict[str, str]] = {
    "libx264": {"tune": "zerolatency"},
    "libx265": {"tune": "zerolatency", "forced-idr": "1"},
    "libvpx-vp9": {"lag-in-frames": "0"},
    "ffv1": {"g": "1"},  # FFV1 ignores requests for key frames
    "h264_nvenc": _NVENC_LOW_DELAY,
    "hevc_nvenc": _NVENC_LOW_DELAY,
    "av1_nvenc": _NVENC_LOW_DELAY,
}
_QUALITY = {"mjpeg": "q", "h264_nvenc": "cq", "hevc_nvenc": "cq", "av1_nvenc": "cq"}
"""Encoders whose option for constant quality is not called `crf`."""

# x264 prints errors about these options to standard error, past FFmpeg's log, so they are checked beforehand.
_X264_VALUES = {
    "preset": r"ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo",
    "tune": r"film|animation|grain|stillimage|psnr|ssim|fastdecode|zerolatency",
    "profile": r"baseline|main|high|high10|high422|high444",
}
_X264_PROFILES = {Sampling.YUV422: ("high422", "high444"), Sampling.YUV444: ("high444",)}
"""Those for more chroma than 4:2:0 has."""
_SMALLEST_SLICED = 8
"""Samples a side. FFmpeg 8 divides no 4:1:1 under this into slices, and no other sampling under 4."""
_LEAST_SVT, _NARROW_SVT, _LONG_SVT = 4, 32, 64
"""Samples a side that SVT-AV1 takes, at least. And version 4.1 waits for itself for ever where one side has up to 24
and the other one more than 64."""
_HIGH_SVT = 8_704
"""Rows that SVT-AV1 takes, at most. It prints that error past FFmpeg's log."""
_LARGE = 16_384
"""Samples a side, at most, of H.264 and AV1; x265 takes more in some shapes only."""
WORST_X264 = 51
"""The highest crf of x264, which accepts larger numbers and clamps them to this one."""

_LOG_LOCK = threading.Lock()
"""Held while FFmpeg's log, which is global, is captured."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An available encoder and the options to open it with."""

    codec: av.Codec
    options: Mapping[str, str]
    low_delay: bool = False
    """True: each picture is coded at once, as a live recording needs it."""
    threads: int | None = None
    """Threads that it may use; None: as many as it chooses."""

    @property
    def name(self) -> str:
        """FFmpeg's name of the encoder."""
        return self.codec.name

    @property
    def full_range_only(self) -> bool:
        """True for JPEG, which has no limited range."""
        return self.name == "mjpeg"

    @property
    def reorders(self) -> bool:
        """Whether it may code pictures in another order than they are shown in."""
        b_frames = self.options.get("bf", "0" if self.low_delay else "")
        return self.codec.reorder and b_frames != "0"

    @property
    def limited_range_only(self) -> bool:
        """True where the stream has no full range, and decoders take it for limited whatever the container says."""
        return self.codec.canonical_name in {"vp8", "mpeg1video", "mpeg2video"}

    @property
    def signals_range(self) -> bool:
        """True where the coded stream signals its range, so that the container need not."""
        return self.codec.canonical_name in {"h264", "hevc", "av1", "vp9", "mjpeg"}

    def is_full_range(self, format_name: str, wanted: Range) -> bool:
        """Whether samples are written in full range, for a container format and the user's choice."""
        if self.full_range_only:
            return True
        if self.limited_range_only or (format_name in ("avi", "mov") and not self.signals_range):
            return False  # players show untagged video as limited range
        return wanted == "full"


def find_encoder(name: str, settings: OutputSettings | None = None) -> Encoder:
    """Look up an encoder and translate the settings' `crf`, `preset` and `live` into its own options.

    Raises:
        SinkError: there is no video encoder of that name, or a setting is out of its range.
    """
    settings = settings or OutputSettings()
    crf = settings.crf
    name = _ALIASES.get(name, name)
    try:
        codec = av.Codec(name, "w")
    except ValueError:
        codec = None
    if codec is None or codec.type != "video":
        known = "h264, hevc, av1, vp9, ffv1, mjpeg"
        raise SinkError(f"no video encoder is called {name!r}: give {known} or another by FFmpeg's name")
    options = {**_DEFAULTS.get(name, {}), **(_LOW_DELAY.get(name, {}) if settings.live else {})}
    if crf is not None:
        if not (math.isfinite(crf) and crf >= 0):
            raise SinkError(f"no encoder has a quality of {crf:g}", Hint("{crf} is 0 or more", crf=None))
        options[_QUALITY.get(name, "crf")] = f"{crf:g}"
    if settings.preset is not None:
        options["preset"] = settings.preset
    options.update(settings.options)
    if name == "libx264":
        _check_x264(options)
    if "q" in options:
        # Constant quality: FFmpeg reads `global_quality` from each frame, where PyAV cannot set it.
        options["qmin"] = options["qmax"] = str(_jpeg_quality(options.pop("q")))
    return Encoder(codec, {**options, **_silence_banner(name, options)}, settings.live, settings.threads)


def _unfit_for_av1(encoder: Encoder, picture: Picture) -> str:
    """Why SVT-AV1 takes no picture of that size; empty if it does, and for other encoders."""
    least, most = sorted((picture.width, picture.height))
    if encoder.name != "libsvtav1":
        return ""
    if least < _LEAST_SVT or (least < _NARROW_SVT and most > _LONG_SVT):
        return f"no pictures as narrow as {picture.width}x{picture.height}: it may wait for ever"
    if picture.width > _LARGE or picture.height > _HIGH_SVT:
        return f"no pictures as large as {picture.width}x{picture.height}"
    return ""


def open_stream(
    container: OutputContainer,
    encoder: Encoder,
    picture: Picture,
    time_base: Fraction,
    rate: Fraction,
    sample_aspect: Fraction,
) -> tuple[VideoStream, Sampling]:
    """Add a video stream to a container and open its encoder.

    Args:
        container: before its header is written.
        encoder: see `find_encoder`.
        picture: the first picture, in the range to be coded.
        time_base: seconds per tick.
        rate: nominal pictures a second.
        sample_aspect: width of a sample over its height.

    Returns:
        The stream, and the chroma subsampling to convert pictures to.

    Raises:
        SinkError: the encoder refuses the picture or an option.
    """
    if unfit := _unfit_for_av1(encoder, picture):
        raise SinkError(f"libsvtav1 takes {unfit}", Hint("try {codec}", codec="vp9"))
    sampling, pix_fmt = pixels.choose_format(encoder.codec, pixels.sampling_to_code(encoder.codec, picture))
    _check_profile(encoder, sampling)
    width, height = pixels.coded_size(encoder.codec, sampling, picture.width, picture.height)
    stream = container.add_stream(encoder.name, rate=rate, width=width, height=height)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    stream.time_base = context.time_base = time_base
    stream.sample_aspect_ratio = context.sample_aspect_ratio = sample_aspect
    context.pix_fmt = pix_fmt
    # PyAV's default, slices only, costs x264 both speed and quality; but threads for whole frames delay each of them.
    context.thread_type = "SLICE" if encoder.low_delay else "AUTO"
    if encoder.threads is not None:
        context.thread_count = encoder.threads
    context.flags |= Flags.frame_duration
    pixels.tag(context, picture.full_range)
    if container.format.name == "rtp":
        context.flags |= Flags.global_header  # for the description of the stream
    if container.format.name in ("mp4", "mov") and encoder.codec.canonical_name == "hevc":
        context.codec_tag = "hvc1"  # Apple's players refuse the default, hev1
    context.options = {
        **_container_options(container, encoder, sampling),
        **_size_options(encoder, width, height),
        **encoder.options,
    }
    if picture.field_order:
        context.options = set_field_order(context, picture.field_order, sampling, context.options)
    _open(context, encoder, container.format.name)
    return stream, sampling


def _open(context: VideoCodecContext, encoder: Encoder, format_name: str) -> None:
    """Open an encoder.

    Raises:
        SinkError: the encoder refuses the picture or an option.
    """
    try:
        with ordinary_scheduling():
            context.open()
    except (FFmpegError, ValueError) as error:
        reason = _logged_error(context) or reason_of(error)
        what = f"{context.width}x{context.height} {context.pix_fmt} ({reason})"
        advice = _advice(encoder, format_name, max(context.width, context.height))
        raise SinkError(f"encoder {encoder.name} cannot be opened for {what}", advice) from error
    if unknown := sorted(context.options):
        name, option = encoder.name, unknown[0]
        if option in ("crf", "preset"):
            raise SinkError(f"encoder {name} has no {option}", Hint(f"leave {{{option}}} out", **{option: None}))
        raise SinkError(f"encoder {name} has no option {option!r}: see ffmpeg -h encoder={name}")


def _logged_error(failed: VideoCodecContext) -> str:
    """Why an encoder could not be opened; empty if unknown.

    FFmpeg gives the reason only in its log, so a copy is opened with the log captured.
    """
    copy = av.VideoCodecContext.create(failed.codec, "w")
    assert isinstance(copy, VideoCodecContext)
    for name in ("width", "height", "pix_fmt", "time_base", "flags", "options"):
        setattr(copy, name, getattr(failed, name))
    with _LOG_LOCK:
        level, skipping = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)
        try:
            with av.logging.Capture() as lines, contextlib.suppress(FFmpegError, ValueError), ordinary_scheduling():
                copy.open()
        finally:
            av.logging.set_skip_repeated(skipping)
            av.logging.set_level(level)
    return " ".join(lines[0][2].split()).rstrip(".:") if lines else ""


def _container_options(container: OutputContainer, encoder: Encoder, sampling: Sampling) -> dict[str, str]:
    options: dict[str, str] = {}
    if (sampling.value or (1, 1)) != (1, 1):
        options["chroma_sample_location"] = "center"  # JPEG's chroma siting (quirk C7)
    if container.format.name == "avi" and encoder.codec.canonical_name == "h264":
        options["bf"] = "0"  # AVI stores no presentation times: B-frames would be shown out of order
    return options


def _size_options(encoder: Encoder, width: int, height: int) -> dict[str, str]:
    # FFV1 divides a picture into slices, which a narrow one has no room for; version 1 has none.
    if encoder.name == "ffv1" and min(width, height) < _SMALLEST_SLICED and "slices" not in encoder.options:
        return {"level": "1"}
    return {}


def _silence_banner(name: str, options: Mapping[str, str]) -> dict[str, str]:
    """Options that silence the banners of libx265 and libsvtav1, which bypass FFmpeg's log."""
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; FFmpeg has no option for it
    if name == "libx265":
        params = options.get("x265-params")
        return {"x265-params": "log-level=none" + (f":{params}" if params else "")}
    return {}


def _check_x264(options: Mapping[str, str]) -> None:
    with contextlib.suppress(ValueError):  # the encoder itself refuses a crf that is not a number
        if float(options.get("crf", "0")) > WORST_X264:
            hint = Hint(f"{{crf}} is 0 (best) to {WORST_X264}", crf=None)
            raise SinkError(f"libx264 has no quality of {options['crf']}", hint)
    for key, known in _X264_VALUES.items():
        # Tunings may be joined, and a preset may be a number, 0 to 9.
        if key in options and not re.fullmatch(rf"(?:{known})(?:[,.+-](?:{known}))*|\d", options[key], re.IGNORECASE):
            raise SinkError(f"libx264 has no {key} {options[key]!r}: give {known.replace('|', ', ')}")


def _check_profile(encoder: Encoder, sampling: Sampling) -> None:
    """Check that a profile of x264 holds a chroma subsampling, since x264 prints that error, too.

    Raises:
        SinkError: it does not.
    """
    profile = encoder.options.get("profile", "").lower()
    fitting = _X264_PROFILES.get(sampling, ())
    if encoder.name == "libx264" and profile and fitting and profile not in fitting:
        advice = f"give {fitting[0]}, or leave it out"
        raise SinkError(f"the profile {profile!r} of libx264 has no {sampling.label}: {advice}")


def _jpeg_quality(text: str) -> int:
    with contextlib.suppress(ValueError):
        quality = float(text)
        if 0 <= quality <= 31:
            return max(round(quality), 1)
    raise SinkError(
        f"JPEG has no quality of {text}", Hint("give 1 (best) to 31 for {crf} or the encoder's q", crf=None)
    )


def _advice(encoder: Encoder, format_name: str, longest: int) -> Hint:
    """What to do about an encoder that cannot be opened, for a container and the longer side of the pictures."""
    if longest > _LARGE and encoder.name not in pixels.ANY_SIZE:
        return Hint("in .mkv {codec} takes pictures of that size", codec="vp9")
    other = "vp9" if format_name == "webm" else "h264"
    if encoder.name.endswith(("_nvenc", "_qsv", "_amf", "_v4l2m2m", "_vaapi", "_mf")):
        return Hint("are its hardware and driver here? {codec} needs none", codec=other)
    checks = "check {crf}, {preset} and the encoder's options"
    if encoder.codec.canonical_name == other:
        return Hint(checks, crf=None, preset=None)
    return Hint(f"{checks}, or try {{codec}}", crf=None, preset=None, codec=other)
