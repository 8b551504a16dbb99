"""Credentials that stand elsewhere than in the settings."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mjpeg_restore.fleet.references import expand
from tests.lacking import needs_named_pipes

HERE = Path()


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("http://cam/video", "http://cam/video"),
        ("${URL}", "http://cam/video?a=b"),
        ("http://${USER}:${PASSWORD}@cam/video", "http://al:p%40%2F%24%7BX%7D@cam/video"),
        ("http://${HOST}/video", "http://10.0.0.3:8080/video"),
        ("http://cam/video?key=${USER}", "http://cam/video?key=al"),
        ("$${USER} and $USER and {USER}", "${USER} and $USER and {USER}"),
        ("$${ and ${USER}$${", "${ and al${"),
        ("", ""),
    ],
)
def test_variables(text: str, expanded: str) -> None:
    variables = {"URL": "http://cam/video?a=b", "USER": "al", "PASSWORD": "p@/${X}", "HOST": "10.0.0.3:8080"}
    assert expand(text, variables, HERE) == expanded


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_password_may_have_any_characters(password: str) -> None:
    url = urlsplit(expand("rtsp://user:${PASSWORD}@host:554/path", {"PASSWORD": password}, HERE))
    assert url.hostname == "host"
    assert url.path == "/path"
    assert unquote(url.password or "") == password


def test_files_are_read_beside_the_settings_and_lose_their_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "door").write_bytes(b"s3c:ret\r\n")
    assert expand("http://a:${file:secrets/door}@h/", {}, tmp_path) == "http://a:s3c%3Aret@h/"
    assert expand(f"${{file:{tmp_path}/secrets/door}}", {}, HERE) == "s3c:ret"
    (tmp_path / "secrets" / "door").write_bytes("s3c:ret\r\n".encode("utf-8-sig"))  # as editors of Windows do
    assert expand(f"${{file:{tmp_path}/secrets/door}}", {}, HERE) == "s3c:ret"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${NOT_THERE}", "the environment has no variable NOT_THERE"),
        ("http://${USER/v", "a reference has no end: write ${NAME} or ${file:PATH}, and $${ for ${ itself"),
        ("${A${B}}", "a reference has no end: write ${NAME} or ${file:PATH}, and $${ for ${ itself"),
        ("${}", "${} is no reference: write ${NAME} for a variable, or ${file:PATH}"),
        ("${two words}", "${two words} is no reference: write ${NAME} for a variable, or ${file:PATH}"),
        ("${file:none}", "none cannot be read (No such file or directory)"),
        ("${file:\0}", "cannot be read"),
    ],
)
def test_what_is_not_there_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        expand(text, {"SECRET": "s3cret"}, HERE)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused_without_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"s3cret\xff")
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        expand("${file:key}", {}, tmp_path)


@needs_named_pipes
def test_a_secret_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As `<(pass show door)` gives it: the writer is there, and takes its time."""
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as pipe:
            pipe.write(b"s3cret\n")

    timer = threading.Timer(0.1, write)
    timer.start()
    with open(reader, "rb"):
        assert expand(f"${{file:/dev/fd/{reader}}}", {}, tmp_path) == "s3cret"
        timer.join()
        with pytest.raises(ValueError, match=f"/dev/fd/{reader} cannot be read .nobody writes to this pipe"):
            expand(f"${{file:/dev/fd/{reader}}}", {}, tmp_path)
