"""OpenVINO itself, without what it reports to its makers."""

# OpenVINO's stubs leave many types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from mjpeg_restore.errors import Hint, MissingExtra
from mjpeg_restore.runtime.base import wrap_errors

LOADING = Hint("try {device}", device="onnxruntime")
"""What helps where OpenVINO does not start."""

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Generator[None]:
    """Have OpenVINO load a stub in place of the package that reports each import to its makers, from a forked process,
    under a number that it keeps in the home directory: nobody consented, and no variable turns it off."""
    is_known, known = _TELEMETRY in sys.modules, sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType]  # as if it were not installed
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        if is_known:  # an application has loaded it, or keeps it from being loaded
            sys.modules[_TELEMETRY] = known  # pyright: ignore[reportArgumentType]


with wrap_errors("OpenVINO is installed but does not load", LOADING), _without_telemetry():
    try:
        import openvino as ov
    except ModuleNotFoundError as error:
        raise MissingExtra("OpenVINO", "openvino", "this device") from error


def has_bf16(core: ov.Core, device: str) -> bool:
    """Whether the device computes in bf16, which is about twice as fast as float32.

    Raises:
        RuntimeUnavailable: OpenVINO cannot query the device.
    """
    with wrap_errors(f"OpenVINO cannot look at its device {device}", LOADING):
        return "BF16" in core.get_property(device, "OPTIMIZATION_CAPABILITIES")


def check() -> str:
    """The devices that OpenVINO finds, and those that have bf16, in words."""
    with wrap_errors("OpenVINO does not start", LOADING):
        core = ov.Core()
        devices = core.available_devices
    return ", ".join(f"{device} (bf16)" if has_bf16(core, device) else device for device in devices)
