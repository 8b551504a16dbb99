"""What a run leaves: videos, pictures, compared, cut, with texture."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mjpeg_restore.testing import ListSource
from tests.cli.command import FAST, SIZE, assert_one_line, mux, picture_of, pictures, run, times
from tests.jpeg.pictures import encode


def test_mjpeg_to_mp4(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run([clip, "-o", output / "out.mp4", "--fps", "10", "--device", "onnxruntime"], capfd)
    assert (code, out) == (0, "")
    assert times(output / "out.mp4") == [Fraction(n, 10) for n in range(6)]
    assert_one_line(err)
    assert err.startswith(f"mjpeg-restore: 6 frames to {output / 'out.mp4'}, ")
    assert [path.name for path in output.iterdir()] == ["out.mp4"]


def test_variable_time_stamps_reach_the_mp4(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stamps = [0, 33, 40, 500, 533, 1700]
    code, _, _ = run([mux(tmp_path / "in.mkv", stamps), "-o", output / "out.mp4", *FAST], capfd)
    assert code == 0
    assert times(output / "out.mp4") == [Fraction(stamp, 1000) for stamp in stamps]


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.y4m"])
def test_samples_that_are_not_square_stay_so(
    tmp_path: Path, output: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with av.open(str(tmp_path / "pal.mkv"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25, width=SIZE[0], height=SIZE[1])
        stream.pix_fmt = "yuvj420p"
        stream.sample_aspect_ratio = stream.codec_context.sample_aspect_ratio = Fraction(16, 15)
        frame = av.VideoFrame(*SIZE, "yuvj420p")
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    assert run([tmp_path / "pal.mkv", "-o", output / name, *FAST], capfd)[0] == 0
    with av.open(str(output / name)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
    assert ", samples 16/15 as wide as high\n" in run(["inspect", tmp_path / "pal.mkv"], capfd)[1]


@pytest.mark.parametrize("rotation", [90, 180])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi", "out.y4m", "out.png"])
def test_pictures_stand_upright_with_the_aspect_of_their_samples(
    output: Path, name: str, rotation: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ListSource(pictures(1))
    source.info = replace(source.info, rotation=rotation, sample_aspect=Fraction(16, 15))
    monkeypatch.setattr("mjpeg_restore.cli.restore.open_source", lambda *_, **__: source)
    assert run(["rotated.mov", "-o", output / name, *FAST], capfd)[0] == 0
    with av.open(str(output / name)) as container:
        (frame,) = container.decode(video=0)
        assert (frame.width, frame.height) == (SIZE[::-1] if rotation == 90 else SIZE)
        if name != "out.png":
            expected = Fraction(15, 16) if rotation == 90 else Fraction(16, 15)
            assert container.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize("name", ["out.mkv", "out.mov", "out.avi", "out.y4m"])
def test_other_containers(clip: Path, output: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run([clip, "-o", output / name, *FAST], capfd)
    assert code == 0
    assert len(times(output / name)) == 6


def test_codec_crf_preset_and_options(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [clip, "-o", output / "out.mkv", *FAST, "-c", "hevc", "--crf", "30", "--preset", "ultrafast", "-e", "g=1"]
    code, _, _ = run(words, capfd)
    assert code == 0
    with av.open(str(output / "out.mkv")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)


def test_a_folder_of_pngs(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run([clip, "-o", f"{output}/frames/", *FAST], capfd)
    assert code == 0
    assert sorted(path.name for path in (output / "frames").iterdir()) == [f"{n:06}.png" for n in range(6)]
    assert picture_of(output / "frames" / "000003.png")[1].shape == (48, 64, 3)


@pytest.mark.parametrize(("name", "kind"), [("out.png", "PNG"), ("out.jpg", "JPEG"), ("out.JPEG", "JPEG")])
def test_one_picture_to_one_picture(
    tmp_path: Path, output: Path, name: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jpg").write_bytes(encode("4:2:0", (163, 117)))
    code, _, err = run([tmp_path / "in.jpg", "-o", output / name, *FAST], capfd)
    assert code == 0
    assert err.startswith(f"mjpeg-restore: 1 frame to {output / name}, ")
    assert [path.name for path in output.iterdir()] == [name]
    found, pixels = picture_of(output / name)
    assert (found, pixels.shape) == (kind, (117, 163, 3))
    assert np.abs(pixels - picture_of(tmp_path / "in.jpg")[1]).mean() < 3


def test_many_pictures_into_one_name_a_folder_instead(
    clip: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run([clip, "-o", output / "out.png", *FAST], capfd)
    assert code == 5
    assert_one_line(err)
    assert "holds one picture" in err
    assert "out-%06d.png" in err
    assert list(output.iterdir()) == []
    code, _, _ = run([clip, "-o", output / "out.png", "--frames", 1, *FAST], capfd)
    assert code == 0
    assert [path.name for path in output.iterdir()] == ["out.png"]


def test_one_picture_does_not_replace_another_unasked(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jpg").write_bytes(encode())
    (output / "out.png").write_text("mine")
    assert run([tmp_path / "in.jpg", "-o", output / "out.png", *FAST], capfd)[0] == 5
    assert (output / "out.png").read_text() == "mine"
    assert run([tmp_path / "in.jpg", "-o", output / "out.png", "-y", *FAST], capfd)[0] == 0
    assert picture_of(output / "out.png")[0] == "PNG"


def test_a_folder_of_jpegs_to_a_video(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for number, data in enumerate(pictures(3)):
        (tmp_path / "in" / f"img{number}.jpg").write_bytes(data)
    assert run([tmp_path / "in", "-o", output / "out.mp4", *FAST], capfd)[0] == 0
    assert len(times(output / "out.mp4")) == 3
    assert run([tmp_path / "in" / "*.jpg", "-o", output / "%d.png", *FAST], capfd)[0] == 0
    assert sorted(path.name for path in output.glob("*.png")) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize(("how", "size"), [("side", (128, 48)), ("split", (64, 48))])
def test_compare(clip: Path, output: Path, how: str, size: tuple[int, int], capfd: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run([clip, "-o", output / "out.mp4", "--compare", how, "-m", "stream-lite"], capfd)
    assert code == 0
    with av.open(str(output / "out.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == size


def test_frames_start_and_duration(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words, count in [
        (["--frames", 2], 2),
        (["--start", "0.08"], 4),
        (["--duration", "0.12"], 3),
        (["--start", "0:00:00.04", "--duration", "0.08"], 2),
    ]:
        assert run([clip, "-o", output / "out.mkv", "-y", *FAST, *words], capfd)[0] == 0
        found = times(output / "out.mkv")
        assert len(found) == count
        assert found[0] == 0
