from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import pytest

from mjpeg_restore import colour
from mjpeg_restore.frames import FieldLayout, Sampling
from mjpeg_restore.interlace import weave
from mjpeg_restore.sinks import pixels
from tests.sinks.conftest import JITTER, PAIRS, noise, planes_of, save


@pytest.mark.parametrize(("extension", "codec"), PAIRS)
def test_s6_interlacing_is_signalled_and_changes_nothing_else(output: Path, extension: str, codec: str) -> None:
    paths = [output / f"{name}.{extension}" for name in ("woven", "plain")]
    for path, order in zip(paths, ("bottom", None), strict=True):
        pictures = [replace(noise(64, 48, index=i), pts=pts, field_order=order) for i, pts in enumerate(JITTER)]
        frames = save(path, [replace(p, time_base=Fraction(1, 1000)) for p in pictures], codec, fps=Fraction(25))
        assert frames[0].interlaced_frame == (order is not None and codec in ("h264", "ffv1"))
    woven, plain = (about(path) for path in paths)
    assert woven == plain


def about(path: Path) -> tuple[object, ...]:
    """A video file's colour tags, pixel format and times."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
        return (*tags, stream.format.name, [frame.time for frame in container.decode(video=0)])


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize(
    ("file", "codec", "size"),
    [
        ("a.mkv", "h264", (64, 48)),
        ("a.mp4", "h264", (64, 48)),
        ("a.mov", "h264", (64, 48)),
        ("a.mkv", "h264", (64, 54)),
        ("a.mkv", "ffv1", (63, 53)),
        ("a.mkv", "mjpeg", (64, 48)),
        ("a.mkv", "mpeg1video", (64, 48)),
    ],
)
def test_s6_the_container_stores_the_field_order(
    output: Path, file: str, codec: str, size: tuple[int, int], order: Literal["top", "bottom"]
) -> None:
    picture = replace(noise(*size), field_order=order)
    frame = save(output / file, [picture], codec, **({"crf": 0} if codec == "h264" else {}))[0]
    with av.open(str(output / file)) as container:
        found = container.streams.video[0].codec_context.field_order
    if file == "a.mkv":
        tt, bb, tb, bt = 2, 3, 4, 5  # FFmpeg's numbers
        pair = (tt, bb) if codec == "mjpeg" else (tb, bt)
        assert found == pair[order == "bottom"]
    else:
        assert found in {"top": (2, 4), "bottom": (3, 5)}[order]
    if codec in ("h264", "ffv1"):
        assert all(map(np.array_equal, picture.planes, planes_of(frame)))


@pytest.mark.parametrize("sampling", Sampling)
@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_s6_fields_of_an_odd_height_lose_at_most_one_line_of_chroma(
    output: Path, codec: str, sampling: Sampling
) -> None:
    woven = weave(noise(64, 27, sampling), noise(64, 27, sampling, seed=1), FieldLayout())
    frame = save(output / "a.mkv", [woven], codec, **({"crf": 0} if codec == "h264" else {}))[0]
    assert (frame.width, frame.height) == (64, 54)
    target, _ = pixels.choose_format(av.Codec({"h264": "libx264"}.get(codec, codec), "w"), sampling)
    for expected, found in zip(colour.to_sampling(woven, target).planes, planes_of(frame), strict=True):
        assert len(found) in (len(expected), len(expected) - 1)
        assert np.array_equal(found, expected[: len(found)])
