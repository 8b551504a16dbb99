from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace

import pytest

from tests.lacking import needs


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks as small as these are only slowed by more."""
    torch = needs("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every step takes a second."""
    clock = count()
    ours = SimpleNamespace(monotonic=lambda: float(next(clock)))
    monkeypatch.setattr("mjpeg_restore.training.loop.time", ours)
