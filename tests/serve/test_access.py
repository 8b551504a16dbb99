"""Who may watch."""

from __future__ import annotations

from base64 import b64encode

import pytest

from mjpeg_restore.serve import Access
from mjpeg_restore.serve.access import allowed_host


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


BOTH = Access(token="abc", user="ann", password="geheim:ü")


@pytest.mark.parametrize(
    ("authorization", "allowed"),
    [
        ("Bearer abc", True),
        ("bearer  abc", True),
        ("Bearer abcd", False),
        ("Bearer ab", False),
        ("Bearer", False),
        ("", False),
        (basic("ann", "geheim:ü"), True),
        (basic("ann", "geheim"), False),
        (basic("bob", "geheim:ü"), False),
        (basic("anybody", "abc"), True),  # for programs that know basic authentication alone
        (basic("", ""), False),
        ("Basic ***", False),
        ("Basic /w==", False),
        ("Basic ü", False),
        ("Digest abc", False),
    ],
)
def test_a_header_is_compared(authorization: str, allowed: bool) -> None:
    assert BOTH.allows(authorization, "", None) is allowed


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_header_is_latin_1_or_utf_8(encoding: str) -> None:
    access = Access(token="geheim:ü")
    assert access.allows("Bearer geheim:ü".encode(encoding).decode("latin-1"), "", None)
    assert not access.allows("Bearer geheim:u".encode(encoding).decode("latin-1"), "", None)


def test_a_token_may_be_in_the_address() -> None:
    assert BOTH.allows("", "", "abc")
    assert not BOTH.allows("", "", "")
    assert not BOTH.allows("", "", "abd")


def test_the_cookie_stands_for_the_token_and_does_not_tell_it() -> None:
    name, value = BOTH.cookie
    assert BOTH.allows("", f"other=1; {name}={value}", None)
    assert not BOTH.allows("", f"{name}={value[:-1]}", None)
    assert not BOTH.allows("", "\x00;;=", None)
    assert value != "abc"
    assert Access(token="abd").cookie != BOTH.cookie
    assert Access(token="abc").cookie == BOTH.cookie  # of a server that starts again


def test_without_a_password_nothing_stands_for_it() -> None:
    access = Access(token="abc")
    assert not access.allows(basic("", ""), "", None)
    assert not Access(user="ann", password="x").allows("", "", "x")


def test_nothing_is_asked_where_nothing_is_set() -> None:
    assert Access().allows("", "", None)
    assert not Access().required


@pytest.mark.parametrize(
    "settings",
    [
        {"token": ""},
        {"user": "ann"},
        {"password": "x"},
        {"user": "ann", "password": ""},
        {"user": "a:b", "password": "x"},
    ],
)
def test_half_of_a_password_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"user|token|colon"):
        Access(**settings)


def test_secrets_are_not_printed() -> None:
    assert "abc" not in repr(BOTH)
    assert "geheim" not in repr(BOTH)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("camera.localhost:80", True),
        ("mine:8080", True),
        ("", True),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("[::2]:8080", False),
    ],
)
def test_only_names_of_this_machine_are_allowed(header: str, allowed: bool) -> None:
    assert allowed_host(header, ["mine"]) is allowed
