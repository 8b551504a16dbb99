"""What the command takes, and what it refuses before it does anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from mjpeg_restore.cli import main
from mjpeg_restore.cli.arguments import NAMED_COMMANDS, parse
from tests.cli.command import FAST, assert_one_line, pictures, run, still, times


def test_help_shows_examples_and_exit_codes(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    out = capfd.readouterr().out
    assert caught.value.code == 0
    assert "mjpeg-restore cam.mjpeg -o out.mp4" in out
    assert "exit codes: 0 done, 2 wrong arguments" in out
    words = " ".join(out.split())
    assert "4 the network, its runtime, or a package that is missing, 5 the output" in words
    assert "a report as JSON at the end; of --candidates one for each, a line each" in words
    assert "with --loop it is the length of each round" in words
    assert "JPEGs without time stamps are stamped as they arrive" in words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--help"], "mjpeg-restore inspect INPUT "),
        (["--help"], "mjpeg-restore models "),
        (["inspect", "--help"], "usage: mjpeg-restore inspect "),
        (["models", "--help"], "usage: mjpeg-restore models "),
    ],
)
def test_the_help_of_a_command_is_its_own(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    assert told in capfd.readouterr().out


def test_help_names_all_commands_and_what_makes_names_of_files_of_them(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capfd.readouterr().out
    assert [name for name in NAMED_COMMANDS if f"\n  mjpeg-restore {name} " not in out] == []
    told = "Beside -o, --show or --verify these words name files: run, fleet, inspect, models, doctor, build."
    assert told in out


@pytest.mark.parametrize(
    "words",
    [
        ["cam.avi", "-o", "out.mp4"],
        ["archive", "rec", "-o", "out"],
        ["build"],
        ["doctor"],
    ],
)
def test_an_empty_cache_is_not_the_current_folder(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse([*words, "--engine-cache", ""])
    assert stopped.value.code == 2
    assert "argument --engine-cache: is empty: is a variable unset?" in capsys.readouterr().err


def test_a_pattern_that_the_shell_has_spelt_out_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["a.jpg", "b.jpg", "c.jpg", "-o", "out"])
    assert stopped.value.code == 2
    assert "one INPUT is taken, here are 3: quote a pattern, or name the folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["in.mjpeg"],
        ["in.mjpeg", "-o"],
        ["in.mjpeg", "-o", "out.mp4", "--frames", "0"],
        ["in.mjpeg", "-o", "out.mp4", "--frames", "few"],
        ["in.mjpeg", "-o", "out.mp4", "--frames", "9" * 23],
        ["inspect", "in.mjpeg", "--frames", "9" * 23],
        ["in.mjpeg", "-o", "out.mp4", "--threads", "9999"],
        ["in.mjpeg", "-o", "out.mp4", "--fps", "fast"],
        ["in.mjpeg", "-o", "out.mp4", "--fps", "1/0"],
        ["in.mjpeg", "-o", "out.mp4", "--start", "1:2:3:4"],
        ["in.mjpeg", "-o", "out.mp4", "--start=-1"],
        ["in.mjpeg", "-o", "out.mp4", "--duration", "nan"],
        ["in.mjpeg", "-o", "out.mp4", "--duration", "0"],
        ["in.mjpeg", "-o", "out.mp4", "--start", "1e999999999"],
        ["in.mjpeg", "-o", "out.mp4", "--fps", "1e999999999"],
        ["in.mjpeg", "-o", "out.mp4", "--compare", "both"],
        ["in.mjpeg", "-o", "out.mp4", "-e", "novalue"],
        ["in.mjpeg", "-o", "out.mp4", "--nonsense"],
        ["inspect"],
        ["models", "extra"],
        ["inspect", "in.mjpeg", "-o", "out.mp4"],
        ["models", "in.mjpeg", "--verify"],
        ["inspect", "a.mjpeg", "b.mjpeg"],
    ],
)
def test_wrong_arguments_exit_with_2(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    err = capfd.readouterr().err
    assert_one_line(err)
    assert "; see mjpeg-restore" in err
    assert err.endswith(" --help\n")


@pytest.mark.parametrize("name", ["models", "inspect"])
def test_a_recording_may_be_called_like_a_command(
    clip: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Restoring says what for: with -o, --show or --verify the name is a file's."""
    monkeypatch.chdir(clip.parent)
    clip.rename(name)
    for words in ([name, "-o", "out.mp4"], ["-o", "out.mp4", name], [f"./{name}", "--json", "-oout.mp4"]):
        assert run([*words, "-y", *FAST], capfd)[0] == 0
        assert len(times(Path("out.mp4"))) == 6
    assert run([name, "--verify", *FAST], capfd)[0] == 0
    assert run(["inspect", name], capfd)[1].startswith(f"{name}: JPEG stream, 6 pictures")
    assert run(["models"], capfd)[1].startswith("decode: ")


