"""PNG and JPEG files, a single one or a folder of them, through FFmpeg's encoders (Pillow is not needed)."""

# PyAV's stubs leave the parameter of Packet, and the keywords of add_stream, open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from mjpeg_restore import colour
from mjpeg_restore.errors import Hint, OutputExists, SinkError
from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import ImageFormat, OutputSettings, PartFile
from mjpeg_restore.sinks.encoder import find_encoder
from mjpeg_restore.sinks.target import names_in

EXTENSIONS: dict[str, ImageFormat] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""Formats by the extension of a file's name."""

BEST_JPEG = 2
"""Default quality of JPEG in FFmpeg's scale: 1 (best) to 31."""

_NUMBER = re.compile(r"%(?:0\d+)?d")


def is_pattern(name: str) -> bool:
    """Whether a file's name has a placeholder for a number, such as `%06d`."""
    return _NUMBER.search(name) is not None


class Stills:
    """Numbered pictures: `out/%06d.png`, `out/%d.jpg`, or a folder, which gets `%06d.png` or `%06d.jpg`.

    The number is the picture's index in its source, so that gaps show what was dropped; an index that does
    not rise is replaced by the next number. PNG holds RGB (grey stays grey); JPEG holds the planes at their
    own sampling, full range (4:4:0 and 4:1:1 go to the nearest richer sampling, grey gets neutral chroma, and woven
    4:2:0 becomes 4:2:2, for readers of JPEG would run the fields' colours into one another).
    Pictures may differ in size. Each file appears whole or not at all.
    """

    fixed_size = False
    closed = False
    remark = None

    def __init__(
        self,
        target: str | os.PathLike[str],
        settings: OutputSettings | None = None,
        inputs: Iterable[Path] = (),
    ) -> None:
        """Make the folder where it is missing.

        Args:
            target: a folder, or a pattern with one `%d` or `%06d` in its last part, whose extension names the format.
            settings: `image_format` of a folder's files, `crf` of JPEG in FFmpeg's scale, 1 (best) to 31, and
                `overwrite`, to write into a folder that holds files already; the defaults if None.
            inputs: files that are read from, and never replaced.

        Raises:
            OutputExists: the folder holds files (of a pattern: matching ones) and `overwrite` is False.
            SinkError: the pattern is invalid, the folder cannot be made, or an input would be replaced.
        """
        settings = settings or OutputSettings()
        format = settings.image_format
        path = Path(target)
        if is_pattern(path.name):
            if len(_NUMBER.findall(path.name)) > 1:
                raise SinkError(f"{path}: a pattern holds one number, as in %06d{path.suffix}")
            chosen = EXTENSIONS.get(path.suffix.lower())
            if chosen is None:
                raise SinkError(f"{path}: pictures are .png or .jpg, name the pattern so")
            format = chosen
        else:
            path = path / ("%06d.png" if format == "png" else "%06d.jpg")
        self._pattern = path
        self._coder = _Coder(format, settings)
        self._last = -1
        _refuse_inputs(path, inputs)
        _claim(path, pattern_given=Path(target) == path, overwrite=settings.overwrite)

    def write(self, picture: Picture) -> None:
        """Write one file.

        Raises:
            SinkError: it cannot be written.
        """
        self._last = picture.index if picture.index > self._last else self._last + 1
        name = _NUMBER.sub(lambda match: match.group() % self._last, self._pattern.name)
        path = self._pattern.with_name(name)
        part = path.with_name(f".{name}.part")
        try:
            part.write_bytes(self._coder.encode(picture))
            part.replace(path)
        except (FFmpegError, OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                part.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"cannot write {path} ({reason}): is there room on the disk?") from error

    def close(self) -> None:
        """Nothing is left to do: every file is whole."""

    def discard(self) -> None:
        """Nothing is left to do: what was written is whole, and stays."""


