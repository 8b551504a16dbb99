"""The packages `tensorrt` and `tensorrt_rtx` (TensorRT for RTX): one Python API, and what differs between them."""

# Neither has stubs, and which of them is installed is known at run time alone.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import importlib
import logging
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import one_line
from mjpeg_restore.runtime.cuda import Device

Capability = tuple[int, int]
"""A GPU's compute capability: (8, 9) for 8.9."""

LOG = logging.getLogger("mjpeg_restore.runtime.tensorrt")
_KEPT = 4
"""Error messages that are kept for each thread. The first one says most."""
_PLACE = re.compile(r"^\S+ Error Code \d+: | \(?In \w+ at [^\s()]+|\[[\w.]+:\d+: \w+\] ")
"""Parts of an error message that concern TensorRT's authors: functions, the error's number, files and lines."""


@dataclass(frozen=True, slots=True)
class Edition:
    """One of the two packages."""

    device: str
    """The runtime's name; also the package's for pip, and our extra's."""
    module: str
    title: str
    short: str
    """In names of files."""
    versions: tuple[tuple[int, int], tuple[int, int]]
    """The first one that will do, and the first one that may not."""
    portable: bool
    """Whether it builds for any GPU of a compute capability, and needs none; else for the very GPU that is there."""


EDITIONS = (
    Edition("tensorrt", "tensorrt", "TensorRT", "trt", ((10, 12), (12, 0)), portable=False),
    Edition("tensorrt-rtx", "tensorrt_rtx", "TensorRT-RTX", "trt-rtx", ((1, 4), (2, 0)), portable=True),
)


RTX_CARDS: tuple[Capability, ...] = ((8, 0), (8, 6), (8, 9), (12, 0), (12, 1))
"""What TensorRT for RTX builds our graphs for: docs/gpu.md has how that was found, and of 7.5 and 9.0 why not."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an engine is built for."""

    capability: Capability
    gpu: str | None = None
    """Name of the GPU; None: any of this compute capability."""
    current: Callable[[], AbstractContextManager[object]] = nullcontext
    """Makes the GPU the current one of the thread that builds."""


class Package:
    """An installed package, imported."""

    def __init__(self, edition: Edition, module: Any) -> None:
        self.edition = edition
        self.module = module
        self.version: str = module.__version__
        self.name = f"{edition.title} {'.'.join(self.version.split('.')[:3])}"
        """For users: "TensorRT-RTX 1.7.1"."""
        self._errors = _Errors()
        self.logger: Any = _logger(module, self._errors)
        """The `ILogger` of all of the package's objects, which take one for the whole process."""

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """Compute capabilities that it builds for without a GPU, in rising order."""
        if not self.edition.portable:
            return ()
        return tuple(sorted(_capability(kind.name) for kind in self._kinds()))

    @property
    def instead(self) -> Hint | None:
        """What to do where it does not serve a GPU, if anything helps."""
        return Hint("use TensorRT ({device}) or PyTorch", device="tensorrt") if self.edition.portable else None

    def target(self, device: Device) -> Target:
        """What is built for a GPU of this machine."""
        return Target(device.capability, None if self.edition.portable else device.name, device.current)

    def kind_of(self, capability: Capability) -> Any:
        """The value of the enum `ComputeCapability`.

        Raises:
            RuntimeUnavailable: the package has none. The message names those that it has.
        """
        found = next((kind for kind in self._kinds() if _capability(kind.name) == capability), None)
        if found is None:
            known = ", ".join(map(written, self.capabilities))
            raise RuntimeUnavailable(
                f"{self.name} builds nothing for compute capability {written(capability)}, only for {known}",
                self.instead,
            )
        return found

    def _kinds(self) -> list[Any]:
        kinds = self.module.ComputeCapability.__members__.values()
        return [kind for kind in kinds if kind.name.startswith("SM")]  # the others are NONE and CURRENT

    def failure(self) -> str:
        """Why a call on this thread failed: its first error since this was asked last, in one line."""
        messages, self._errors.messages = self._errors.messages, []
        message = _PLACE.sub("", messages[0]) if messages else "it does not say why"
        if re.search("out ?of ?memory", message, re.IGNORECASE):
            return "out of memory"
        if message.count("(") < message.count(")"):  # the other one stood before a place
            message = message.removesuffix(")")
        return one_line(Exception(message))


@cache
def load_package(device: str) -> Package:
    """Import the package of a runtime, "tensorrt" or "tensorrt-rtx".

    Raises:
        MissingExtra: it is not installed.
        RuntimeUnavailable: it does not load, or its version will not do.
    """
    edition = next(edition for edition in EDITIONS if edition.device == device)
    if not is_installed(edition):
        raise MissingExtra(edition.device, edition.device, "this device")
    try:
        module = importlib.import_module(edition.module)
        version = tuple(map(int, module.__version__.split(".")[:2]))
    except Exception as error:  # a library that is missing is an OSError, an ImportError or a FileNotFoundError
        raise RuntimeUnavailable(f"{edition.title} is installed but does not load ({one_line(error)})") from error
    first, after = edition.versions
    if not first <= version < after:
        needed = f">={first[0]}.{first[1]},<{after[0]}"
        raise RuntimeUnavailable(
            f'{edition.title} {module.__version__} will not do: pip install "{edition.device}{needed}"'
        )
    return Package(edition, module)


def is_installed(edition: Edition) -> bool:
    """Whether the package is there; it is not imported."""
    return find_spec(edition.module) is not None


def written(capability: Capability) -> str:
    """As NVIDIA writes it: "8.9"."""
    return f"{capability[0]}.{capability[1]}"


def _capability(name: str) -> Capability:
    """Of an enum's value: "SM89", "SM120"."""
    return divmod(int(name.removeprefix("SM")), 10)


class _Errors(threading.local):
    """Messages of errors, by the thread whose call failed."""

    def __init__(self) -> None:
        self.messages: list[str] = []


def _logger(module: Any, errors: _Errors) -> Any:
    """An `ILogger` that keeps errors for an exception, and hands everything to `logging`."""
    severity = module.ILogger.Severity

    class Logger(module.ILogger):
        def __init__(self) -> None:
            super().__init__()

        def log(self, level: Any, message: str) -> None:
            """Called from C++, where an exception would end the process."""
            if level in (severity.INTERNAL_ERROR, severity.ERROR) and len(errors.messages) < _KEPT:
                errors.messages.append(message)
            # Nothing is above DEBUG: errors become exceptions, and warnings are for those who change the graphs.
            LOG.debug("%s: %s", getattr(level, "name", level), message)

    return Logger()
