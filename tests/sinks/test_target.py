"""What exists at an output's path: inputs are never replaced, links are followed."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from mjpeg_restore.errors import OutputExists, SinkError
from mjpeg_restore.frames import Frame
from mjpeg_restore.sinks import OutputSettings, held_open, open_sink
from tests.lacking import needs_named_pipes
from tests.sinks.conftest import flat, read


def test_a_target_that_cannot_be_looked_up_is_a_sink_error(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(SinkError, match=r"a\.mp4 \(Permission denied\)"):
        open_sink(str(output / "a.mp4"))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("name", ["a.mp4", "a.y4m", "a.m3u8", "a.png"])
def test_what_a_link_leads_to_is_written(output: Path, tmp_path: Path, name: str, live: bool) -> None:
    far = tmp_path / "far" / name
    far.parent.mkdir()
    link = output / name
    link.symlink_to(Path("..") / "far" / name)
    for overwrite in (False, True):  # the link leads nowhere at first
        sink = open_sink(link, OutputSettings(overwrite=overwrite, live=live and name != "a.png"))
        sink.write(Frame(flat()))
        sink.close()
        assert link.is_symlink()
        assert len(read(link)) == 1
        assert list(far.parent.iterdir()) == [far]
        assert [path for path in output.iterdir() if path.suffix != ".ts"] == [link]
        with pytest.raises(OutputExists, match="exists"):
            open_sink(link)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
def test_a_file_that_is_only_open_has_no_name_to_write_to(tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path) as unnamed:
        for name in (f"/dev/fd/{unnamed.fileno()}", f"/proc/self/fd/{unnamed.fileno()}"):
            with pytest.raises(SinkError, match="cannot write to "):
                open_sink(f"y4m:{name}", OutputSettings(overwrite=True))
    assert not [*tmp_path.iterdir()]


def test_a_link_to_a_folder_that_is_missing_is_a_sink_error(output: Path) -> None:
    (output / "a.mp4").symlink_to(output / "none" / "b.mp4")
    with pytest.raises(SinkError, match=r"cannot write to .*none .*create it or choose another"):
        open_sink(output / "a.mp4")


@pytest.mark.parametrize("name", ["cam.avi", "cam.png", "cam.y4m"])
@pytest.mark.parametrize("input_name", ["{}", ".{stem}.part{suffix}"])
def test_an_input_is_not_replaced(output: Path, name: str, input_name: str) -> None:
    target = output / name
    mine = output / input_name.format(name, stem=target.stem, suffix=target.suffix)
    mine.write_text("mine")
    (output / "link").symlink_to(mine)
    for path in (mine, output / "link"):
        with pytest.raises(SinkError, match="is the input itself"):
            open_sink(str(target), OutputSettings(overwrite=True), inputs=[output / "gone", path])
    assert mine.read_text() == "mine"
    assert len(list(output.iterdir())) == 2


@pytest.mark.parametrize("name", ["7.jpg", "007.JPG"])
def test_an_input_among_numbered_pictures_is_not_replaced(output: Path, tmp_path: Path, name: str) -> None:
    (output / name).write_text("mine")
    (tmp_path / "link.jpg").symlink_to(output / name)
    jpegs, pngs = OutputSettings(overwrite=True, image_format="jpeg"), OutputSettings(overwrite=True)
    for path in (output / name, tmp_path / "link.jpg"):
        with pytest.raises(SinkError, match="could replace the input"):
            open_sink(f"{output}/%d.jpg", pngs, inputs=[path])
        with pytest.raises(SinkError, match="could replace the input"):
            open_sink(str(output), jpegs, inputs=[path])
        open_sink(str(output), pngs, inputs=[path]).close()
        open_sink(f"{output}/x%d.jpg", pngs, inputs=[path]).close()
        open_sink(f"{tmp_path}/%d.jpg", pngs, inputs=[path, tmp_path / "gone.jpg"]).close()


@needs_named_pipes
def test_a_pipe_is_held_open_only_if_somebody_reads_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with held_open(pipe) as is_read:
        assert not is_read
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with held_open(pipe) as is_read:
            assert is_read
            os.close(os.open(pipe, os.O_WRONLY))  # which does not wait
    finally:
        os.close(reader)


def test_other_files_are_not_held_open(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with held_open(tmp_path / "a") as is_read:
        assert is_read
    with pytest.raises(FileNotFoundError), held_open(tmp_path / "none"):
        pass
