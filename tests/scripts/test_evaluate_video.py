"""`scripts/evaluate_video.py`: its clips, its figures, and the page that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore import catalogue
from mjpeg_restore.errors import SourceError
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from tests.jpeg.pictures import scene
from tests.lacking import needs
from tests.scripts.running import run

needs("torch")
needs("PIL")
needs("scipy")

from measuring.metrics import psnr
from measuring.pictures import encode
from measuring_video import illustrations, results, synthetic
from measuring_video.clip import Blocks, Clip, Frames, luma, whole_mcus, with_noise
from measuring_video.illustrations import captioned, illustrate
from measuring_video.metrics import LARGEST, flicker, levels, pooled_gain, static, uncovered, unrest
from measuring_video.page import with_tables
from measuring_video.rows import Curve, Row, marks
from measuring_video.storage import bd_rate, encoded, saved
from measuring_video.tables import markdown, tables
from measuring_video.targets import targets
from PIL import Image

ROOT = Path(__file__).parents[2]
PICTURE, OTHER = scene(96, 64, 0), scene(96, 64, 1)


# ---- Clips ----


def test_noise_has_its_deviation_in_luma_and_is_the_same_each_time() -> None:
    truth = np.full((4, 64, 64, 3), 128, np.uint8)
    seen = with_noise(truth, 2.0, 5)
    weighted = seen.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert weighted.std() == pytest.approx(2.0, rel=0.05)
    assert seen.std(axis=(0, 1, 2)) == pytest.approx([3, 3, 3], rel=0.05)
    np.testing.assert_array_equal(seen, with_noise(truth, 2.0, 5))
    assert (seen != with_noise(truth, 2.0, 6)).any()


def test_luma_is_that_of_jpeg() -> None:
    planes = Restorer("decode", "onnxruntime").restore(read(encode(PICTURE, 100))).planes
    assert np.abs(planes[0].astype(int) - luma(PICTURE)).max() <= 2


def test_the_quality_changes_with_rate_control() -> None:
    clip = Clip("a", "rate control", np.stack(4 * [PICTURE]), rate=(0, 20))
    tables = [read(data).tables[0] for data in clip.jpegs(50)]
    np.testing.assert_array_equal(tables[0], read(encode(PICTURE, 50)).tables[0])
    np.testing.assert_array_equal(tables[1], read(encode(PICTURE, 70)).tables[0])
    np.testing.assert_array_equal(tables[2:], tables[:2])


def test_clips_are_whole_mcus_and_not_too_wide() -> None:
    assert whole_mcus(np.zeros((2, 40, 700, 3), np.uint8)).shape == (2, 32, 640, 3)
    assert whole_mcus(np.zeros((40, 50, 3), np.uint8)).shape == (32, 48, 3)


def test_a_pan_by_whole_pixels_shows_the_pixels_themselves() -> None:
    truth = synthetic.slow_pan(PICTURE, OTHER, 11)
    assert isinstance(truth, np.ndarray)
    np.testing.assert_array_equal(truth[0], PICTURE)
    np.testing.assert_array_equal(truth[10][:-3, :-7], PICTURE[3:, 7:])
    assert (truth[10][-3:, :-7] == PICTURE[-1:-4:-1, 7:]).all()


@pytest.mark.parametrize("make", [synthetic.passing, synthetic.leaving])
def test_an_object_changes_nothing_but_the_blocks_that_it_covers(make: Callable[..., tuple[Frames, Blocks]]) -> None:
    truth, covered = make(PICTURE, OTHER, 8)
    same = (truth == PICTURE).all(axis=3).reshape(8, 8, 8, 12, 8).all(axis=(2, 4))
    assert same[~covered].all()
    assert covered.any(axis=(1, 2)).all()
    assert not same[covered].all()


def test_an_object_that_leaves_stands_still_first() -> None:
    truth, covered = synthetic.leaving(PICTURE, OTHER, 8)
    assert (truth[:5] == truth[0]).all() and (truth[5] != truth[4]).any()
    assert not uncovered(covered)[:5].any()


def test_light_flickers_around_what_it_is() -> None:
    truth = synthetic.flickering(PICTURE, OTHER, 17)
    assert isinstance(truth, np.ndarray)
    means = truth.mean(axis=(1, 2, 3)) / PICTURE.mean()
    assert means.mean() == pytest.approx(1, abs=0.01)
    assert 1.03 < means.max() < 1.06


def test_a_cut_is_in_the_middle() -> None:
    truth = synthetic.cut(PICTURE, OTHER, 6)
    np.testing.assert_array_equal(truth, np.stack(3 * [PICTURE] + 3 * [OTHER]))


# ---- Figures ----


def test_static_blocks_and_their_flicker_are_those_of_the_second_half() -> None:
    truth = np.full((8, 16, 16), 100, np.uint8)
    truth[:4, :8] = 200
    truth[4:, 8:, 8:] += np.array([0, 9, 0, 9], np.uint8)[:, None, None]
    where = static([*truth])
    np.testing.assert_array_equal(where[::8, ::8], [[True, True], [True, False]])
    restored = truth.copy()
    restored[4::2, 0, 0] += 2
    assert flicker([*restored], where) == pytest.approx((1 / 192) ** 0.5)
    assert flicker([*truth], where) == 0


def test_what_flickers_is_new_in_each_frame_and_what_becomes_better_is_not() -> None:
    everywhere = np.ones((16, 16), np.bool_)
    noise = [*np.random.default_rng(0).integers(90, 110, (400, 16, 16), np.uint8)]
    assert unrest(noise, everywhere) == pytest.approx(flicker(noise, everywhere), rel=0.01)
    better = [np.full((16, 16), level, np.uint8) for level in [0] * 150 + [10] * 50]
    assert flicker(better, everywhere) == 5
    assert unrest(better, everywhere) == pytest.approx(10 / (2 * 99) ** 0.5)


def test_uncovered_blocks_were_covered_in_one_of_the_two_frames_before() -> None:
    covered = np.zeros((5, 1, 3), np.bool_)
    covered[0, 0, 0] = covered[1, 0, 1] = covered[2, 0, 1] = True
    found = [np.flatnonzero(frame).tolist() for frame in uncovered(covered)]
    assert found == [[], [0], [0], [1], [1]]


def test_a_gain_is_that_of_some_blocks_alone() -> None:
    truth = np.full((16, 16), 100, np.uint8)
    ours, theirs = truth + np.uint8(1), truth + np.uint8(10)
    theirs[:, 8:] = 0
    where = np.zeros((1, 2, 2), np.bool_)
    where[0, :, 0] = True
    assert pooled_gain(where, [ours], [theirs], [truth]) == pytest.approx(20)


def test_identical_pictures_have_a_finite_psnr() -> None:
    assert levels([PICTURE], [PICTURE]) == [LARGEST]


def test_the_frames_that_are_shown() -> None:
    assert marks(40) == [2, 4, 8, 16, 40]
    assert marks(8) == [2, 4, 8]
    assert marks(1) == [1]


# ---- Storage ----


def curves(ours: Curve | None = None) -> list[Curve]:
    decode = Curve("decode", "h264", [8000, 4000, 2000, 1000], [38.0, 36.0, 33.0, 29.0])
    return [decode, ours or replace(decode, network="stream")]


@given(st.floats(0.05, 20))
def test_a_bd_rate_is_the_factor_of_the_bytes(factor: float) -> None:
    found = curves(Curve("stream", "h264", [round(1000 * factor * n) for n in (8, 4, 2, 1)], [38.0, 36.0, 33.0, 29.0]))
    assert bd_rate(found, "stream", "decode", "h264") == pytest.approx(factor - 1, rel=0.02, abs=0.02)


def test_a_bd_rate_is_of_the_psnr_that_both_reach() -> None:
    # A straight line: bytes double every 2 dB, and ours take as many as theirs 1 dB below.
    theirs = Curve("decode", "h264", [8000, 4000, 2000, 1000], [36.0, 34.0, 32.0, 30.0])
    ours = Curve("stream", "h264", [8000, 4000, 2000, 1000], [37.0, 35.0, 33.0, 31.0])
    assert bd_rate([theirs, ours], "stream", "decode", "h264") == pytest.approx(2**-0.5 - 1, abs=0.001)


@pytest.mark.parametrize("psnr", [[48.0, 46.0, 43.0, 39.0], [38.0, 38.5, 33.0, 29.0]])
def test_curves_that_do_not_meet_or_that_fall_have_no_bd_rate(psnr: list[float]) -> None:
    assert bd_rate(curves(Curve("stream", "h264", [8, 4, 2, 1], psnr)), "stream", "decode", "h264") is None


def test_saved_bytes_are_those_at_one_crf() -> None:
    found = curves(Curve("stream", "h264", [1, 3000, 1, 1], [38.0, 36.0, 33.0, 29.0]))
    assert saved(found, "stream", "decode", "h264") == 0.25


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_encoded_frames_come_back_in_order(codec: str) -> None:
    restorer = Restorer("decode", "onnxruntime")
    pictures = [restorer.restore(read(encode(whole_mcus(scene(96, 64, seed)), 95))) for seed in range(4)]
    try:
        size, planes = encoded(pictures, codec, 18)
    except ValueError:  # FFmpeg's UnknownCodecError
        pytest.skip("needs FFmpeg's encoders of H.264 and HEVC")
    assert size > 1000
    assert min(psnr(plane, picture.planes[0]) for plane, picture in zip(planes, pictures, strict=True)) > 35


# ---- Results and tables ----


def row(**changed: object) -> Row:
    known = Row(
        clip="still, live1/a",
        kind="still",
        quality=50,
        frames=16,
        size="96x64",
        noise=2.0,
        held_out=True,
        luma={"decode": 33.0, "stream": 34.0, "stream-video": 35.0},
        rgb={"decode": 31.0, "stream": 32.0, "stream-video": 33.0},
        luma_gains=[0.0, -0.2] + [1.0] * 13 + [1.4],
        rgb_gains=[0.0] * 15 + [1.5],
        ssim_gains={"2": 0.001, "16": 0.02},
        static=1.0,
        flicker={"decode": 3.0, "stream": 2.0, "stream-video": 0.25, "truth": 0.0},
        unrest={"decode": 3.0, "stream": 2.0, "stream-video": 0.2, "truth": 0.0},
        uncovered=None,
        computed=0.3,
        outside={"stream": 0, "stream-video": 0},
        speed=None,
        encoded=None,
    )
    return replace(known, **changed)


ABOUT = {"model": "stream-video", "over": "stream"}


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    found = results.Results(ABOUT, [row(encoded=curves()), row(quality=75)])
    assert results.read(tmp_path / "video.json") is None
    found.write(tmp_path / "video.json")
    assert results.read(tmp_path / "video.json") == found


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"about": {}, "rows": [{"clip": "a"}]}', '{"about": {}, "rows": [1]}', '{"about": {}, "rows": []}'],
)
def test_a_file_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "video.json").write_text(text)
    with pytest.raises(SourceError, match=r"video\.json: no results of an earlier run"):
        results.read(tmp_path / "video.json")


def test_a_row_takes_the_place_of_its_like_and_loses_nothing() -> None:
    found = results.Results(ABOUT, [row(speed={"stream": 1.0, "stream-video": 3.0}), row(quality=75)])
    assert found.has(row().clip, 50, speed=True, storage=False)
    assert not found.has(row().clip, 50, speed=False, storage=True)
    found.add(row(encoded=curves()))
    assert [one.quality for one in found.rows] == [50, 75]
    assert found.rows[0].speed and found.rows[0].encoded
    assert found.has(row().clip, 50, speed=True, storage=True)


def test_the_worst_clip_and_frame_are_named_among_the_targets() -> None:
    bad = row(clip="cut, live1/a", kind="cut", luma_gains=[-0.05] * 15 + [-0.3])
    found = {one.what: one for one in targets(results.Results(ABOUT, [row(), bad]))}
    assert found["luma of still scenes, frame 16, Q50"].reached
    assert found["luma of still scenes, frame 16, Q10"].reached is None
    assert found["every frame"].found == "-0.30 dB: cut, live1/a, Q50, frame 16"
    assert found["mean of every clip"].reached is False
    assert found["flicker of still scenes, second half of the clip"].found == "8.0x less"
    assert found["the same, from one frame to the next"].found == "10.0x less"
    assert found["coefficients outside their cell"].reached


def test_a_coefficient_outside_its_cell_misses_the_target() -> None:
    (last,) = [*targets(results.Results(ABOUT, [row(outside={"stream-video": 1})]))][-1:]
    assert (last.found, last.reached) == ("1", False)


def test_a_table_has_the_means_of_what_happens() -> None:
    other = row(clip="still, live1/b", luma_gains=[0.0, 0.4] + [2.0] * 13 + [2.4])
    table = tables(results.Results(ABOUT, [row(), other]))["kinds"]
    cells = [cell.strip() for cell in table.splitlines()[2].split("|")[1:-1]]
    assert cells[:8] == ["still", "2", "50", "+0.10", "+1.50", "+1.50", "+1.90", "+1.90"]
    assert cells[8:11] == ["-", "**+1.34**", "-0.20"]


def test_the_frames_after_the_marks_have_a_mean_of_their_own() -> None:
    assert row().later is None
    assert row(frames=18, luma_gains=[0.0] * 16 + [1.0, 2.0]).later == 1.5


def test_a_table_of_nothing_says_so() -> None:
    assert markdown(("a", "b"), []) == "Not measured yet."
    assert tables(results.Results(ABOUT, [row()]))["speed"] == "Not measured yet."


def test_tables_take_the_place_of_earlier_ones() -> None:
    page = "# A\n<!-- kinds -->\nold\n<!-- /kinds -->\n\nprose\n"
    once = with_tables(page, {"kinds": r"| \1 |"})
    assert once == "# A\n<!-- kinds -->\n\n| \\1 |\n\n<!-- /kinds -->\n\nprose\n"
    assert with_tables(once, {"kinds": r"| \1 |"}) == once
    with pytest.raises(LookupError, match="<!-- speed -->"):
        with_tables(page, {"speed": "x"})


def test_the_page_has_a_place_for_every_table_and_for_the_pictures() -> None:
    parts = tables(results.Results(ABOUT, [row()])) | {"pictures": captioned("stream", "stream-video", "video")}
    assert "(video/still.webp)" in with_tables((ROOT / "docs/video.md").read_text(), parts)


def test_the_pictures_are_drawn_and_all_of_them_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(illustrations, "COUNT", 16)
    decode = catalogue.find("decode")
    illustrate(decode, decode, "auto", tmp_path)
    page = captioned("stream", "stream-video", ".")
    for path in tmp_path.iterdir():
        assert f"(./{path.name})" in page
        with Image.open(path) as picture:
            assert picture.width == 644
    assert page.count("](./") == len([*tmp_path.iterdir()])


def test_a_line_of_pixels_over_time() -> None:
    frames = [np.full((4, 8, 3), number, np.uint8) for number in range(5)]
    over = illustrations.over_time(frames, 2, 1, 7)
    assert over.shape == (15, 6, 3)
    np.testing.assert_array_equal(over[::3, 0, 0], range(5))


# ---- The command ----


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "eval/live1").mkdir(parents=True)
    (tmp_path / "eval/bsds500-test").mkdir()
    (tmp_path / "video").mkdir()
    Image.fromarray(PICTURE).save(tmp_path / "eval/live1/a.png")
    Image.fromarray(OTHER).save(tmp_path / "eval/bsds500-test/b.png")
    (tmp_path / "video/clips.csv").write_text("file,fixed_camera\n")
    return tmp_path


def test_the_command_measures_what_is_missing_and_writes_the_page(data: Path, tmp_path: Path) -> None:
    file, page = tmp_path / "video.json", tmp_path / "video.md"
    page.write_text((ROOT / "docs/video.md").read_text())
    models = ("--model", "stream-lite", "--over", "decode", "--device", "onnxruntime", "--json", file)
    words = (*models, "--data", data, "--scenes", "1", "--frames", "2", "--clips", "still, live1", "--quality")
    done = run("evaluate_video", *words, "50")
    assert done.returncode == 0, done.stderr
    assert "still, live1/a" in done.stdout
    found = results.read(file)
    assert found is not None
    (one,) = found.rows
    jpeg = Clip("still, live1/a", "still", PICTURE[None], 2.0).jpegs(50)[0]
    by_name = [Restorer(name, "onnxruntime").restore(read(jpeg)).planes[0] for name in ("stream-lite", "decode")]
    after, before = (psnr(plane, luma(PICTURE)) for plane in by_name)
    assert one.luma_gains[0] == round(after - before, 3)
    assert one.outside == {"decode": 0, "stream-lite": 0} or one.outside == {"stream-lite": 0}
    done = run("evaluate_video", *words, "50", "80", "--page", page)
    assert done.stdout.count("still, live1/a") == 1
    assert [row["quality"] for row in json.loads(file.read_text())["rows"]] == [50, 80]
    assert "| still | 1 | 80 |" in page.read_text()


def test_figures_of_another_model_are_not_mixed_in(data: Path, tmp_path: Path) -> None:
    results.Results(ABOUT).write(tmp_path / "video.json")
    done = run("evaluate_video", "--json", tmp_path / "video.json", "--data", data, "--model", "stream-lite")
    assert done.returncode == 1
    assert "was measured with another value of 'model'" in done.stderr


def test_words_that_no_clip_has_are_an_error(data: Path, tmp_path: Path) -> None:
    done = run("evaluate_video", "--json", tmp_path / "video.json", "--data", data, "--clips", "nosuch")
    assert done.returncode == 1
    assert done.stderr == f"evaluate_video: {data}: no clip has 'nosuch' in its name or kind\n"


def test_a_page_of_nothing_is_refused(tmp_path: Path) -> None:
    done = run("evaluate_video", "--json", tmp_path / "none.json", "--page", tmp_path / "video.md")
    assert done.returncode == 1
    assert done.stderr.endswith("none.json: no such file; --data measures one\n")
