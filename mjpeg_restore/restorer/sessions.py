"""What a stream of pictures has open on a device, of each graph that it uses; and nothing of it in a forked process."""

from __future__ import annotations

import ctypes
import os
import threading
from concurrent.futures import Executor
from weakref import WeakSet

from mjpeg_restore.runtime import Camera, Network, Session


class Sessions:
    """Open sessions, by graph file and by whether they are for chroma alone; and cameras whose state is on a device, by
    graph file and by whether they restore single pictures. Each beside its network: with another network, as after one
    that broke, it is begun anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, bool], tuple[Network, Session]] = {}
        self._cameras: dict[tuple[str, bool], tuple[Network, Camera | None]] = {}
        _sessions.add(self)

    def get(self, use: tuple[str, bool], network: Network, pool: Executor) -> Session:
        """The session for a use of a graph, whose network is loaded."""
        with self._lock:
            if use not in self._open or self._open[use][0] is not network:
                self._open[use] = network, network.session(pool)
            return self._open[use][1]

    def camera(self, use: tuple[str, bool], network: Network, pool: Executor) -> Camera | None:
        """The camera for a use of a graph with a state; None if the state is not on a device."""
        with self._lock:
            if use not in self._cameras or self._cameras[use][0] is not network:
                self._cameras[use] = network, network.camera(pool)
            return self._cameras[use][1]

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            sessions, self._open = self._open, {}
            cameras, self._cameras = self._cameras, {}
        for _, one in (*sessions.values(), *cameras.values()):
            if one:
                one.close()

    def forget(self) -> None:
        """Drop them in a forked process, even if nobody uses them there; each is opened again when it is needed."""
        leak((self._open, self._cameras))
        self._open, self._cameras = {}, {}
        self._lock = threading.Lock()  # a thread of the parent may hold the old one


def leak(lost: object) -> None:
    """Keep an object for ever: its destructor would wait for threads that exist in the parent process only."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(lost))


_sessions: WeakSet[Sessions] = WeakSet()


def _forget_all() -> None:
    for sessions in _sessions:
        sessions.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
