"""The part of Ray that this package uses: nodes, tasks and actors. The only module that imports Ray.

    with Cluster("local") as cluster:
        call = cluster.task(measure, NetworkChoice(), cpus=1)
        actor = cluster.actor(Group, cpus=0.5)
        actor.call("look").result()

Scheduling, restarts and placement are Ray's own: a task or an actor states its share of a node, and Ray finds one.
"""

# Ray's types leave most of its objects open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportMissingImports=false

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from mjpeg_restore.errors import ClusterError, ClusterLost, MissingExtra, MjpegRestoreError, reason_of
from mjpeg_restore.ray_address import asks_for_token, check_grpc, found_address, host_and_port

try:
    with warnings.catch_warnings():  # some of its own dependencies warn while they are imported
        warnings.simplefilter("ignore")
        import ray
        from ray._private import utils
        from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise MissingExtra("Ray", "ray", "more than one machine") from error


_MODE = "RAY_AUTH_MODE"
_CONNECTING = 5.0
"""Seconds for a connection to a cluster's head."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster."""

    id: str
    address: str
    """Its IP address."""
    cpus: float
    gpus: float


class Call:
    """A call that runs in another process, perhaps on another node."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    @property
    def done(self) -> bool:
        """Whether it has ended, with a result or an error. Does not wait."""
        return bool(ray.wait([self._reference], timeout=0, fetch_local=False)[0])

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its result.

        Args:
            timeout: seconds to wait at most.

        Raises:
            ClusterLost: the process or its node has died, or the time is over.
            ClusterError: Ray refuses the call.
            MjpegRestoreError: it raised one.
        """
        try:
            return ray.get(self._reference, timeout=timeout)
        except GetTimeoutError as error:
            raise ClusterLost(f"no answer in {timeout:g} s") from error
        except RayError as error:
            raise _told(error) from error

    def future(self) -> Future[Any]:
        """A future of its result, with the errors of `result`."""
        promised: Future[Any] = Future()

        def end(ended: Future[Any]) -> None:
            error = ended.exception()
            if error is None:
                promised.set_result(ended.result())
            else:
                promised.set_exception(_told(error) if isinstance(error, RayError) else error)

        self._reference.future().add_done_callback(end)
        return promised


class Actor:
    """An object in a process of its own, which Ray restarts, on another node if need be, while this is referenced."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def call(self, method: str, *arguments: object) -> Call:
        """Begin to call a method; calls are carried out in their order, and never twice."""
        return Call(getattr(self._handle, method).remote(*arguments))

    def kill(self) -> None:
        """End the process at once, and for good."""
        ray.kill(self._handle)


class Cluster:
    """A connection to Ray; one at a time in a process."""

    def __init__(self, where: str) -> None:
        """Connect.

        Args:
            where: "local", where Ray is started on this machine, for this process alone; "auto" for the cluster that
                this machine is a node of; or an address, "HOST:PORT".

        Raises:
            ClusterError: there is no cluster there.
        """
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # it warns of each choice
        _check_reachable(where)
        if where != "local":
            _settle_token(found_address() if where == "auto" else where)
        # No report is sent to Ray's makers.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a share of no GPU sees none
        try:
            with _own_handler():
                ray.init(where, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # ConnectionError, ValueError, RuntimeError and others: each Ray's own way to say it
            raise ClusterError(
                f"no Ray cluster at {where} ({_short(error)}): start one as docs/scale.md says"
            ) from error

    @property
    def nodes(self) -> list[Node]:
        """The nodes that are alive.

        Raises:
            ClusterLost: the cluster's head does not answer.
        """
        try:
            known = ray.nodes()
        except Exception as error:  # of many kinds, Ray's and gRPC's
            raise ClusterLost(f"the head of the Ray cluster does not answer ({_short(error)})") from error
        return [
            Node(
                one["NodeID"],
                one["NodeManagerAddress"],
                one["Resources"].get("CPU", 0.0),
                one["Resources"].get("GPU", 0.0),
            )
            for one in known
            if one["Alive"]
        ]

    def task(
        self,
        function: Callable[..., Any],
        *arguments: object,
        cpus: float = 1,
        gpus: float = 0,
        node: str | None = None,
        retries: int = 0,
    ) -> Call:
        """Begin to call a function on a node.

        Args:
            function: of a module that every node has.
            arguments: of the function.
            cpus: that it takes.
            gpus: likewise.
            node: the id of the node that it has to run on; any that has room if None.
            retries: times that it is begun anew where its process or node dies.
        """
        strategy = NodeAffinitySchedulingStrategy(node, soft=False) if node else "SPREAD"
        remote: Any = ray.remote(function)
        options = remote.options(num_cpus=cpus, num_gpus=gpus, max_retries=retries, scheduling_strategy=strategy)
        return Call(options.remote(*arguments))

    def actor(self, kind: type, *arguments: object, cpus: float = 1, gpus: float = 0) -> Actor:
        """Begin to make an actor, on a node that has room; until there is one, its calls wait.

        Args:
            kind: the class, of a module that every node has.
            arguments: of its constructor.
            cpus: that it holds.
            gpus: likewise.
        """
        remote: Any = ray.remote(kind)
        options = remote.options(
            num_cpus=cpus, num_gpus=gpus, max_restarts=-1, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        return Actor(options.remote(*arguments))

    @staticmethod
    def this_node() -> str:
        """The id of the node that this process runs on, also in a task or an actor."""
        return ray.get_runtime_context().get_node_id()

    def close(self) -> None:
        """End all actors and tasks of this process; a local cluster ends with them."""
        ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _own_handler() -> Generator[None]:
    """Keep the program's handler of SIGTERM, if it has one, while Ray starts.

    Ray's ends the process without a word, in the middle of what it has begun. Another one, in C, follows once it is
    connected.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    setter = getattr(utils, "set_sigterm_handler", None)
    utils.set_sigterm_handler = _set_no_handler
    try:
        yield
    finally:
        utils.set_sigterm_handler = setter
        signal.signal(signal.SIGTERM, before)


