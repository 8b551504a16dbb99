"""How long a test waits for other threads and processes."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PATIENCE", "until"]

PATIENCE = 120.0
"""Seconds after which something that was to happen never will, on the slowest and busiest machine."""


def until(condition: Callable[[], object], awaited: str = "what was awaited") -> None:
    """Wait for something that another thread or process does, and which is told where it never comes."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"it never happened: {awaited}"
        time.sleep(0.01)
