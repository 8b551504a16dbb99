"""A short run of each target, the same in every run, and what the fuzzer itself promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from mjpeg_restore.errors import JpegError
from mjpeg_restore.jpeg import scan
from tests.lacking import (
    needs,
    needs_address_sanitizer,
    needs_native_arithmetic,
    needs_native_pieces,
    needs_native_projection,
    needs_native_reader,
    needs_native_sparse,
    needs_native_state,
    needs_native_walk,
)
from tests.scripts.running import SCRIPTS, run

needs("jpeglib")

from fuzzing import mutations, seeds, targets


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("headers", 1500),
        pytest.param("pictures", 2000, marks=[needs_native_reader, needs_native_arithmetic]),
        pytest.param("native", 4000, marks=needs_native_reader),
        pytest.param("walk", 1500, marks=needs_native_walk),
        pytest.param("project", 1500, marks=needs_native_projection),
        pytest.param("state", 1000, marks=needs_native_state),
        pytest.param("pieces", 1000, marks=needs_native_pieces),
        pytest.param("sparse", 1000, marks=needs_native_sparse),
        ("containers", 600),
        ("multipart", 1500),
        pytest.param("recordings", 500, marks=[needs_native_reader, needs_native_projection]),
    ],
)
def test_hostile_bytes_break_no_promise(target: str, runs: int, tmp_path: Path) -> None:
    done = run("fuzz", target, "--plain", "--runs", runs, "--corpus", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{target}: {runs} executions")


def test_the_same_seed_tries_the_same_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[bytes]] = []
    for seed in (1, 1, 2):
        tried.append([])
        monkeypatch.setitem(targets.TARGETS, "headers", tried[-1].append)
        run("fuzz", "headers", "--plain", "--runs", 50, "--seed", seed, "--corpus", tmp_path)
    assert tried[0] == tried[1] != tried[2]


def test_an_input_that_fails_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes) -> None:
        assert data.startswith(b"\xff\xd8"), "no picture"

    monkeypatch.setitem(targets.TARGETS, "headers", fail)
    with pytest.raises(AssertionError, match="no picture"):
        run("fuzz", "headers", "--plain", "--runs", 2000, "--corpus", tmp_path)
    (found,) = (tmp_path / "headers").glob("failed-*")
    assert not found.read_bytes().startswith(b"\xff\xd8")


def test_many_mutations_reach_the_reader_and_many_are_refused() -> None:
    rng, inputs = Random(1), seeds.encoded_pictures()
    accepted = 0
    for _ in range(500):
        try:
            scan(mutations.mutate(rng.choice(inputs), rng, inputs, 1 << 13))
            accepted += 1
        except JpegError:
            pass
    assert 100 < accepted < 400


def test_pieces_join_to_the_input() -> None:
    for data in (b"", b"\xff\xd8", b"no picture", *seeds.seeds(None, 1 << 16)):
        assert b"".join(mutations.split_pieces(data)) == data


@pytest.mark.slow
@needs_address_sanitizer
@pytest.mark.parametrize("target", ["native", "walk", "project", "state", "pieces", "sparse"])
def test_sanitizers_find_nothing(target: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "sanitized"
    command = [sys.executable, str(SCRIPTS / "fuzz.py"), target, "--plain", "--sanitize", "--runs", "1000"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*command, "--corpus", folder], env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1000 executions" in done.stdout
