"""Fixtures of the tests that `library.run_cases` runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mjpeg_restore.runtime.cuda import device
from tests.runtime.fake_cuda.library import FakeDriver
from tests.runtime.fake_cuda.library import driver as this_driver


@pytest.fixture(autouse=True)
def driver() -> Iterator[FakeDriver]:
    """The driver, as new. After each test nothing may be left over, and nothing may have been wrong."""
    fake = this_driver()
    fake.reset()
    device.open_driver.cache_clear()
    yield fake
    gc.collect()
    assert fake.misuse == []
    assert fake.live == {}
