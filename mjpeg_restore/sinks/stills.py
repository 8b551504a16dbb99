"""PNG and JPEG files, a single one or a folder of them, through FFmpeg's encoders (without Pillow)."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from av.error import FFmpegError

from mjpeg_restore.errors import Hint, OutputExists, SinkError, reason_of
from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks.base import BaseSink, ImageFormat, OutputSettings, PartFile
from mjpeg_restore.sinks.picture_encoder import PictureEncoder
from mjpeg_restore.sinks.target import cannot_write, names_in

EXTENSIONS: dict[str, ImageFormat] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""Picture formats by file extension."""

_PLACEHOLDER = re.compile(r"%(?:0[0-9]+)?d")
_NARROW = re.compile(r"%(?:0+[0-9]{1,2})?d")
"""A placeholder whose width fits in a name: formatting pads to any width, and takes all memory for a wide one."""


def is_pattern(name: str) -> bool:
    """Whether a file's name has a placeholder for a number, such as `%06d`."""
    return _PLACEHOLDER.search(name) is not None


def pattern_of(target: str | os.PathLike[str], format: ImageFormat) -> Path:
    """The pattern of the files' names: the target itself, or the one that a folder gets.

    Args:
        target: a folder or a pattern.
        format: of a folder's files.

    Raises:
        SinkError: no pictures can have such names.
    """
    path = Path(target)
    if not is_pattern(path.name):
        if path.is_absolute() and not path.name:
            raise SinkError(f"{path} is the root of all folders: name a folder in it")
        return path / ("%06d.png" if format == "png" else "%06d.jpg")
    found = _PLACEHOLDER.findall(path.name)
    if not all(map(_NARROW.fullmatch, found)):
        raise SinkError(f"{path}: the width of its number has more than two digits: name it as in %06d{path.suffix}")
    if len(found) > 1:
        raise SinkError(f"{path}: a pattern holds one number, as in %06d{path.suffix}")
    if path.suffix.lower() not in EXTENSIONS:
        raise SinkError(f"{path}: pictures are .png or .jpg, name the pattern so")
    return path


def without_width(pattern: Path) -> Path:
    """A pattern whose number has no width: from some number on, the files of `%d` and `%06d` have the same names."""
    return pattern.with_name(_PLACEHOLDER.sub("%d", pattern.name))


