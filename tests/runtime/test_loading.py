"""Networks are loaded once, and nobody waits for another network."""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime import Inputs, Network, Planes
from mjpeg_restore.runtime.base import HostNetwork
from mjpeg_restore.runtime.loading import Loader


class Loaded(HostNetwork):
    name = "loaded"

    def run(self, inputs: Inputs) -> Planes:
        return tuple(inputs)


def wait() -> None:
    """Nobody ends the wait."""


def test_all_that_ask_at_the_same_time_get_the_same() -> None:
    loader, made, go = Loader(), list[int](), threading.Event()

    def load() -> Network:
        made.append(1)
        go.wait(30)
        return Loaded()

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(loader.get, "key", load, wait) for _ in range(4)]
        while not made:
            time.sleep(0.001)
        go.set()
        networks = [one.result(30) for one in asked]
    assert all(network is networks[0] for network in networks)
    assert made == [1]


def test_a_slow_network_delays_no_other() -> None:
    loader, begun, go = Loader(), threading.Event(), threading.Event()

    def slow() -> Network:
        begun.set()
        assert go.wait(30)
        return Loaded()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loader.get, "slow", slow, wait)
        assert begun.wait(30)
        assert loader.get("other", Loaded, wait)  # would wait for ever
        go.set()
        assert waiting.result(30)


def test_a_failure_reaches_all_that_wait_and_the_next_call_tries_again() -> None:
    loader, begun, go = Loader(), threading.Event(), threading.Event()

    def fail() -> Network:
        begun.set()
        go.wait(30)
        raise RuntimeUnavailable("out of memory")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(loader.get, "key", fail, wait)
        assert begun.wait(30)
        second = pool.submit(loader.get, "key", fail, wait)
        time.sleep(0.05)  # it waits for the first, or comes too late to do so and fails by itself
        go.set()
        for one in (first, second):
            with pytest.raises(RuntimeUnavailable):
                one.result(30)
    assert loader.get("key", Loaded, wait)


def test_a_network_is_kept_while_it_is_used() -> None:
    loader = Loader()
    network = loader.get("key", Loaded, wait)
    assert loader.get("key", Loaded, wait) is network
    gone = weakref.ref(network)
    del network
    assert gone() is None
    assert loader.get("key", Loaded, wait)


def test_a_broken_network_is_handed_out_no_more() -> None:
    loader = Loader()
    network = Loaded()
    assert loader.get("key", lambda: network, wait) is network
    network.broken = True
    other = loader.get("key", Loaded, wait)
    assert other is not network
    assert loader.get("key", Loaded, wait) is other


def test_who_ends_its_load_ends_it_for_nobody_else() -> None:
    loader, begun, go = Loader(), threading.Event(), threading.Event()

    def ended() -> Network:
        begun.set()
        assert go.wait(30)
        raise CancelledError

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(loader.get, "key", ended, wait)
        assert begun.wait(30)
        second = pool.submit(loader.get, "key", Loaded, go.set)
        with pytest.raises(CancelledError):
            first.result(30)
        assert second.result(30).name == "loaded"


def test_a_wait_can_be_ended() -> None:
    loader, begun, go = Loader(), threading.Event(), threading.Event()

    def load() -> Network:
        begun.set()
        assert go.wait(30)
        return Loaded()

    def end() -> None:
        raise InterruptedError

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(loader.get, "key", load, wait)
        assert begun.wait(30)
        with pytest.raises(InterruptedError):
            loader.get("key", load, end)
        go.set()
        assert first.result(30)
