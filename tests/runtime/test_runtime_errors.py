from __future__ import annotations

import pytest

from mjpeg_restore.errors import Hint, MissingExtra, RuntimeUnavailable
from mjpeg_restore.runtime.base import wrap_errors


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("A:\nNode 'x': Failed to allocate memory for 8\n")])
def test_lack_of_memory_is_an_error_of_one_line(error: Exception) -> None:
    with (
        pytest.raises(RuntimeUnavailable, match=r"^it fails \(out of memory\): try less"),
        wrap_errors("it fails", Hint("try less")),
    ):
        raise error
    with pytest.raises(MissingExtra), wrap_errors("it fails", Hint("try less")):
        raise MissingExtra("OpenVINO", "openvino", "this")
