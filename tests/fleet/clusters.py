"""A cluster of which a test says what its actors and tasks answer, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from mjpeg_restore.errors import ClusterLost, UnknownModel
from mjpeg_restore.fleet import Status
from mjpeg_restore.fleet.spread.group import Seen, Sight
from mjpeg_restore.report import Report


class Node:
    def __init__(self, id: str, cpus: float = 2, gpus: float = 0) -> None:
        self.id, self.cpus, self.gpus, self.address = id, cpus, gpus, f"10.0.0.{id}"


class Answered:
    """A call that has ended."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    done = True

    def result(self, timeout: float | None = None) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Waiting(Answered):
    """A call that does not end."""

    done = False

    def result(self, timeout: float | None = None) -> Any:
        raise ClusterLost(f"no answer in {timeout} s")


class ScriptedActor:
    """A process that runs cameras once it is told, until it dies.

    Attributes:
        calls: methods and arguments.
        answers: of the next calls, instead of its own: errors that they raise, or calls.
        node: where it is.
        running: whether it was told to run.
        begun: what it tells of its outputs while it runs.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: deque[Exception | Answered] = deque()
        self.node, self.running, self.killed = "1", False, False
        self.begun: dict[str, int] = {}

    def die(self, node: str) -> None:
        """Die, and be started again on a node."""
        self.answers.append(ClusterLost("its process or node has died"))
        self.node, self.running = node, False

    def call(self, method: str, *arguments: Any) -> Answered:
        self.calls.append((method, arguments))
        if self.answers:
            answer = self.answers.popleft()
            return answer if isinstance(answer, Answered) else Answered(answer)
        if method == "run":
            self.running = True
            return Answered(None)
        seen = Seen("door", Status("running"), "http://door/", True, Report(frames=7))
        return Answered(Sight(self.node, (seen,), (), self.begun) if self.running else Sight(self.node, None))

    def kill(self) -> None:
        self.killed = True

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


class ScriptedCluster:
    """Makes scripted actors, and runs tasks at once in this process or by a function that takes their place."""

    def __init__(self, *nodes: Node, task: Callable[..., Any] | None = None) -> None:
        self.nodes = list(nodes or (Node("1"),))
        self.actors: list[ScriptedActor] = []
        self.shares: list[tuple[float, float]] = []
        self._task = task

    def task(
        self, function: Callable[..., Any], *arguments: Any, cpus: float = 1, gpus: float = 0, node: str | None = None
    ):
        try:
            answer = self._task(function, node, *arguments) if self._task else function(*arguments)
        except Exception as error:
            answer = error
        return answer if isinstance(answer, Answered) else Answered(answer)

    def actor(self, kind: type, *arguments: Any, cpus: float = 1, gpus: float = 0) -> ScriptedActor:
        self.actors.append(ScriptedActor())
        self.shares.append((cpus, gpus))
        return self.actors[-1]

    @staticmethod
    def this_node() -> str:
        return "1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fails() -> None:
    raise UnknownModel("no model 'x'")


def breaks() -> None:
    raise ValueError("a fault\nof the program")
