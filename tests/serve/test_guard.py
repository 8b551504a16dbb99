"""What the server refuses."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from mjpeg_restore.serve import Access, ServedCamera
from tests.serve.clients import Server, ask
from tests.serve.served import camera, write
from tests.serve.test_access import basic

pytestmark = pytest.mark.network

PATHS = ["/", "/stream", "/snapshot", "/original/stream", "/original/snapshot", "/pairs", "/state", "/cameras"]
PATHS += ["/metrics", "/assets/camera.js", "/camera/door/", "/camera/door/healthz", "/nothing"]
HTML = "text/html,application/xhtml+xml"


@pytest.fixture
def door() -> ServedCamera:
    made = camera("door")
    write(made)
    return made


@pytest.fixture
def with_token(door: ServedCamera) -> Generator[Server]:
    with Server([door], port=0, access=Access(token="abc")) as server:
        yield server


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_nothing_is_told(with_token: Server, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = ask(with_token, path, method)
        assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")


def test_health_is_for_everybody(with_token: Server) -> None:
    assert ask(with_token, "/healthz").text == "ok\n"


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer abc"}, {"Authorization": basic("x", "abc")}])
def test_programs_send_the_token_in_a_header(with_token: Server, headers: dict[str, str]) -> None:
    assert ask(with_token, "/snapshot", **headers).status == 200


def test_players_send_the_token_in_the_address(with_token: Server) -> None:
    answer = ask(with_token, "/snapshot?token=abc")
    assert (answer.status, "set-cookie" in answer.headers) == (200, False)


def test_a_browser_gets_a_cookie_for_the_token_and_an_address_without_it(with_token: Server) -> None:
    answer = ask(with_token, "/?token=abc", Accept=HTML)
    assert (answer.status, answer.headers["location"]) == (303, ".")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(attributes)
    assert "abc" not in cookie
    assert ask(with_token, "/", Accept=HTML, Cookie=cookie).status == 200
    assert ask(with_token, "/pairs", "HEAD", Cookie=cookie).status == 200


def test_a_browser_without_a_token_is_asked_for_one(with_token: Server) -> None:
    for path in ("/", "/?token=wrong", "/camera/door/"):
        answer = ask(with_token, path, Accept=HTML)
        assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Bearer")
        assert '<form method="get"' in answer.text
        assert "style-src 'sha256-" in answer.headers["content-security-policy"]


def test_a_password_is_asked_for_by_the_browser_itself(door: ServedCamera) -> None:
    with Server([door], port=0, access=Access(user="ann", password="x")) as server:
        answer = ask(server, "/", Accept=HTML)
        assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")
        assert ask(server, "/", Accept=HTML, Authorization=basic("ann", "x")).status == 200
        assert ask(server, "/?token=x", Accept=HTML).status == 401


def test_a_web_page_cannot_give_this_machine_a_name_of_its_own(door: ServedCamera) -> None:
    with Server([door], port=0) as server:
        for path in PATHS:
            assert ask(server, path, Host="evil.example").status == 403
        assert ask(server, "/snapshot", Host="localhost:1").status == 200


def test_other_names_are_allowed_where_others_may_ask(door: ServedCamera) -> None:
    with Server([door], "0.0.0.0", 0) as server:
        assert ask(server, "/snapshot", Host="camera.lan").status == 200
    with Server([door], port=0, access=Access(token="abc")) as server:
        assert ask(server, "/snapshot", Host="camera.lan", Authorization="Bearer abc").status == 200


@pytest.mark.parametrize(
    ("host", "access", "told"),
    [
        ("127.0.0.1", Access(), False),
        ("localhost", Access(), False),
        ("0.0.0.0", Access(), True),
        ("0.0.0.0", Access(token="abc"), False),
    ],
)
def test_the_user_is_told_that_everybody_can_watch(host: str, access: Access, told: bool) -> None:
    with Server(host=host, port=0, access=access) as server:
        assert (server.remark is not None) is told