class Stills(BaseSink):
    """Numbered pictures: `out/%06d.png`, `out/%d.jpg`, or a folder, which gets `%06d.png` or `%06d.jpg`.

    *Numbers.* A file's number is the picture's index in the source, so that gaps show dropped pictures. An index that
    does not rise is replaced by the next number. A sink that goes on for another whose source began anew counts from
    that one's last number; where that one ran in another process, which has not told of all its pictures, from the
    highest number in the folder, if that is higher.

    Pictures may differ in size; `PictureEncoder` says what each format stores. A file appears whole or not at all.
    Nobody else writes files of such names before `close` or `discard`.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        settings: OutputSettings | None = None,
        inputs: Iterable[Path] = (),
        before: Stills | int | None = None,
    ) -> None:
        """Create the folder if it is missing.

        Args:
            target: a folder, or a pattern with one `%d` or `%06d` in its last part, whose extension names the format.
            settings: `image_format` of a folder's files, `crf` of JPEG on FFmpeg's scale, 1 (best) to 31, and
                `overwrite`, which allows a folder that contains files; the defaults if None.
            inputs: the source's files, which are never replaced.
            before: the sink of the same target that this one goes on for: its files stay, whatever `overwrite` says. Of
                a sink in another process, the last number that is known to be written, -1 for none.

        Raises:
            OutputExists: the folder contains files (for a pattern: matching ones), `overwrite` is False, and there was
                no sink before.
            SinkError: the pattern is invalid, such files are being written already, the folder cannot be created or
                written, or an input would be replaced.
        """
        settings = settings or OutputSettings()
        self._pattern = path = pattern_of(target, settings.image_format)
        self._encoder = PictureEncoder(EXTENSIONS[path.suffix.lower()], settings)
        self._first: int | None = None
        """Number of the picture with index 0; None before the first picture."""
        _refuse_inputs(path, inputs)
        _make_folder(path.parent)
        self._hold = PartFile(without_width(path), overwrite=True)
        """Is not written: as long as it is there, nobody else gets it."""
        try:
            if before is None and not settings.overwrite:
                _refuse_files(path, pattern_given=Path(target) == path)
            if isinstance(before, Stills):
                self._last = before.last
            else:
                self._last = -1 if before is None else max(before, _last_number(path))
        except BaseException:
            self._hold.discard()
            raise

    @property
    def last(self) -> int:
        """Number of the last picture, also of a sink that this one goes on for; -1 before the first one."""
        return self._last

    def write(self, frame: Frame) -> None:
        """Write one file.

        Raises:
            SinkError: it cannot be written.
        """
        picture = frame.picture
        if self._first is None:
            self._first = 0 if picture.index > self._last else self._last + 1
        self._last = max(self._first + picture.index, self._last + 1)
        name = _PLACEHOLDER.sub(lambda match: match.group() % self._last, self._pattern.name)
        path = self._pattern.with_name(name)
        part = path.with_name(f".{name}.part")
        try:
            part.write_bytes(self._encoder.encode(picture))
            part.replace(path)
        except (FFmpegError, OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                part.unlink(missing_ok=True)
            raise cannot_write(path, f"cannot write {path}", error) from error

    def close(self) -> None:
        """Let others write such files."""
        self._hold.discard()

    def discard(self) -> None:
        """Let others write such files; those that were written stay."""
        self._hold.discard()


class Still(BaseSink):
    """One picture in one PNG or JPEG file, by the file's extension; see `PictureEncoder`."""

    def __init__(self, path: str | os.PathLike[str], settings: OutputSettings | None = None) -> None:
        """Check the target and create the temporary file.

        Args:
            path: ends in .png, .jpg or .jpeg.
            settings: `crf` of JPEG on FFmpeg's scale, 1 (best) to 31, and `overwrite`; the defaults if None.

        Raises:
            OutputExists: the file exists and `overwrite` is False.
            SinkError: its folder is missing or cannot be written.
        """
        settings = settings or OutputSettings()
        self._encoder = PictureEncoder(EXTENSIONS[Path(path).suffix.lower()], settings)
        self._part = PartFile(path, settings.overwrite)
        self._written = self._finished = False

    def write(self, frame: Frame) -> None:
        """Write the file.

        Raises:
            SinkError: it cannot be written, or this is the second picture.
        """
        target = self._part.target
        if self._written:
            pattern = target.with_name(f"{target.stem}-%06d{target.suffix}")
            raise SinkError(f"{target} holds one picture, and more came: name a folder, {pattern}, or a video file")
        try:
            self._part.path.write_bytes(self._encoder.encode(frame.picture))
        except (FFmpegError, OSError) as error:
            raise cannot_write(target, f"cannot write {target}", error) from error
        self._written = True

    def close(self) -> None:
        """Rename the file to its target; without a picture, remove it.

        Raises:
            SinkError: the rename failed.
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


def _refuse_inputs(pattern: Path, inputs: Iterable[Path]) -> None:
    """Refuse a folder with an input whose name matches the pattern, as it could be replaced.

    Raises:
        SinkError: there is such an input.
    """
    if found := next(
        (name for name in names_in(pattern.parent, inputs) if _number_in(name, pattern) is not None), None
    ):
        raise SinkError(f"{pattern.parent}: a picture there could replace the input {found}; name another folder")


def _number_in(name: str, pattern: Path) -> int | None:
    """The number in a file's name; None if the name does not match the pattern."""
    before, after = _PLACEHOLDER.split(pattern.name, maxsplit=1)
    # Some file systems ignore case in names.
    found = re.fullmatch(re.escape(before) + r"(\d+)" + re.escape(after), name, re.IGNORECASE)
    return int(found[1]) if found else None


def _make_folder(folder: Path) -> None:
    """Create a folder, and those that it stands in, if they are missing.

    Raises:
        SinkError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise SinkError(f"cannot make the folder {folder} ({reason_of(error)}): choose another") from error


def _refuse_files(pattern: Path, pattern_given: bool) -> None:
    """Refuse the folder of a pattern if it contains files.

    Args:
        pattern: the path of the files.
        pattern_given: True where the user gave the pattern; other files in the folder are allowed then.

    Raises:
        OutputExists: the folder contains files.
        SinkError: it cannot be read.
    """
    folder = pattern.parent
    names = [name for name in _names(folder) if not _is_hold(name)]
    if pattern_given:
        names = [name for name in names if _number_in(name, pattern) is not None]
    if names:
        found = f"{len(names)} file{'s' if len(names) > 1 else ''}"
        raise OutputExists(f"{folder} holds {found} already", Hint("{overwrite} writes into it", overwrite=True))


def _last_number(pattern: Path) -> int:
    """The highest number of the files of a pattern; -1 if there are none.

    Raises:
        SinkError: the folder cannot be read.
    """
    numbers = [_number_in(name, pattern) for name in _names(pattern.parent)]
    return max((number for number in numbers if number is not None), default=-1)


def _names(folder: Path) -> list[str]:
    """What is in a folder.

    Raises:
        SinkError: it cannot be read.
    """
    try:
        return os.listdir(folder)
    except OSError as error:
        raise SinkError(f"cannot read the folder {folder} ({reason_of(error)}): choose another") from error


def _is_hold(name: str) -> bool:
    """Whether it is a file that holds the names of pictures: for some sink, or for a run that was killed."""
    return name.startswith(".") and is_pattern(name)
