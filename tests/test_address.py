"""Addresses of cameras: what is connected to, and the name that messages show."""

from __future__ import annotations

import time
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.address import Address, file_path, redact
from mjpeg_restore.errors import SourceError


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://cam", "cam", 80, "/"),
        ("https://cam/", "cam", 443, "/"),
        ("rtsp://cam:8554/live?channel=1", "cam", 8554, "/live?channel=1"),
        ("HTTP://CAM.local:8080/Video#top", "cam.local", 8080, "/Video"),
        ("http://[::1]:81/a", "::1", 81, "/a"),
        ("http://[fe80::1%25eth0]/", "fe80::1%eth0", 80, "/"),
        ("http://cam?action=stream", "cam", 80, "/?action=stream"),
        ("http://cam/ein%20Tür", "cam", 80, "/ein%20T%C3%BCr"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/"),
        ("http://cam:8080/video?mail=a@b.c", "cam", 8080, "/video?mail=a@b.c"),
    ],
)
def test_what_is_connected_to(url: str, host: str, port: int, path: str) -> None:
    address = Address.parse(url)
    assert (address.host, address.port, address.path_and_query, address.user) == (host, port, path, None)
    assert Address.parse(address.url) == address


def test_credentials_are_decoded() -> None:
    address = Address.parse("http://ad%40min:p%3Aw%2Fd%C3%BC@cam/")
    assert (address.user, address.password) == ("ad@min", "p:w/dü")
    assert Address.parse("http://admin@cam/").password == ""
    assert Address.parse("http://:pw@cam/").user == ""
    assert Address.parse("http://a:b@c@cam/").password == "b@c"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://", "names no host"),
        ("http:///video", "names no host"),
        ("http://cam:0/", "names no port that exists"),
        ("http://cam:70000/", "names no port that exists"),
        ("http://cam:eighty/", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://[no-address]/", "malformed"),
        ("http://cam/a b", "space"),
        ("http://cam/a\r\nX-Evil: 1", "control character"),
        ("http://c\tam/", "control character"),
        ("http://us%0D%0Aer:x@cam/", "control character"),
        ("http://us:%00@cam/", "control character"),
        ("ftp://cam/", "does not begin with http://"),
        ("cam/video", "does not begin with http://"),
        ("http://cam..local/", "impossible host name"),
        ("http://c%61m/", "impossible host name"),
        ("http://" + "a" * 10_000, "more than 8192"),
        ("http://admin:se/cret@cam/", "write %40 for @"),
        ("http://admin:12/34@cam/", "write %40 for @"),
        ("http://admin:a@12/34@cam/", "write %40 for @"),
        ("http://admin:12#34@cam/", "write %40 for @"),
        ("http://admin:12?34@cam/", "write %40 for @"),
        ("http://admin:99999?34@cam/", "write %40 for @"),
        ("http:///admin:34@cam/", "write %40 for @"),
        ("http://me@mail.com:12/34@cam/", "write %40 for @"),
        ("http:/admin:34@cam/", "names no host"),
    ],
)
def test_malformed_addresses_are_one_clear_sentence(url: str, why: str) -> None:
    with pytest.raises(SourceError) as caught:
        Address.parse(url)
    message = str(caught.value)
    assert why in message and message.isprintable()
    assert "cret" not in message and "34" not in message.replace("%23", "")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://admin:secret@cam/video", "http://cam/video"),
        ("http://cam:8081/video.cgi?user=admin&pwd=secret&rate=5", "http://cam:8081/video.cgi?user=***&pwd=***&rate=5"),
        ("http://cam/v?loginuse=admin&loginpas=secret", "http://cam/v?loginuse=***&loginpas=***"),
        ("http://cam/v?usr=admin&psw=secret", "http://cam/v?usr=***&psw=***"),
        ("http://cam/v?p%61ssword=secret;Token=x/y==", "http://cam/v?p%61ssword=***;Token=***"),
        ("rtsp://cam/user=admin&password=secret&channel=1.sdp", "rtsp://cam/user=***&password=***&channel=1.sdp"),
        ("rtsp://cam/user=admin_password=secret_channel=1.sdp", "rtsp://cam/user=***"),
        ("http://cam/menu=1?menu=2&u=admin", "http://cam/menu=1?menu=2&u=***"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443/"),
        ("http://admin:se/cr@et@cam/v", "http://cam/v"),
        ("rtsp://u:p@se/cr@et@127.0.0.1/x", "rtsp://127.0.0.1/x"),
        ("rtsp://u:p@se?cr@et@127.0.0.1/x", "rtsp://127.0.0.1/x"),
        ("rtsp://u:p@se#cr@et@127.0.0.1/x", "rtsp://127.0.0.1/x"),
        ("http://admin@cam/a@b", "http://cam/a@b"),
        ("http://admin:secret@cam/a%40b?mail=a@b.c", "http://cam/a%40b?mail=a@b.c"),
        ("rtsp:///u:cr@et@cam/x", "rtsp://cam/x"),
        ("rtsp://me@mail.com:12/cr@et@cam/x", "rtsp://cam/x"),
        ("http:/u:cr@et@cam/x", "cam/x"),
        ("http//u:cr@et@cam/x", "cam/x"),
        ("no address\n", "no address\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_names_show_no_credentials(url: str, name: str) -> None:
    assert redact(url) == name
    if "cr@et" not in url and "\n" not in url:
        assert Address.parse(url).name == name
        assert "secret" not in repr(Address.parse(url)) and "admin" not in repr(Address.parse(url))


@given(st.text(), st.text())
def test_any_credentials_that_are_encoded_come_back_and_are_never_named(user: str, password: str) -> None:
    try:
        url = f"http://{quote('u' + user, safe='')}:{quote('PW' + password, safe='')}@cam/x"
    except UnicodeEncodeError:  # a lone surrogate
        return
    assert redact(url) == "http://cam/x"
    if all(" " <= character != "\x7f" for character in user + password):
        address = Address.parse(url)
        assert (address.user, address.password, address.name) == ("u" + user, "PW" + password, "http://cam/x")


@given(st.text())
def test_any_text_is_redacted_to_one_line(text: str) -> None:
    assert redact(text).isprintable()


def test_redirects_are_resolved() -> None:
    address = Address.parse("http://a:b@cam:81/one/two?x=1")
    moved = address.join("three")
    assert (moved.url, moved.user) == ("http://cam:81/one/three", None)
    assert moved.same_server(address)
    assert not address.join("http://cam/").same_server(address)
    assert not address.join("//other:81/").same_server(address)
    assert Address.parse("rtsps://cam/one").join("/two").url == "rtsps://cam/two"
    assert Address.parse("rtsps://cam/one").join("//other/two").url == "rtsps://other/two"
    assert address.join("/a b/\xc3\xa4").url == "http://cam:81/a%20b/%C3%A4", "UTF-8, decoded as Latin-1 in a header"


def test_a_long_url_is_redacted_in_linear_time() -> None:
    begun = time.process_time()
    assert redact("http://cam/" + "a" * 300_000).endswith("a")  # a minute in quadratic time
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(("system", "path"), [("posix", "/C:/a b/c.avi"), ("nt", "C:/a b/c.avi")])
def test_a_file_url_of_windows_has_a_drive(system: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mjpeg_restore.address.os", SimpleNamespace(name=system))
    assert file_path("file:///C:/a%20b/c.avi") == path
    assert file_path("FILE://localhost/a?b#c.avi") == "/a?b#c.avi"
    with pytest.raises(ValueError, match="three slashes"):
        file_path("file://nas/a.avi")