def test_a_folder_may_be_called_like_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for number, data in enumerate(pictures(3)):
        (tmp_path / "models" / f"{number}.jpg").write_bytes(data)
    assert run(["models", "-o", "out.mp4", *FAST], capfd)[0] == 0
    assert len(times(tmp_path / "out.mp4")) == 3
    assert run(["models"], capfd)[1].startswith("decode: ")


def test_candidates_need_a_model_that_has_them(clip: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(clip), "-o", str(output / "a.mp4"), "--candidates", "2"])
    assert stopped.value.code == 2
    assert "model 'stream' knows one answer only; one-to-many has many" in capfd.readouterr().err


@pytest.mark.parametrize("source", ["-", "http://cam/snapshot.jpg"])
def test_candidates_need_an_input_that_can_be_read_again(
    source: str, output: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([source, "-o", str(output / "a.mp4"), "-m", "one-to-many", "--candidates", "2"])
    assert stopped.value.code == 2
    assert "INPUT is read once for each" in capfd.readouterr().err


@pytest.mark.parametrize("name", [".", "..", "/", "folder"])
def test_candidates_need_a_file_to_go_to(clip: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(clip), "-o", name, "-m", "one-to-many", "--candidates", "2"])
    assert "OUTPUT a file such as out.png" in capfd.readouterr().err


def test_candidates_replace_nothing_unasked(tmp_path: Path, output: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (output / "a-2.png").write_bytes(b"mine")
    words = [str(still(tmp_path)), "-o", str(output / "a.png"), "-m", "one-to-many", "--candidates", "2"]
    assert main(words) == 5
    assert "a-2.png exists: -y replaces it" in capfd.readouterr().err
    assert [path.name for path in output.iterdir()] == ["a-2.png"]


@pytest.mark.parametrize("words", [["--seed", "3"], ["--texture", "0.5"]])
def test_what_has_no_effect_is_refused(clip: Path, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(clip), "-o", "out.mp4", *words])
    assert stopped.value.code == 2
    assert f"{words[0]}: model 'stream'" in capfd.readouterr().err


@pytest.mark.parametrize("word", ["-0.1", "1.1", "much", "nan"])
def test_texture_is_a_share(clip: Path, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(clip), "-o", "out.mp4", f"--texture={word}"])
    assert "--texture" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "option"), [(["--crf", "20"], "--crf"), (["-c", "hevc"], "--codec"), (["-e", "g=1"], "--encoder-option")]
)
def test_options_of_an_output_need_one(words: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["in.mjpeg", "--verify", *words])
    assert stopped.value.code == 2
    assert f"{option} has no effect without -o: leave it out" in capsys.readouterr().err


def test_many_cameras_are_served_and_so_is_a_file_of_a_commands_name() -> None:
    assert parse(["run", "cameras.toml", "--serve", "8080"]).command == "run"
    options = parse(["models", "--serve", "8080"])
    assert (options.command, options.input, options.serve) == ("restore", "models", ("127.0.0.1", 8080))


def test_a_part_may_have_no_packets(capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(["archive", "rec", "-o", "out", "--part", "0"]).part == 0
    with pytest.raises(SystemExit):
        parse(["archive", "rec", "-o", "out", "--part", "-1"])
    assert "argument --part: '-1' is not between 0 and 1000000000" in capfd.readouterr().err
