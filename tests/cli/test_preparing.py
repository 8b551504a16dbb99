"""A network that takes long to be made ready: progress, and an end of it when nobody waits any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import mjpeg_restore
from mjpeg_restore.catalogue import GraphFile
from mjpeg_restore.jpeg import read
from mjpeg_restore.runtime import Network, devices
from mjpeg_restore.runtime.base import LoadSettings
from mjpeg_restore.runtime.loading import Loader
from mjpeg_restore.testing import ListSource
from tests.cli.command import pictures, run
from tests.sources.silent import LIMIT

SLOW = "onnxruntime"
"""The name of the runtime that is replaced."""


class Builder:
    """A runtime that builds for a minute, unless the progress ends it."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self, graph: GraphFile, settings: LoadSettings) -> Network:
        self.begun.set()
        try:
            for step in range(6000):
                settings.progress(f"building {graph.file}", step / 6000)
                time.sleep(0.01)
        finally:
            self.ended.set()
        raise AssertionError("nobody ended it")


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    built = Builder()
    runtime = devices.Runtime(SLOW, "Slow", (), SLOW, (), built, lambda: "CPU")
    monkeypatch.setattr(devices, "RUNTIMES", (runtime,))
    monkeypatch.setattr("mjpeg_restore.runtime._LOADER", Loader())  # others may have loaded the network
    return built


def test_closing_a_stream_ends_a_build(builder: Builder) -> None:
    stream = mjpeg_restore.Stream(ListSource(pictures()), mjpeg_restore.Restorer("stream-lite", SLOW))
    closing = threading.Thread(target=lambda: (builder.begun.wait(LIMIT), stream.close()), daemon=True)
    closing.start()
    assert list(stream) == []
    closing.join(LIMIT)
    assert builder.ended.wait(LIMIT)


def test_progress_is_told_and_may_end_the_build(builder: Builder) -> None:
    told: list[tuple[str, float]] = []

    def progress(what: str, share: float) -> None:
        told.append((what, share))
        if len(told) == 5:
            raise InterruptedError

    restorer = mjpeg_restore.Restorer("stream-lite", SLOW, progress=progress)
    with pytest.raises(InterruptedError):
        restorer.restore(read(pictures(1)[0]))
    assert told[0] == ("building stream-lite.colour.onnx", 0.0)
    assert [share for _, share in told] == sorted({share for _, share in told})
    assert builder.ended.is_set()


def test_ctrl_c_ends_a_build(
    builder: Builder, clip: Path, output: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a signal's handler does; a real one might reach the tests' process when nobody waits for it any more."""

    @contextmanager
    def stopping(stop: threading.Event, numbers: Sequence[int], asked: Callable[[], None]) -> Generator[None]:
        threading.Thread(target=lambda: builder.begun.wait(LIMIT) and stop.set(), daemon=True).start()
        yield

    monkeypatch.setattr("mjpeg_restore.cli.restore.stopping", stopping)
    code, _, err = run([clip, "-o", output / "out.mp4", "-m", "stream-lite", "--device", SLOW], capfd)
    assert code == 130
    assert "mjpeg-restore: building stream-lite.colour.onnx: 0%" in err.splitlines()
    assert err.splitlines()[-1].endswith("stopped")
    assert builder.ended.is_set()
    assert not list(output.iterdir())