class Still:
    """One picture in one PNG or JPEG file, by the extension of its name; see `Stills` for what each holds."""

    fixed_size = False
    closed = False
    remark = None

    def __init__(self, path: str | os.PathLike[str], settings: OutputSettings | None = None) -> None:
        """Claim the file.

        Args:
            path: ends in .png, .jpg or .jpeg.
            settings: `crf` of JPEG in FFmpeg's scale, 1 (best) to 31, and `overwrite`; the defaults if None.

        Raises:
            OutputExists: the file is there and `overwrite` is False.
            SinkError: its folder is missing or cannot be written.
        """
        settings = settings or OutputSettings()
        self._coder = _Coder(EXTENSIONS[Path(path).suffix.lower()], settings)
        self._part = PartFile(path, settings.overwrite)
        self._written = self._finished = False

    def write(self, picture: Picture) -> None:
        """Write the file.

        Raises:
            SinkError: it cannot be written, or this is the second picture.
        """
        target = self._part.target
        if self._written:
            pattern = target.with_name(f"{target.stem}-%06d{target.suffix}")
            raise SinkError(f"{target} holds one picture, and more came: name a folder, {pattern}, or a video file")
        try:
            self._part.path.write_bytes(self._coder.encode(picture))
        except (FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"cannot write {target} ({reason}): is there room on the disk?") from error
        self._written = True

    def close(self) -> None:
        """Give the file its name; without a picture there is none.

        Raises:
            SinkError: the name cannot be given.
        """
        if self._finished:
            return
        self._finished = True
        if self._written:
            self._part.commit()
        else:
            self._part.discard()

    def discard(self) -> None:
        """Remove the temporary file; the target is untouched."""
        if not self._finished:
            self._finished = True
            self._part.discard()


class _Coder:
    """Pictures to the bytes of PNG or JPEG files."""

    def __init__(self, format: ImageFormat, settings: OutputSettings) -> None:
        self._png = format == "png"
        quality = BEST_JPEG if settings.crf is None else settings.crf
        self._encoder = find_encoder("png") if self._png else find_encoder("mjpeg", OutputSettings(crf=quality))

    def encode(self, picture: Picture) -> bytes:
        """The whole file."""
        if self._png:
            frame = _rgb_frame(picture)
        else:
            wanted = pixels.for_frames(picture.sampling) if picture.field_order else picture.sampling
            sampling, pix_fmt = pixels.choose_format(self._encoder.codec, wanted)
            ready = pixels.prepare(picture, sampling, full_range=True)
            frame = pixels.to_frame(ready, pix_fmt, picture.width, picture.height)
        frame.pts = 0
        frame.time_base = Fraction(1, 25)
        context = self._open(frame)
        return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])

    def _open(self, frame: av.VideoFrame) -> av.VideoCodecContext:
        """An encoder for a single picture: its own header and tables are in every file anyway."""
        context = av.VideoCodecContext.create(self._encoder.codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base = Fraction(1, 25)
        context.sample_aspect_ratio = Fraction(1)  # makes FFmpeg write a JFIF header
        context.thread_type = "SLICE"
        if not self._png:
            pixels.tag(context, full_range=True)
        context.options = dict(self._encoder.options)
        context.open()
        return context


def _rgb_frame(picture: Picture) -> av.VideoFrame:
    if len(picture.planes) == 1:
        return av.VideoFrame.from_ndarray(colour.to_range(picture, full=True).planes[0], format="gray")
    return av.VideoFrame.from_ndarray(picture.to_ndarray("rgb"), format="rgb24")


def _refuse_inputs(pattern: Path, inputs: Iterable[Path]) -> None:
    """Refuse a folder where an input's name is one of those that will be written."""
    if mine := next((name for name in names_in(pattern.parent, inputs) if _matches(name, pattern)), None):
        raise SinkError(f"{pattern.parent}: a picture there could replace the input {mine}; name another folder")


def _matches(name: str, pattern: Path) -> bool:
    before, after = _NUMBER.split(pattern.name, maxsplit=1)
    # Some file systems take names that differ in case only for the same.
    return re.fullmatch(re.escape(before) + r"\d+" + re.escape(after), name, re.IGNORECASE) is not None


def _claim(pattern: Path, pattern_given: bool, overwrite: bool) -> None:
    folder = pattern.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            return
        names = [entry.name for entry in folder.iterdir()]
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise SinkError(f"cannot make the folder {folder} ({reason}): choose another") from error
    if pattern_given:
        names = [name for name in names if _matches(name, pattern)]
    if names:
        found = f"{len(names)} file{'s' if len(names) > 1 else ''}"
        raise OutputExists(f"{folder} holds {found} already", Hint("{overwrite} writes into it", overwrite=True))
