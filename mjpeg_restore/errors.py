"""Everything that can go wrong, as one tree.

    MjpegRestoreError
    ├── SourceError              the input as a whole
    │   ├── SourceNotFound       no such file, folder or pattern
    │   ├── NotMjpeg             readable, but holds no Motion-JPEG
    │   └── ConnectionFailed     a camera does not answer, or its connection broke: live sources try again
    ├── JpegError                one coded picture
    │   ├── BadJpeg              broken beyond reading
    │   ├── UnsupportedJpeg      sound, but of a kind that is not restored (12 bit, CMYK, lossless, ...)
    │   └── TooLarge             claims more pixels than its bytes can hold, or than the limits allow
    ├── ModelError               the network
    │   ├── UnknownModel         no such name in the catalogue
    │   └── ModelCorrupt         a file that is not the manifest's, a manifest that is none, a graph of another kind
    ├── RuntimeUnavailable       nothing here can run the network
    │   ├── MissingExtra         an optional package that has to be installed first
    │   └── ClusterError         the Ray cluster is not there, or refuses
    │       └── ClusterLost      a process or a node of it has died: Ray starts actors anew
    ├── SinkError                the output
    │   └── OutputExists         the file is there and may not be overwritten
    ├── SettingsError            a settings file
    └── WorkerLost               a process or a machine that restored a part of an archive

A `JpegError` concerns a single picture: the pipeline counts it and goes on. Every other error ends
the run. Each is one line that says what happened and where and, if it helps, what to do. Advice to change a setting is
a `Hint`: the command words it with its own options.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Sequence


class Hint:
    """Advice that names settings, such as `Hint("{device} may work", device="onnxruntime")`.

    As a string it names keyword arguments: `device="onnxruntime" may work`.

    Attributes:
        advice: a format string with the name of each setting in braces; other braces are doubled.
        settings: recommended values by the settings' names; None: no value.
    """

    def __init__(self, advice: str, /, **settings: str | int | None) -> None:
        self.advice = advice
        self.settings = settings
        str(self)  # a mistake in the advice shows here, and not when an error is to be told

    def worded(self, name: Callable[[str, str | int | None], str]) -> str:
        """The advice as one sentence.

        Args:
            name: words a setting and its value.
        """
        return self.advice.format_map({setting: name(setting, value) for setting, value in self.settings.items()})

    def __str__(self) -> str:
        return self.worded(lambda setting, value: setting if value is None else f"{setting}={value!r}")


class MjpegRestoreError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes:
        hint: what to do about it, unless the message says it.
    """

    def __init__(self, message: str, hint: Hint | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        """The error without its hint."""
        return super().__str__()

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class SourceError(MjpegRestoreError):
    """The input cannot be opened or read."""


class SourceNotFound(SourceError):
    """The input names no file, folder or pattern that exists."""


class NotMjpeg(SourceError):
    """The input can be read but holds no Motion-JPEG video and no JPEG picture."""


class ConnectionFailed(SourceError):
    """A camera does not answer, or its connection broke. A live source tries again."""


class JpegError(MjpegRestoreError):
    """One coded picture cannot be used.

    Attributes:
        reason: what is wrong, without the place.
        offset: byte offset within the packet at which the trouble was found, or None.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at byte {offset})")
        self.reason = message
        self.offset = offset


class BadJpeg(JpegError):
    """The picture is broken beyond reading."""


class UnsupportedJpeg(JpegError):
    """The picture is a sound JPEG of a kind that is not restored."""


class TooLarge(JpegError):
    """The picture claims more pixels than its bytes can hold, or than the limits allow."""


class ModelError(MjpegRestoreError):
    """A network cannot be used."""


class UnknownModel(ModelError):
    """No model of that name is shipped or installed."""


class ModelCorrupt(ModelError):
    """A file of a model, its manifest or its graph is missing, or is not what it has to be."""


class RuntimeUnavailable(MjpegRestoreError):
    """No installed runtime can run the network on the device asked for."""


class MissingExtra(RuntimeUnavailable):
    """An optional package is needed first."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Say what to install.

        Args:
            package: its display name, in lower case its name for pip; several are divided by spaces.
            extra: the extra of this package that brings it; empty where none does.
            purpose: what needs it.
        """
        super().__init__(purpose)
        self.args = package, extra, purpose  # the three of them, so that it passes between processes

    @property
    def message(self) -> str:
        """The error in one line."""
        package, extra, purpose = self.args
        belongs = f" (the extra mjpeg-restore[{extra}])" if extra else ""
        return f"{purpose} needs {' and '.join(package.split())}: pip install {package.lower()}{belongs}"


class ClusterError(RuntimeUnavailable):
    """The Ray cluster cannot be reached, or refuses."""


class ClusterLost(ClusterError):
    """A process or a node of the cluster has died, or does not answer."""


class SinkError(MjpegRestoreError):
    """The output cannot be written."""


class OutputExists(SinkError):
    """The output is there already and may not be overwritten."""


class SettingsError(MjpegRestoreError):
    """A settings file has mistakes.

    Attributes:
        mistakes: each in one line, with the file, the line in it, and the key.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        """Join the mistakes, of which there is at least one."""
        super().__init__(mistakes[0])
        self.args = (tuple(mistakes),)  # so that it passes between processes
        self.mistakes = tuple(mistakes)

    @property
    def message(self) -> str:
        """The first mistake, and how many more there are."""
        more = len(self.mistakes) - 1
        return self.mistakes[0] + (f" (and {more} more mistake{'s' if more > 1 else ''})" if more else "")


class WorkerLost(MjpegRestoreError):
    """The process or the machine that did a task ended before the task did."""


def reason_of(error: BaseException) -> str:
    """The words of the system or of FFmpeg for an exception, without its number and file; else its message."""
    return getattr(error, "strerror", None) or str(error)


def is_broken_pipe(error: BaseException | None) -> bool:
    """Whether the reader of a pipe has gone away; for Windows that is an invalid argument."""
    in_windows = os.name == "nt" and getattr(error, "errno", None) == errno.EINVAL
    return isinstance(error, BrokenPipeError) or in_windows


def without_name(message: str, name: str) -> str:
    """A message for a line that names what it is about, such as a camera, anyway: a name at its beginning is left out.

    A folder's name may end in a slash.
    """
    found = re.match(re.escape(name.rstrip("/")) + "/?(?:: | )", message)
    return message[found.end() :] if found else message
