"""The page in a real browser."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mjpeg_restore.serve import Access
from tests.lacking import CHROMIUM, needs, needs_chromium
from tests.patience import PATIENCE, until
from tests.serve.clients import Server
from tests.serve.served import ORIGINAL, RESTORED, camera, playing, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

playwright = needs("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=1000 * PATIENCE)

pytestmark = [needs_chromium, pytest.mark.network]

SIZE = (320, 240)
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    """One camera that plays for as long as the module's tests run."""
    door = camera("door")
    with Server([door], port=0) as server, playing(door, 25, size=SIZE):
        yield server


@pytest.fixture
def opened(browser: Browser) -> Generator[OpenPage]:
    """Opens pages, and finds fault with their errors and with whatever they load from elsewhere."""
    with watched(browser) as open_page:
        yield open_page


@contextmanager
def watched(browser: Browser, *, in_peace: bool = True) -> Generator[OpenPage]:
    """As `opened`; browsers call it an error if a request fails, which is expected unless `in_peace`."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    requests: list[str] = []

    def open_page(url: str, **settings: Any) -> Page:
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert {urlsplit(url).hostname for url in requests if not url.startswith("blob:")} <= {"127.0.0.1"}
    assert not (in_peace and complaints), complaints


def shades(page: Page) -> tuple[int, ...]:
    """The luma of the shown picture at its left, left of the middle, right of the middle, and at its right."""
    shot = pixels(page.locator("#picture").screenshot())
    high, wide = shot.shape
    # Conversion to RGB may cost a level.
    return tuple(
        min((ORIGINAL, RESTORED), key=lambda luma: abs(luma - int(shot[high * 7 // 10, int(share * wide)])))
        for share in (0.05, 0.4, 0.6, 0.95)
    )


def pixels(png: bytes) -> NDArray[np.uint8]:
    """The luma of a screenshot."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"))


def shows_pair(page: Page) -> None:
    expect(page.locator("#picture")).to_have_attribute("data-shows", "pair")


# ---- the picture ----


def test_the_picture_appears_one_half_original_and_the_other_restored(server: Server, opened: OpenPage) -> None:
    page = opened(server.url)
    shows_pair(page)
    expect(page.locator("#status")).to_have_text("Live")
    expect(page).to_have_title("door · Live")
    assert shades(page) == (ORIGINAL, ORIGINAL, RESTORED, RESTORED)


def test_the_slider_moves_by_keys(server: Server, opened: OpenPage) -> None:
    page = opened(server.url)
    shows_pair(page)
    slider = page.get_by_role("slider", name="Dividing line between original and restored")
    slider.focus()
    page.keyboard.press("Home")
    assert shades(page) == (RESTORED,) * 4
    assert slider.get_attribute("aria-valuetext") == "0 % original"
    page.keyboard.press("End")
    assert shades(page) == (ORIGINAL,) * 4


def test_the_slider_follows_the_mouse(server: Server, opened: OpenPage) -> None:
    page = opened(server.url)
    shows_pair(page)
    box = page.locator("#picture").bounding_box()
    assert box
    place = [(box["x"] + share * box["width"], box["y"] + box["height"] / 2) for share in (0.5, 0.2, 0.8)]
    page.mouse.move(*place[0])
    page.mouse.down()
    page.mouse.move(*place[1], steps=5)
    assert shades(page) == (ORIGINAL, RESTORED, RESTORED, RESTORED)
    page.mouse.move(*place[2], steps=5)
    page.mouse.up()
    assert shades(page) == (ORIGINAL, ORIGINAL, ORIGINAL, RESTORED)
    line = page.locator(".line").bounding_box()
    assert line
    assert abs(line["x"] + line["width"] / 2 - place[2][0]) <= 1.5  # where the pointer is


def test_the_picture_keeps_its_shape(server: Server, opened: OpenPage) -> None:
    for width, height in ((1280, 800), (1000, 500), (700, 900)):
        page = opened(server.url, viewport={"width": width, "height": height})
        shows_pair(page)
        box = page.locator("#picture").bounding_box()
        assert box
        assert box["width"] / box["height"] == pytest.approx(SIZE[0] / SIZE[1], rel=0.01)
        assert box["y"] + box["height"] <= height


def test_without_scripts_there_is_the_stream(server: Server, opened: OpenPage) -> None:
    page = opened(server.url, java_script_enabled=False)
    expect(page.locator("noscript img")).to_be_visible()


def test_a_browser_that_cannot_read_streams_shows_the_restored_picture(server: Server, browser: Browser) -> None:
    context = browser.new_context()
    context.add_init_script("delete window.createImageBitmap")
    page = context.new_page()
    page.goto(server.url, wait_until="commit")
    until(lambda: page.locator("#plain").evaluate("image => image.naturalWidth") == SIZE[0])
    expect(page.locator("#split")).to_be_hidden()
    assert shades(page) == (RESTORED,) * 4
    context.close()


# ---- the measurements ----


def test_charts_fill_and_have_numbers(server: Server, opened: OpenPage) -> None:
    page = opened(server.url)
    for key in ("fps", "latency_ms", "quality"):
        row = page.locator(f"[data-sample={key}]")
        expect(row.locator(".curve")).to_have_attribute("d", re.compile(r"^M[\d.]+ [\d.]+(L[\d.]+ [\d.]+)+$"))
        expect(row.locator("dd")).to_have_text(re.compile(r"^[\d.]+$"))
    expect(page.locator("[data-sample=quality] dd")).to_have_text("40")
    expect(page.locator("[data-fact=model]")).to_have_text("stream")
    expect(page.locator("[data-fact=size]")).to_have_text("320 \N{MULTIPLICATION SIGN} 240, 4:2:0")


