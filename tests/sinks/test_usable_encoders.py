"""The encoders that `doctor` lists can be used."""

from __future__ import annotations

import pytest

from mjpeg_restore.sinks import OutputSettings, usable_encoders
from mjpeg_restore.sinks.encoder import find_encoder
from mjpeg_restore.sinks.usable import HARDWARE


@pytest.mark.parametrize(("codec", "names"), usable_encoders().items())
def test_each_is_an_encoder(codec: str, names: list[str]) -> None:
    for name in names:
        assert find_encoder(name, OutputSettings()).name == name


def test_hardware_that_is_not_there_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.sinks.usable._opens", lambda name: False)
    assert not [name for names in usable_encoders().values() for name in names if name.endswith(HARDWARE)]
