"""What is shipped to run many cameras as a service: settings in documents, systemd's unit, the Dockerfile."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from measuring.image import BASE_MB, LIMIT_MB, Image

from mjpeg_restore.cli.arguments import parse
from mjpeg_restore.fleet import keys, load_settings
from tests.lacking import needs_systemd

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "cameras.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
SECRETS = {"DOOR_PASSWORD": "s3cret", "MJPEG_RESTORE_TOKEN": "t0ken"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("own", [["own.avi"], []])
def test_make_clean_keeps_own_recordings(own: list[str], tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "demo").mkdir()
    for name in ("sample.avi", "restored.mp4", "before-after.mp4", "before-after.png", *own):
        (tmp_path / "demo" / name).touch()
    subprocess.run(["make", "--silent", "clean"], cwd=tmp_path, capture_output=True, check=True)
    assert {path.name for path in tmp_path.iterdir()} == {"Makefile", *(["demo"] if own else [])}
    assert [path.name for path in tmp_path.glob("demo/*")] == own


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_settings_in_the_document_have_no_mistakes(text: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "page").write_text("s3cret\n")
    (tmp_path / "cameras.toml").write_text(text)
    assert load_settings(tmp_path / "cameras.toml", SECRETS).cameras


def test_the_document_has_every_key() -> None:
    shown = set(re.findall(r"(?:^|[{,] ?)([a-z-]+) = ", max(EXAMPLES, key=len), re.MULTILINE))
    assert shown == {*keys.OF_THE_RUN, *keys.OF_ONE_CAMERA, *keys.OF_ONE_OUTPUT} | {"aq-mode"}


# ---- systemd ----

UNIT = (ROOT / "docs" / "mjpeg-restore.service").read_text()


def test_the_unit_starts_and_checks_what_the_command_takes() -> None:
    commands = re.findall(r"^Exec\w+=/opt/mjpeg-restore/bin/mjpeg-restore (.*)$", UNIT, re.MULTILINE)
    assert [(options.command, options.check) for options in (parse(one.split()) for one in commands)] == [
        ("run", False),
        ("run", True),
    ]


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    path = tmp_path / "mjpeg-restore.service"
    path.write_text(UNIT.replace("/opt/mjpeg-restore/bin/mjpeg-restore", sys.executable))  # which has to exist
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# ---- Docker ----


@pytest.fixture
def image() -> Image:
    return Image.parse(ROOT)


def test_what_the_image_copies_is_there_and_not_ignored(image: Image) -> None:
    copied = [name for names, _ in image.copies() for name in names]
    assert {"pyproject.toml", "mjpeg_restore", "engines"} <= {*copied}
    for name in copied:
        assert (ROOT / name).exists(), name
        assert image.admits(name), name
    assert not image.admits("tests") and not image.admits(".git")


def test_the_image_installs_extras_that_there_are(image: Image) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (steps,) = (step for step in image.arguments("RUN") if " install " in step and "pip" in step)
    extras = re.findall(r"/src\[(.*?)\]", steps)
    assert {*",".join(extras).split(",")} <= {*project["optional-dependencies"]}
    (removed,) = re.findall(r" uninstall --yes (.*)", steps)
    assert "openvino" not in removed.split()


def test_the_image_runs_the_command_as_somebody_else_than_root(image: Image) -> None:
    (program,) = json.loads(image.arguments("ENTRYPOINT")[0])
    assert program in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert parse(json.loads(image.arguments("CMD")[0])).command == "run"
    (user,) = image.arguments("USER")
    assert any(re.search(rf"useradd .* {user}\b", step) for step in image.arguments("RUN"))


def test_the_health_check_asks_the_port_that_is_exposed(image: Image) -> None:
    assert f"127.0.0.1:{image.arguments('EXPOSE')[0]}/healthz" in health_check(image)


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_without_a_proxy(image: Image, answer: int, code: int) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        check = health_check(image).replace(":8080", f":{server.server_port}")
        environment = os.environ | {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
        done = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True)
    assert done.returncode == code


def health_check(image: Image) -> str:
    (check,) = image.arguments("HEALTHCHECK")
    program, option, code = json.loads(check.partition("CMD ")[2])
    assert (program, option) == ("python", "-c")
    return code


def test_the_figures_of_the_document_are_those_of_the_check() -> None:
    stated = re.search(r"of about (\d+) MB: (\d+) MB of Python packages.* (\d+) MB of `(.*?)`", DOCUMENT, re.DOTALL)
    assert stated
    whole, packages, base = map(int, stated.groups()[:3])
    assert base == BASE_MB and abs(whole - packages - base) < 10 and whole < LIMIT_MB
    assert stated[4] == Image.parse(ROOT).base
