"""The plain decode by the native extension: `decode` has no network and needs no runtime package."""

from __future__ import annotations

from mjpeg_restore.errors import Hint
from mjpeg_restore.runtime.base import HostNetwork, Inputs, Planes, picture_size, wrap_errors
from mjpeg_restore.runtime.cpu.projection import native, project

_HINT = Hint("try fewer {threads}", threads=None)


class NativeDecode(HostNetwork):
    """Computes the graph of `decode` in float32, in a quarter of the time of OpenVINO and ONNX Runtime."""

    name = "native, CPU, f32"
    available = native is not None
    """Whether the extension was built when the package was installed."""

    def run(self, inputs: Inputs) -> Planes:
        """Decode one picture; see `HostNetwork`."""
        with wrap_errors(f"the native extension cannot decode a picture of {picture_size(inputs)}", _HINT):
            return tuple(project(None, *component) for component in zip(inputs[::2], inputs[1::2], strict=True))
