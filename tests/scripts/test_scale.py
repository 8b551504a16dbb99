"""docs/scale.md is what the arithmetic gives, the arithmetic is right, and its figures are those of the other pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring_video.page import with_tables
from scaling import figures
from scaling.city import Camera, City, Node, carried, cores_of, gpus_of, together
from scaling.tables import tables

from mjpeg_restore.fleet.spread.placement import MOST_CPUS
from tests.scripts.running import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text()

cameras = st.builds(
    Camera,
    st.integers(160, 3840),
    st.integers(120, 2160),
    st.floats(0.5, 60),
    st.sampled_from(["stream", "stream-lite"]),
    st.sampled_from(["cpu", "gpu"]),
)


def test_the_page_has_the_tables_of_the_arithmetic() -> None:
    assert with_tables(PAGE, tables()) == PAGE, "python scripts/scale.py --write"


def test_frames_a_second_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for model, rates in figures.TWO_CORES.items():
        (row,) = re.findall(
            rf"^\| (?:\*\*)?`{model}`(?:\*\*)?(?:, no network)? \| ([\d.| ]+) \| \d+ MB \|$", readme, re.M
        )
        assert [float(cell) for cell in row.split("|")] == [*rates.values()]


def test_the_gpu_carries_what_its_page_says() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text().partition(f"## {figures.GPU}")[2]
    for model in ("stream", "stream-lite"):
        (carried,) = re.findall(rf"^\| `{model}` \| 1920x1080 \| PyTorch[^|]*\| \d+ \| (\d+) \|$", page, re.M)
        assert round(figures.GPU_CAMERAS[model]) == int(carried)


def test_a_city_by_hand() -> None:
    camera = Camera(1280, 720, 10, "stream-lite")
    assert camera.megapixels == pytest.approx(9.216)
    assert camera.network == pytest.approx(9.216 * 1.35)  # Mbit/s
    assert camera.stored == pytest.approx(9.216e6 * 0.32 / 8 * 60 * 60 * 24 * 30 / 1e9)  # GB
    assert cores_of(camera) == pytest.approx(10 / (34 / 2) / 0.8)  # frames/s, of a core, four fifths of it
    city = City(1000, camera, Node(32))
    assert carried(city.node, camera) == int(32 / (10 / 17 / 0.8)) == 43
    assert city.nodes == 24 + 1  # 1000 / 43 = 23.3
    assert city.network == pytest.approx(12.4416)  # Gbit/s
    assert city.written == pytest.approx(1000 * 9.216 * 0.32 / 8)  # MB/s
    assert city.cost(100, 10) == pytest.approx(25 * 100 + city.stored * 10)


def test_each_district_has_a_driver_and_a_node_to_spare() -> None:
    city = City(100_000, Camera(1280, 720, 10, "stream-lite"), Node(32))
    assert city.drivers == 100
    assert city.nodes == 100 * City(1000, city.camera, city.node).nodes == 2500


@pytest.mark.parametrize(("model", "sharing"), [("stream-lite", 5), ("stream", 1)])  # 0.74 and 2.27 cores of four
def test_the_memory_of_a_node_is_that_of_its_processes(model: str, sharing: int) -> None:
    camera = Camera(1280, 720, 10, model)
    assert together(camera) == sharing
    city = City(1000, camera, Node(32))
    processes = -(-city.each // sharing)
    pictures = city.each * 0.9216 * figures.PICTURE
    assert city.memory == pytest.approx((figures.NODE + processes * figures.PROCESS + pictures) / 1000)


def test_no_process_keeps_up_with_a_camera_that_takes_more_than_four_cores() -> None:
    camera = Camera(1920, 1080, 10, "stream")
    assert cores_of(camera) > MOST_CPUS
    assert carried(Node(64), camera) == 0


@given(cameras, st.integers(1, 100_000))
def test_nodes_are_enough_and_one_may_die(camera: Camera, count: int) -> None:
    node = Node(64, 4 if camera.on == "gpu" else 0)
    if not carried(node, camera):
        return
    city = City(count, camera, node)
    assert (city.nodes - city.drivers) * carried(node, camera) >= count
    assert carried(node, camera) * cores_of(camera) <= node.cores + 1e-6
    assert carried(node, camera) * gpus_of(camera) <= node.gpus + 1e-6
    assert city.each * city.nodes >= count


def test_numbers_of_ones_own_and_prices() -> None:
    said = run("scale", "--cameras", 4000, "--node-price", 100, "--terabyte-price", 10)
    city = City(4000, Camera(), Node(32))
    assert said.returncode == 0
    assert f"{city.nodes} nodes" in said.stdout
    assert f"cost: {city.cost(100, 10):,.0f}" in said.stdout
    assert "cost" not in run("scale").stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--size", "large"),
        ("--size", "0x720"),
        ("--cameras", "0"),
        ("--gpus", "1", "--model", "decode"),
        ("--node-cores", "1", "--size", "3840x2160", "--fps", "60"),
    ],
)
def test_what_makes_no_sense_is_one_line(words: tuple[str, ...]) -> None:
    said = run("scale", *words)
    assert said.returncode == 1
    assert said.stderr.startswith("scale: ") and said.stderr.count("\n") == 1
