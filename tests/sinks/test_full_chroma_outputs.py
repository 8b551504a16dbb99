"""What outputs make of chroma that a model restored at luma's size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mjpeg_restore.colour import to_sampling
from mjpeg_restore.frames import Frame, Picture, Sampling
from mjpeg_restore.sinks import OutputSettings, VideoFile, Y4mStream
from mjpeg_restore.sinks.picture_encoder import PictureEncoder
from mjpeg_restore.sinks.raw import samples
from mjpeg_restore.sinks.segments import Segments
from tests.sinks.conftest import noise, planes_of, read, save

SUBSAMPLED = [Sampling.YUV420, Sampling.YUV422, Sampling.YUV440, Sampling.YUV411]


def restored(sampling: Sampling, index: int = 0, size: tuple[int, int] = (65, 47)) -> Picture:
    """A picture of a stream of that sampling, its chroma at luma's size."""
    planes = noise(*size, Sampling.YUV444, seed=1).planes
    return Picture(planes, Sampling.YUV444, coded_sampling=sampling, index=index, pts=index)


@pytest.mark.parametrize(
    ("codec", "sampling", "format"),
    [
        ("h264", Sampling.YUV420, "yuvj420p"),
        ("h264", Sampling.YUV422, "yuvj422p"),
        ("hevc", Sampling.YUV420, "yuvj420p"),
        ("mjpeg", Sampling.YUV420, "yuvj420p"),
        ("av1", Sampling.YUV422, "yuv420p"),
        ("ffv1", Sampling.YUV420, "yuv444p"),
    ],
)
def test_lossy_video_is_encoded_at_the_streams_sampling(
    output: Path, codec: str, sampling: Sampling, format: str
) -> None:
    (frame,) = save(output / "a.mkv", [restored(sampling)], codec)
    assert frame.format.name.replace("yuvj", "yuv") == format.replace("yuvj", "yuv")


@pytest.mark.parametrize("sampling", SUBSAMPLED)
def test_what_loses_nothing_keeps_every_sample(output: Path, sampling: Sampling) -> None:
    picture = restored(sampling)
    (frame,) = save(output / "a.mkv", [picture], "ffv1")
    assert all(map(np.array_equal, picture.planes, planes_of(frame)))
    stream = io.BytesIO()
    sink = Y4mStream(stream)
    sink.write(Frame(picture))
    sink.close()
    assert b" C444 " in stream.getvalue().splitlines()[0]
    assert stream.getvalue().endswith(b"".join(plane.tobytes() for plane in picture.planes))
    with Image.open(io.BytesIO(PictureEncoder("png").encode(picture))) as image:
        np.testing.assert_array_equal(np.asarray(image), picture.to_ndarray())


@pytest.mark.parametrize("sampling", [Sampling.YUV420, Sampling.YUV422])
def test_jpegs_have_the_streams_sampling(sampling: Sampling) -> None:
    encoder = PictureEncoder("jpeg")
    ours, theirs = restored(sampling), to_sampling(restored(sampling), sampling)
    assert encoder.encode(ours) == encoder.encode(theirs)


def test_raw_pictures_are_averaged_or_keep_their_colours() -> None:
    picture = restored(Sampling.YUV420)
    wanted = to_sampling(picture, Sampling.YUV420).planes
    assert all(map(np.array_equal, samples(picture, "yuv420p", full_range=True), wanted))
    np.testing.assert_array_equal(samples(picture, "rgb24", full_range=True)[0], picture.to_ndarray())


def test_nothing_is_said_of_chroma_that_the_stream_never_had(output: Path) -> None:
    sink = VideoFile(output / "a.mp4", OutputSettings())
    for index in range(2):
        sink.write(Frame(restored(Sampling.YUV420, index, (64, 48))))
    sink.close()
    assert sink.remark is None


def test_a_stream_that_changes_its_sampling_begins_another_file(output: Path) -> None:
    sink = Segments(output / "a.mkv", OutputSettings(new_file_on_resize=True))
    for index, sampling in enumerate([Sampling.YUV422, Sampling.YUV422, Sampling.YUV420]):
        sink.write(Frame(restored(sampling, index)))
    sink.close()
    formats = [read(path)[0].format.name for path in sorted(output.iterdir())]
    assert sorted(formats) == ["yuvj420p", "yuvj422p"]