def _set_no_handler(handler: object) -> None:
    """In the place of Ray's function that sets a handler of SIGTERM."""


def _check_reachable(address: str) -> None:
    """Check that Ray may listen at HOST:PORT.

    Raises:
        ClusterError: nobody listens there, or something else.
    """
    try:
        if place := host_and_port(address):
            check_grpc(*place, _CONNECTING)
    except (OSError, ValueError) as error:
        raise _no_cluster(address, reason_of(error)) from error


def _settle_token(address: str | None) -> None:
    """Have this process bring Ray's token if the cluster asks for it, and else not.

    Ray brings it to a cluster that it has found, and to none that it was told: whoever asks for one is not reached,
    and where nobody does, other nodes cannot fetch what this process has.
    """
    try:
        place = host_and_port(address or "")
    except ValueError:
        return
    if not place or _MODE in os.environ:
        return
    asked = asks_for_token(*place, _CONNECTING)
    if asked:
        with contextlib.suppress(ImportError):  # Ray before 2.60
            from ray._private.authentication import authentication_token_setup as setup

            try:
                setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            except Exception as error:  # Ray's own kinds
                raise _no_cluster(str(address), _short(error)) from error
            if os.environ.get(_MODE) != "token":
                raise _no_cluster(str(address), "it asks for a token: copy ~/.ray/auth_token of its head to here")
    elif asked is False:
        os.environ[_MODE] = "disabled"


def _no_cluster(where: str, why: str) -> ClusterError:
    return ClusterError(
        f"no Ray cluster at {where} ({why}): start one as docs/scale.md says, or give 'local' for this machine"
    )


def _told(error: RayError) -> MjpegRestoreError:
    """Translate Ray's error of a call into one of ours."""
    if isinstance(error, RayActorError):
        return ClusterLost("its process or node has died")
    if isinstance(error, RayTaskError):
        cause: Any = error.cause
        if isinstance(cause, MjpegRestoreError):
            return cause
        if "failed to import" in str(cause):  # Ray's words, in a RuntimeError
            return ClusterError("a node lacks mjpeg-restore[ray], or has another version: install it there")
        return ClusterError(f"on a node: {type(cause).__name__}: {_short(cause)}")
    return ClusterLost(_short(error))


def _short(error: BaseException | None) -> str:
    return reason_of(error).splitlines()[0] if isinstance(error, Exception) and str(error) else type(error).__name__
