"""Networks that this process has loaded: each graph once for a device, however many cameras use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from weakref import WeakValueDictionary

from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.runtime.base import Network

_POLL = 0.1
"""Seconds between two calls of `waiting`."""


class Loader:
    """Loads networks, and keeps each for as long as somebody uses it and it is not broken.

    Loading takes seconds to minutes. It is done on the thread that asks first; others that ask for the same network
    wait for it, and nobody else does. A forked process loads its networks again: the threads of a runtime do not
    survive a fork.
    """

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold the old one
        self._networks: WeakValueDictionary[Hashable, Network] = WeakValueDictionary()
        self._loading: dict[Hashable, Future[Network]] = {}

    def get(self, key: Hashable, load: Callable[[], Network], waiting: Callable[[], None]) -> Network:
        """The network of that key.

        Args:
            key: all that the network depends on.
            load: makes it. Its exception is raised here and, if it is an `MjpegRestoreError`, for all that wait; after
                any other, such as one that ends a build, one of them loads the network itself. The next call tries
                again.
            waiting: called several times a second while another thread loads the network. Its exception ends the wait.
        """
        while True:
            with self._lock:
                network = self._networks.get(key)
                if network is not None and not network.broken:
                    return network
                under_way = self._loading.get(key)
                ours = Future[Network]()
                self._loading.setdefault(key, ours)
            if under_way is None:
                return self._load(key, load, ours)
            while not under_way.done():
                waiting()
                with suppress(TimeoutError):
                    under_way.exception(_POLL)
            if isinstance(error := under_way.exception(), MjpegRestoreError):
                raise error

    def _load(self, key: Hashable, load: Callable[[], Network], ours: Future[Network]) -> Network:
        try:
            network = load()
        except BaseException as error:
            with self._lock:
                self._loading.pop(key, None)
            ours.set_exception(error)
            raise
        with self._lock:
            self._networks[key] = network
            self._loading.pop(key, None)
        ours.set_result(network)
        return network
