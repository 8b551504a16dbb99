"""Packages that no other test has loaded, and one that needs a GPU to build."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from mjpeg_restore.runtime.tensorrt.package import load_package
from tests.lacking import needs


@pytest.fixture(autouse=True)
def fresh_packages() -> Generator[None]:
    """Forgets which packages were imported: tests change which are there."""
    load_package.cache_clear()
    yield
    load_package.cache_clear()


TENSORRT = '''
from tensorrt_rtx import *
import tensorrt_rtx

del ComputeCapability
__version__ = "10.13.3.9"


class Builder:
    def __init__(self, logger):
        self.real = tensorrt_rtx.Builder(logger)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def create_builder_config(self):
        return Config(self.real.create_builder_config())

    def build_serialized_network(self, network, config):
        return self.real.build_serialized_network(network, config.real)


class Config:
    """With a timing cache, for which the package for RTX needs a GPU."""

    def __init__(self, real):
        object.__setattr__(self, "real", real)

    def __getattr__(self, name):
        return getattr(self.real, name)

    def __setattr__(self, name, value):
        setattr(self.real, name, value)

    def create_timing_cache(self, content):
        return TimingCache(content)

    def set_timing_cache(self, cache, ignore_mismatch):
        return not ignore_mismatch and cache.content in (b"", b"measured", b"measured twice")


class TimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return b"measured twice" if self.content else b"measured"
'''
"""TensorRT 10.13: the package for RTX, which builds for several compute capabilities if none is named."""


@pytest.fixture
def tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a package `tensorrt`, which may be changed before it is imported."""
    needs("tensorrt_rtx")
    path = tmp_path / "packages" / "tensorrt" / "__init__.py"
    path.parent.mkdir(parents=True)
    path.write_text(TENSORRT)
    monkeypatch.syspath_prepend(path.parents[1])
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # noted as absent, so that it goes again with the test
    monkeypatch.delitem(sys.modules, "tensorrt")
    return path
