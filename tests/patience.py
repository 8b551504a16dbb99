"""How long a test waits for other threads and processes."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE", "until"]

PATIENCE = 120.0
"""Seconds after which something that was to happen never will, on the slowest and busiest machine."""


def until(condition: Callable[[], object], what: str = "it never happened") -> None:
    """Wait for something that another thread or process does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)
