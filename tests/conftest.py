"""What holds for all tests."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Generator

import hypothesis
import pytest

# How long an example takes is the machine's affair. Each run has others.
hypothesis.settings.register_profile(
    "any machine", max_examples=50, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_configure() -> None:
    """A shell ignores SIGINT in what it begins in the background, and commands that tests interrupt inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests are not traced for coverage: it would take half their time again, for a few lines of the exporter."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker("no_cover")


def pytest_collection_finish() -> None:
    """What the tests' modules hold stays to the end: to look through it for garbage takes longer than many a test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_handler_stays() -> Generator[None]:
    """Remove what a script has added to the log: its stream is one that pytest closes after the test."""
    yield
    root = logging.getLogger()
    for handler in [*root.handlers]:
        if type(handler) is logging.StreamHandler:  # not those of pytest
            root.removeHandler(handler)