def test_a_pointer_on_a_chart_asks_for_the_past(server: Server, opened: OpenPage) -> None:
    page = opened(server.url)
    shows_pair(page)
    page.locator("[data-sample=fps] svg").hover(position={"x": 2, "y": 10})
    expect(page.locator("#moment")).to_have_text(re.compile(r"^11\d s ago$"))
    page.mouse.move(5, 5)
    expect(page.locator("#moment")).to_have_text("now")


def test_damaged_and_dropped_frames_are_bars(browser: Browser) -> None:
    door = camera("door")
    with Server([door], port=0) as server, playing(door, 25, size=SIZE), watched(browser) as open_page:
        page = open_page(server.url)
        shows_pair(page)
        door.report.damaged, door.report.dropped = 1234, 2
        expect(page.locator("[data-sample=damaged] dd")).to_have_text("1,234")
        expect(page.locator("[data-sample=damaged] .bars")).to_have_attribute("d", re.compile(r"^M\d+ 38V[\d.]+$"))
        expect(page.locator("[data-sample=dropped] .bars")).to_have_attribute("d", re.compile(r"^M\d+ 38V[\d.]+$"))


# ---- light, dark, small ----


def test_light_and_dark_follow_the_system(server: Server, opened: OpenPage) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        page = opened(server.url, color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    assert brightness["light"] > 240
    assert brightness["dark"] < 30


def test_a_phone_scrolls_in_one_direction_alone(server: Server, opened: OpenPage) -> None:
    page = opened(server.url, **PHONE)
    shows_pair(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator("#picture").bounding_box()
    assert box
    assert box["width"] == 360  # from edge to edge
    page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    assert shades(page) == (ORIGINAL, RESTORED, RESTORED, RESTORED)


# ---- troubles ----


def test_it_comes_back_with_the_server(browser: Browser) -> None:
    door = camera("door")
    with watched(browser, in_peace=False) as open_page, playing(door, 25, size=SIZE):
        with Server([door], port=0) as server:
            page = open_page(server.url)
            shows_pair(page)
        expect(page.locator("#status")).to_have_text("Reconnecting")
        with Server([door], port=urlsplit(server.url).port or 0):
            expect(page.locator("#status")).to_have_text("Live")
            until(lambda: door.sink.original)
            expect(page.locator("#picture")).not_to_have_attribute("data-idle", "")
            assert shades(page) == (ORIGINAL, ORIGINAL, RESTORED, RESTORED)


def test_a_camera_that_stalls_and_one_that_ends_are_told(browser: Browser) -> None:
    door = camera("door", stall=0.5)
    with Server([door], port=0) as server, watched(browser) as open_page:
        page = open_page(server.url)
        expect(page.locator("#notice")).to_have_text("Waiting for the first picture")
        with playing(door, 25, size=SIZE):
            shows_pair(page)
            expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("Stalled")
        expect(page.locator("#notice")).to_have_text(re.compile(r"^No picture for \d+ s$"))
        door.sink.close()
        expect(page.locator("#status")).to_have_text("Ended")


def test_a_token_opens_the_page(browser: Browser) -> None:
    door = camera("door")
    with (
        watched(browser, in_peace=False) as open_page,
        Server([door], port=0, access=Access(token="geheim")) as server,
        playing(door, 25, size=SIZE),
    ):
        page = open_page(server.url)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Token").fill("geheim")
        page.get_by_role("button", name="Sign in").click()
        shows_pair(page)
        assert page.url == server.url  # the token is not in the history


# ---- several cameras ----


def test_the_grid_shows_all_cameras_and_leads_to_each(browser: Browser) -> None:
    door, yard = camera("door"), camera("yard")
    write(yard, luma=ORIGINAL, size=SIZE)
    with Server([door, yard], port=0) as server, playing(door, 25, size=SIZE), watched(browser) as open_page:
        page = open_page(server.url)
        expect(page.locator(".tile .name")).to_have_text(["door", "yard"])
        expect(page.locator("#status")).to_have_text("2 of 2 live")
        for name, luma in (("door", RESTORED), ("yard", ORIGINAL)):
            canvas = page.locator(f"[data-name={name}] canvas")
            until(lambda canvas=canvas: canvas.evaluate("canvas => canvas.width") == SIZE[0])
            shot = pixels(canvas.screenshot())
            assert abs(int(shot[shot.shape[0] // 2, shot.shape[1] // 2]) - luma) <= 2
        page.get_by_role("link", name="door").click()
        shows_pair(page)
        assert page.url == f"{server.url}camera/door/"
        page.get_by_role("link", name="All cameras").click()
        expect(page.locator(".tile")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_cameras_come_and_go(browser: Browser) -> None:
    door, yard = camera("door"), camera("yard")
    with Server([door], port=0) as server, playing(door, 25), watched(browser, in_peace=False) as open_page:
        page = open_page(server.url)
        shows_pair(page)
        server.add(yard)
        expect(page.locator(".tile .name")).to_have_text(["door", "yard"])
        server.add(camera("attic"))
        expect(page.locator(".tile .name")).to_have_text(["door", "yard", "attic"])
        server.remove("yard")
        expect(page.locator(".tile .name")).to_have_text(["door", "attic"])
        page.get_by_role("link", name="door").click()
        shows_pair(page)
        server.remove("door")
        expect(page).to_have_url(server.url)
