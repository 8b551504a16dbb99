"""What holds for all tests."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests are not traced for coverage: it would take half their time again, for a few lines of the exporter."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker("no_cover")
