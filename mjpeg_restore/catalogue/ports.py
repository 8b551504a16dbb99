"""The inputs and outputs of graphs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

COMPONENTS = ("y", "cb", "cr")
"""The components' names in the names of ports."""

PortKind = Literal[
    "coefficients",
    "table",
    "noise",
    "context",
    "samples",
    "mean",
    "evidence",
    "correction",
    "history",
    "mean_after",
    "evidence_after",
    "correction_after",
    "history_after",
]

HISTORY = 64 + 3
"""Numbers of a component's history: the last frame's table, and those of `runtime/cpu/history.py`."""

FORMS: dict[PortKind, str] = {
    "coefficients": "int16 [C.high, C.wide, 64]",
    "table": "uint16 [64]",
    "noise": "float32 [4*y.high, 4*y.wide]",
    "context": "float32 [N]",
    "samples": "uint8 [8*G.high, 8*G.wide]",
    "mean": "int16 [C.high, C.wide, 64]",
    "evidence": "float16 [C.high, C.wide, 64]",
    "correction": "int16 [C.high, C.wide, 64]",
    "history": f"float32 [{HISTORY}]",
    "mean_after": "int16 [C.high, C.wide, 64]",
    "evidence_after": "float16 [C.high, C.wide, 64]",
    "correction_after": "int16 [C.high, C.wide, 64]",
    "history_after": f"float32 [{HISTORY}]",
}
"""Types and shapes of the contract; C is the name of the port's component, G the same or luma's, N any number."""

STATE: tuple[PortKind, ...] = ("mean", "evidence", "correction", "history")
"""What a graph with a state takes of each component, last."""
STATE_AFTER: tuple[PortKind, ...] = ("mean_after", "evidence_after", "correction_after", "history_after")
"""What it gives of each component, after the samples."""

Array = TypeVar("Array")


def by_kind(state: Sequence[Array]) -> list[list[Array]]:
    """Means, evidences, corrections and histories of a state, in which the components follow each other."""
    return [list(state[index :: len(STATE)]) for index in range(len(STATE))]


def state_shapes(coefficients: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """The shapes of a state's parts, by those of the coefficients of each component."""
    return tuple((HISTORY,) if kind == "history" else one for one in coefficients for kind in STATE)


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph; `models/graph.py` states what each kind holds."""

    name: str
    """Of the tensor: "y.coefficients", "cb.table", "noise", "context", "y"."""
    dtype: str
    """The array's type: "int16"."""
    shape: tuple[str | int, ...]
    """An integer, or entries for each block of a component's grid: "y.high", "8*cb.wide"."""

    @property
    def kind(self) -> PortKind:
        """The meaning of the values."""
        component, _, kind = self.name.rpartition(".")
        kind = "samples" if not component and kind in COMPONENTS else kind
        if kind not in get_args(PortKind):
            raise ValueError(f"{self.name!r} is no port of a graph")
        return kind  # pyright: ignore[reportReturnType]

    @property
    def component(self) -> int:
        """Index of the component whose grid of blocks the values follow, or to which they belong."""
        for extent in (self.name, *self.shape):
            name = str(extent).rpartition("*")[2].partition(".")[0]
            if name in COMPONENTS:
                return COMPONENTS.index(name)
        raise ValueError(f"{self.name} belongs to no component")

    @property
    def grid(self) -> int:
        """Index of the component on whose grid of blocks the samples are: chroma may be restored at luma's size."""
        return COMPONENTS.index(str(self.shape[0]).rpartition("*")[2].partition(".")[0])

    def sizes(self, grids: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """The shape of its array.

        Args:
            grids: blocks of each component of the graph, high and wide; luma's first.
        """
        found: list[int] = []
        for size in self.shape:
            factor, _, side = str(size).rpartition("*")
            component, _, axis = side.partition(".")
            blocks = grids[COMPONENTS.index(component)][("high", "wide").index(axis)] if axis else int(side)
            found.append(int(factor or 1) * blocks)
        return tuple(found)

    @property
    def per_block(self) -> int | None:
        """Entries for each block, down and across; None if the values belong to the whole picture."""
        if isinstance(self.shape[0], int):
            return None
        return int(self.shape[0].rpartition("*")[0] or 1)

    @classmethod
    def parse(cls, name: str, text: str) -> Port:
        """A port as the manifest has it: `"y.coefficients": "int16 [y.high, y.wide, 64]"`.

        Raises:
            ValueError: the contract has no such port, or has it in another form.
        """
        own = name.partition(".")[0]
        form = FORMS[cls(name, "", ()).kind].replace("C", own)
        forms = [form.replace("G", grid) for grid in dict.fromkeys((own, COMPONENTS[0]))] if "G" in form else [form]
        if not any(re.fullmatch(re.escape(form).replace("N", "[1-9][0-9]{0,8}"), text) for form in forms):
            raise ValueError(f"port {name!r} is {text!r}, not {' or '.join(map(repr, forms))}")
        dtype, _, shape = text.rstrip("]").partition(" [")
        return cls(name, dtype, tuple(int(n) if n.isdecimal() else n for n in shape.split(", ")))

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join(map(str, self.shape))}]"


def check_sides(kind: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Compare the inputs and outputs of a graph, and their order, with the contract.

    Args:
        kind: "grey" or "colour", or "grey.context" or "colour.context" for a context graph.
        inputs, outputs: each in the form of the contract.

    Raises:
        ValueError: there is one too many, one is missing, or two are in the wrong order.
    """
    picture, _, context = kind.partition(".")
    components = COMPONENTS if picture == "colour" else COMPONENTS[:1]
    taken = [f"{component}.{what}" for component in components for what in ("coefficients", "table")]
    given = ["context"] if context else [*components]
    names = [port.name for port in inputs]
    state, after = ([f"{one}.{what}" for one in components for what in kinds] for kinds in (STATE, STATE_AFTER))
    if names != taken and (context or names not in ([*taken, "noise"], [*taken, "context"], [*taken, *state])):
        further = "" if context else f", then noise or context or the state ({_listed(state)}), or none of them"
        raise ValueError(f"inputs are {_listed(names)}, not {_listed(taken)}{further}")
    if names == [*taken, *state]:
        given += after
    if (found := [port.name for port in outputs]) != given:
        raise ValueError(f"outputs are {_listed(found)}, not {_listed(given)}")
    if len({port.grid == 0 for port in outputs[1:] if port.kind == "samples"}) > 1:
        raise ValueError("one of cb and cr is at luma's size, the other is not")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
