"""Fixtures: ten JPEGs, and a function that muxes them into clips."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.sources.clips import MuxClip, add_cover, add_sound, make_jpeg, mux_packet, mux_sound


@pytest.fixture(scope="session")
def jpegs() -> list[bytes]:
    """Ten different JPEGs of 64x48."""
    return [make_jpeg(number) for number in range(10)]


@pytest.fixture
def mux(tmp_path: Path, jpegs: list[bytes]) -> MuxClip:
    """`mux("clip.avi", ...)` writes a clip and returns its path."""

    def write(
        name: str,
        packets: Sequence[bytes] = jpegs,
        times: Sequence[int] | None = None,
        *,
        time_base: Fraction = Fraction(1, 25),
        codec: str = "mjpeg",
        sound: str | None = None,
        cover: bytes | None = None,
        options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            video = container.add_mux_stream(codec, rate=25, width=64, height=48)
            video.time_base = time_base
            audio = add_sound(container, sound) if sound else None
            attached = add_cover(container) if cover else None
            if attached is not None and cover is not None:
                mux_packet(container, attached, cover, 0, time_base)
            for number, data in enumerate(packets):
                pts = number if times is None else times[number]
                mux_packet(container, video, data, pts, time_base)
                if audio is not None:
                    mux_sound(container, audio, number)
            if audio is not None:
                container.mux(audio.encode(None))
        return path

    return write
