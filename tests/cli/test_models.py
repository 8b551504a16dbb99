"""`mjpeg-restore models`, and models with options of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import picture_of, run, still
from tests.jpeg.pictures import encode


def test_models_for_people_and_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["models"], capfd)
    assert (code, err) == (0, "")
    assert out.startswith("decode: ")
    assert "\nstream: " in out
    assert "kMAC per pixel" in out
    assert re.search(r"\nhr-cnn: .*\n.*\n +live1 +Q10 +Q30 +Q50\n +luma gain, dB +\+1\.\d\d ", out)
    _, out, _ = run(["models", "--json"], capfd)
    found = json.loads(out, parse_constant=pytest.fail)
    assert list(found)[:3] == ["decode", "stream", "stream-lite"]
    assert found["stream"]["parameters"] > 100_000
    assert found["qgac"]["texture"]["training"]["hours"] > 0


@pytest.mark.parametrize(("model", "quality", "told"), [("l8", 20, False), ("l8", 30, False), ("l8", 31, True)])
def test_a_network_for_other_qualities_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], model: str, quality: int, told: bool
) -> None:
    (tmp_path / "a.jpg").write_bytes(encode("4:2:0", (32, 32), quality=quality))
    code, _, err = run([str(tmp_path / "a.jpg"), "-o", str(tmp_path / "a.png"), "-m", model], capfd)
    assert code == 0
    words = f"l8 was trained for Q20, these pictures are of about Q{quality}: stream is for all qualities"
    assert (words in err) is told


def test_candidates_are_different_pictures_and_seeds_repeat(
    tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [still(tmp_path), "-m", "one-to-many", "--device", "onnxruntime"]
    code, out, _ = run([*words, "-o", output / "a.png", "--candidates", 2, "--seed", 7, "--json"], capfd)
    assert code == 0
    assert [json.loads(line)["outputs"][0]["name"] for line in out.splitlines()] == [
        str(output / f"a-{number}.png") for number in (1, 2)
    ]
    assert run([*words, "-o", output / "b.png", "--seed", 8], capfd)[0] == 0
    assert sorted(path.name for path in output.iterdir()) == ["a-1.png", "a-2.png", "b.png"]
    first, second, again = (picture_of(output / name)[1] for name in ("a-1.png", "a-2.png", "b.png"))
    assert np.abs(first.astype(int) - second).mean() > 2
    np.testing.assert_array_equal(second, again)


def test_texture_is_blended_in(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [still(tmp_path), "-m", "qgac", "--device", "onnxruntime"]
    found = []
    for share in ("0", "0.5", "1"):
        path = output / f"{share}.png"
        assert run([*words, "-o", path, "--texture", share], capfd)[0] == 0
        found.append(picture_of(path)[1])
    assert (found[0] != found[2]).any()
    assert np.abs(found[1] - found[0]).mean() < np.abs(found[2] - found[0]).mean()
