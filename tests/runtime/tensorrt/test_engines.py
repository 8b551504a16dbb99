"""Engines for shipped graphs: out of the cache, or built and kept there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime import Blend
from mjpeg_restore.runtime.tensorrt.builder import Built
from mjpeg_restore.runtime.tensorrt.cache import EngineCache
from mjpeg_restore.runtime.tensorrt.engines import engine
from mjpeg_restore.runtime.tensorrt.package import Target, load_package
from mjpeg_restore.runtime.tensorrt.profile import Profile
from tests.lacking import needs, needs_tensorrt_rtx
from tests.runtime.tensorrt.engine_requests import ADA, files, ignore, request

pytestmark = needs_tensorrt_rtx
onnx = needs("onnx")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_an_engine_is_built_once(cache: EngineCache) -> None:
    first, second = (engine(request(), cache, ignore) for _ in range(2))
    assert (first.built, second.built) == (True, False)
    assert first.content == second.content
    assert first.key == second.key
    assert files(cache.folder) == [first.key.file]


def test_one_that_does_not_load_is_removed_and_built_again(cache: EngineCache) -> None:
    bad = engine(request(), cache, ignore)
    cache.remove(bad.key)
    assert engine(request(), cache, ignore).built


def test_the_files_name_and_header_say_what_it_is(cache: EngineCache) -> None:
    made = engine(request(), cache, ignore)
    version = re.escape(load_package("tensorrt-rtx").version)
    assert re.fullmatch(rf"decode\.grey-[0-9a-f]{{12}}-trt-rtx-{version}-sm89-fp16-272x512\.engine", made.key.file)
    header = json.loads((cache.folder / made.key.file).read_bytes().partition(b"\n")[0])
    assert header["about"]["graph"] == "decode.grey"
    assert header["about"]["capability"] == "8.9"
    assert header["about"]["profile"] == "1x1 136x240 272x512 / 1x1 68x120 272x512"


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an engine of any request, in no time."""
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.engines.build", lambda *_: Built(b"engine", b""))


@pytest.mark.usefixtures("nothing_built")
def test_what_an_engine_depends_on_is_in_its_key(cache: EngineCache) -> None:
    weights = onnx.load(request("stream-lite.grey").graph.path()).graph.initializer
    name, array = next(
        (tensor.name, onnx.numpy_helper.to_array(tensor)) for tensor in weights if tensor.name.startswith("network.")
    )
    base = request("stream-lite.grey")
    requests = [
        base,
        request("stream-lite.colour"),
        replace(base, precision="fp32"),
        replace(base, profile=Profile.static((8, 8), (4, 4))),
        replace(base, profile=Profile.up_to((272, 512), tuned=(90, 160))),
        replace(base, target=Target((12, 0))),
        *(replace(base, blend=Blend({name: np.ones_like(array)}, share)) for share in (0.5, 1.0)),
    ]
    keys = [engine(one, cache, ignore).key for one in requests]
    for index, key in enumerate(keys):
        assert key not in keys[:index]
    assert [keys[0].file == key.file for key in keys[1:]].count(True) == 1  # tuned for another size


def test_a_compute_capability_that_the_package_lacks_is_refused(cache: EngineCache) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"compute capability 9\.0, only for"):
        engine(request(target=Target((9, 0))), cache, ignore)
    assert not cache.folder.exists()


def test_whoever_watches_ends_the_wait_for_another_process(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    key = engine(request(), cache, ignore).key
    cache.remove(key)
    monkeypatch.setattr("mjpeg_restore.locks._try_lock", lambda _: False)

    def watch(what: str, share: float) -> None:
        assert what == "another process builds decode.grey"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine(request(), cache, watch)


# ---- the other package ----


def test_tensorrt_keeps_what_it_measured_beside_the_engines(tensorrt: Path, cache: EngineCache) -> None:
    package = load_package("tensorrt")
    ours = replace(request(), package=package, target=Target((8, 9), "NVIDIA L4"))
    made = engine(ours, cache, ignore)
    device = "trt-10.13.3.9-sm89-nvidia-l4"
    assert files(cache.folder) == sorted([made.key.file, f"{device}.timing"])
    assert f"-{device}-fp16-" in made.key.file
    engine(replace(ours, graph=request("decode.colour").graph), cache, ignore)
    assert (cache.folder / f"{device}.timing").read_bytes().endswith(b"\nmeasured twice")
    other = engine(replace(ours, target=Target((8, 9), "NVIDIA GeForce RTX 4090")), cache, ignore)
    assert other.built
    assert "-sm89-nvidia-geforce-rtx-4090-fp16-" in other.key.file


def test_an_engine_that_is_finished_as_it_is_given_up_is_kept(cache: EngineCache) -> None:
    def watch(what: str, share: float) -> None:
        if share == 1.0:
            raise RuntimeError("no longer")

    with pytest.raises(RuntimeError, match="no longer"):
        engine(request(), cache, watch)
    assert not engine(request(), cache, watch).built


def test_what_a_build_has_measured_is_kept_when_it_is_given_up(tensorrt: Path, cache: EngineCache) -> None:
    building = "return self.real.build_serialized_network(network, config.real)"
    endless = "while config.real.progress_monitor.step_complete('', 0): pass"
    tensorrt.write_text(tensorrt.read_text().replace(building, endless))
    begun: list[float] = []

    def watch(what: str, share: float) -> None:
        begun.append(share)
        if len(begun) > 1:
            raise RuntimeError("no longer")

    with pytest.raises(RuntimeError, match="no longer"):
        package = load_package("tensorrt")
        engine(replace(request(), package=package, target=Target((8, 9), "NVIDIA L4")), cache, watch)
    assert files(cache.folder) == ["trt-10.13.3.9-sm89-nvidia-l4.timing"]


def test_tensorrt_needs_a_gpu(tensorrt: Path, cache: EngineCache) -> None:
    with pytest.raises(RuntimeUnavailable, match="only for the GPUs of this machine, and there is none"):
        engine(replace(request(), package=load_package("tensorrt"), target=ADA), cache, ignore)
