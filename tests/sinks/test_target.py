"""What exists at an output's path: inputs are never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from mjpeg_restore.errors import SinkError
from mjpeg_restore.sinks import OutputSettings, open_sink


def test_a_target_that_cannot_be_looked_up_is_a_sink_error(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(SinkError, match=r"a\.mp4 \(Permission denied\)"):
        open_sink(str(output / "a.mp4"))


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
