"""An installed package that lacks an extension is not passed."""

from __future__ import annotations

import pytest

from mjpeg_restore.runtime.cpu import rectangles, sparse, state
from tests.scripts.running import run


@pytest.mark.skipif("sys.platform == 'win32'", reason="wheels for Windows lack them")
@pytest.mark.parametrize(
    ("module", "words"), [(state, "state of cameras"), (rectangles, "pieces of a picture"), (sparse, "convolutions")]
)
def test_a_missing_extension_is_found(module: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "native", None)
    done = run("check_wheel")
    assert done.returncode == 1
    assert words in done.stderr
