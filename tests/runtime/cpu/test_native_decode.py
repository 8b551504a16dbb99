from __future__ import annotations

import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime import NativeDecode
from tests.lacking import needs_native_projection
from tests.runtime.graphs import picture, run


@needs_native_projection
def test_the_error_of_a_failed_native_decode_has_the_size() -> None:
    wrong = list(picture(size=(96, 64)))
    wrong[1] = wrong[1][:3]
    with pytest.raises(RuntimeUnavailable, match=r"cannot decode a picture of 96x64 \(table: 12 bytes"):
        run(NativeDecode(), wrong)
