"""What the scripts say of input that makes no sense: one line, no traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.jpeg.pictures import scene
from tests.lacking import needs
from tests.scripts.running import run

needs("torch")

ROOT = Path(__file__).parents[2]


def refusal(script: str, *words: object) -> str:
    """The one line that a script ends with."""
    done = run(script, *words)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    Image.fromarray(scene(64, 48)).save(tmp_path / "a.png")
    return tmp_path


def test_evaluate_names_a_broken_picture(pictures: Path) -> None:
    (pictures / "b.png").write_bytes((pictures / "a.png").read_bytes()[:500])
    assert refusal("evaluate", "--data", pictures).startswith(f"evaluate: {pictures / 'b.png'} is no picture")


def test_evaluate_names_a_picture_that_is_too_small(pictures: Path) -> None:
    Image.fromarray(scene(64, 7)).save(pictures / "b.png")
    expected = f"evaluate: {pictures / 'b.png'}: a picture to measure with has 8x8 pixels or more\n"
    assert refusal("evaluate", "--data", pictures, "--quality", "10", "--model", "decode") == expected


def test_evaluate_reads_pictures_of_16_bits_as_training_does(pictures: Path) -> None:
    from measuring.pictures import load

    Image.fromarray(scene(64, 48)[..., 0].astype(np.uint16) << 8).save(pictures / "b.png")
    np.testing.assert_array_equal(load(pictures / "b.png")[..., 1], scene(64, 48)[..., 0])


def train(pictures: Path, *words: str | Path, model: str = "stream-lite") -> str:
    folders = ("--data", pictures, "--validation", pictures, "--runs", pictures / "runs")
    return refusal("train", "--model", model, *folders, "--device", "cpu", *words)


def test_train_wants_pictures_as_large_as_a_crop(pictures: Path) -> None:
    assert "not one picture of" in train(pictures)


def test_train_wants_a_checkpoint_to_resume(pictures: Path) -> None:
    Image.fromarray(scene(320, 320)).save(pictures / "large.png")
    assert "checkpoint.pt: no such file to go on from" in train(pictures, "--resume")


def test_train_names_a_broken_picture(pictures: Path) -> None:
    (pictures / "b.png").write_bytes(b"no picture")
    assert "b.png" in train(pictures)


def test_train_names_a_picture_too_small_to_validate_with(pictures: Path) -> None:
    Image.fromarray(scene(320, 320)).save(pictures / "large.png")
    Image.fromarray(scene(12, 320)).save(pictures / "flat.png")
    assert "flat.png: a picture to validate with has 16x16 pixels or more" in train(pictures)


def test_train_says_what_the_last_stage_lacks_before_it_trains_the_first(pictures: Path) -> None:
    Image.fromarray(scene(320, 320)).save(pictures / "large.png")
    message = train(pictures, "--minutes", "60", model="qgac")
    assert "torchvision" in message or "MINC" in message
    assert not (pictures / "runs").exists()


def test_train_knows_which_models_have_a_short_recipe(pictures: Path) -> None:
    assert "stream-lite has no short recipe: leave out --short" in train(pictures, "--short")


def test_train_names_what_is_no_graph(pictures: Path) -> None:
    Image.fromarray(scene(320, 320)).save(pictures / "large.png")
    (pictures / "a.json").write_text("{}")  # a name by which ONNX would choose another format
    for name in ("a.png", "a.json"):
        assert f"{name}: no ONNX graph" in train(pictures, "--init-from", pictures / name)


def test_train_says_what_does_not_fit(pictures: Path) -> None:
    Image.fromarray(scene(320, 320)).save(pictures / "large.png")
    message = train(pictures, "--init-from", ROOT / "engines" / "l4-q10.grey.onnx", "--stage", "whole")
    assert "l4-q10.grey.onnx: not a graph of this network, it has no " in message


@pytest.mark.parametrize("words", [("--minutes", "0"), ("--minutes", "soon"), ("--batch", "1.5"), ("--threads", "0")])
def test_train_refuses_numbers_in_words(pictures: Path, words: tuple[str, str]) -> None:
    done = run("train", "--model", "l8", "--data", ".", "--validation", ".", *words)
    assert done.returncode == 2
    assert f"{words[1]!r} is no " in done.stderr


def test_export_names_a_broken_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]")
    message = refusal("export", "--model", "decode", "--engines", tmp_path)
    assert message.startswith(f"export: {tmp_path / 'manifest.json'}: no manifest")


def test_export_names_a_file_in_the_place_of_a_folder(pictures: Path) -> None:
    message = refusal("export", "--model", "decode", "--engines", pictures / "a.png")
    assert message.startswith("export: ") and "a.png" in message


def test_the_demo_names_a_file_in_the_place_of_a_folder(pictures: Path) -> None:
    assert refusal("demo", "clip.mjpeg", pictures / "a.png").startswith("demo: ")


@pytest.mark.parametrize("script", ["train", "export"])
def test_a_model_without_a_recipe(tmp_path: Path, script: str) -> None:
    folders = ["--data", ".", "--validation", "."] if script == "train" else []
    done = run(script, "--model", "streem", *folders)
    assert done.returncode == 2
    assert "--model: no recipe for 'streem'; there are " in done.stderr and "stream-lite" in done.stderr


def test_train_names_a_device_that_is_not_there(pictures: Path) -> None:
    done = run("train", "--model", "l8", "--data", pictures, "--validation", pictures, "--device", "abacus")
    assert done.returncode == 2
    assert done.stderr.endswith("--device: PyTorch has no device 'abacus' here\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("measure_serving", "--clients", "0"), "--clients, --pictures and --pairs are at least 1"),
        (("measure_serving", "--pairs", "0"), "--clients, --pictures and --pairs are at least 1"),
        (("measure_serving", "--pictures", "0"), "--clients, --pictures and --pairs are at least 1"),
        (("measure_serving", "--size", "5"), "'5' is not a size of 64x48 or more"),
        (("measure_fleet", "--size", "5"), "'5' is not a size of 64x48 or more"),
        (("measure_fleet", "--cameras", "0"), "--cameras, --fps and --seconds are more than 0"),
        (("benchmark", "--only", "memory", "--long", "-1"), "--long is at least 1"),
        (("check_image", "--keep", str(ROOT)), f"--keep {ROOT}: File exists; name a new folder"),
    ],
)
def test_options_that_make_no_sense(words: tuple[str, ...], told: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stderr.endswith(f"{told}\n")


@pytest.mark.parametrize("script", ["measure_serving", "measure_fleet"])
def test_a_model_that_there_is_not(script: str) -> None:
    assert refusal(script, "--model", "nope", "--size", "64x48").startswith(f"{script}: no model 'nope'")


def test_the_camera_names_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    log = tmp_path / "none" / "log"
    assert refusal("play_camera", "--log", log) == f"play_camera: cannot write {log} (No such file or directory)\n"


def test_a_fleet_that_ends_by_itself_is_an_error(tmp_path: Path) -> None:
    from measuring.fleet import measure

    with pytest.raises(RuntimeError, match="no model 'nope'"):
        measure(tmp_path, ["http://127.0.0.1:9/"], "nope", 1.0, serve=False)


def test_the_benchmark_wants_sizes_that_can_be_drawn() -> None:
    done = run("benchmark", "--sizes", "16x16")
    assert done.returncode == 2
    assert "'16x16' is not a size of 64x64 or more" in done.stderr
