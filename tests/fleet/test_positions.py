"""The lines of keys, in texts that are written in every way that TOML knows."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mjpeg_restore.fleet.positions import KeyPath, Positions


def test_each_way_to_write_a_key() -> None:
    text = "\n".join(
        [
            'title = """',
            "[not.a.table]",
            'key = "no key" \\""""',
            "[a.b]",
            "x = 1979-05-27 07:32:00",
            "'literal key'.y = '''",
            "z = 1'''",
            '[ a . "c.d" ] # spaces',
            'list = [ # a comment with ] and "',
            '  "]",',
            "  { p = 1, q.r = [2, 3] },",
            "]",
            "[[t]]",
            "n = 1",
            "[[t]]",
            "n = 2",
            "[t.u]",
            "v = inf",
            'last = ""',
        ]
    )
    tomllib.loads(text)
    lines = {
        ("title",): 1,
        ("a", "b"): 4,
        ("a", "b", "x"): 5,
        ("a", "b", "literal key", "y"): 6,
        ("a", "c.d"): 8,
        ("a", "c.d", "list", 0): 10,
        ("a", "c.d", "list", 1, "p"): 11,
        ("a", "c.d", "list", 1, "q", "r", 1): 11,
        ("t", 0, "n"): 14,
        ("t", 1): 15,
        ("t", 1, "n"): 16,
        ("t", 1, "u", "v"): 18,
        ("t", 1, "u", "last"): 19,
    }
    positions = Positions(text)
    assert {path: positions.line(path) for path in lines} == lines


def test_a_key_that_is_not_there_has_the_line_of_its_table() -> None:
    positions = Positions("\n[cameras.door]\nfps = 5\n")
    assert positions.line(("cameras", "door", "source")) == 2
    assert positions.line(("run",)) == 1


# ---- any settings ----

NAMES = st.one_of(
    st.sampled_from(["source", "output", "codec", "a-b", "c_d", "0"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TABLES = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=4),
    lambda inner: st.dictionaries(NAMES, inner | VALUES, max_size=4),
    max_leaves=10,
)


class Writer:
    """Writes tables as TOML, in a style that the test draws; each key is followed by a word that says its path."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.lines: list[str] = []

    def table(self, content: dict[str, Any], path: tuple[str, ...]) -> None:
        inner = {key: value for key, value in content.items() if isinstance(value, dict) and self.choose()}
        for key, value in content.items():
            if key not in inner:
                self.lines += [self.comment()] if self.choose() else []
                self.lines += f"{self.key(key)}{self.space()}={self.space()}{self.value(value)}{self.comment()}".split(
                    "\n"
                )
        for key, value in inner.items():
            header = self.space() + ".".join(self.key(part) for part in (*path, key)) + self.space()
            self.lines.append(f"[{header}]{self.comment()}")
            self.table(value, (*path, key))

    def key(self, key: str) -> str:
        bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
        if bare and self.choose():
            return key
        literal = "'" not in key and all(character.isprintable() for character in key)
        return f"'{key}'" if literal and self.choose() else quoted(key)

    def value(self, value: Any) -> str:
        if isinstance(value, dict):
            pairs = (f"{self.key(key)}{self.space()}= {self.value(inner)}" for key, inner in value.items())
            return f"{{ {', '.join(pairs)} }}"
        if isinstance(value, list):
            items = "".join(f"{self.gap()}{self.value(inner)}{self.gap()}," for inner in value)
            return f"[{items}{self.gap()}]"
        if isinstance(value, str) and self.choose():
            # A line end after the opening quotes is no part of the text, one within it is.
            escaped = "".join("\n" if character == "\n" else quoted(character)[1:-1] for character in value)
            return f'"""\n{escaped}"""'
        return quoted(value)

    def choose(self) -> bool:
        return self.draw(st.booleans())

    def space(self) -> str:
        return self.draw(st.sampled_from(["", " ", "\t"]))

    def gap(self) -> str:
        return self.draw(st.sampled_from(["", " ", "\n", " # ]}\"'\n"]))

    def comment(self) -> str:
        return self.draw(st.sampled_from(["", " # [comment] = \"'"]))


def quoted(value: Any) -> str:
    """As JSON, which is TOML too as long as there are no surrogates."""
    return json.dumps(value, ensure_ascii=False)


def paths_of(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(paths_of(inner, (*path, key)) for key, inner in items))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(TABLES, st.data())
def test_every_key_is_found_on_a_line_that_holds_it(content: dict[str, Any], data: st.DataObject) -> None:
    writer = Writer(data.draw)
    writer.table(content, ())
    text = "\n".join(writer.lines)
    assert tomllib.loads(text) == content
    positions = Positions(text)
    assert positions.paths == paths_of(content)
    for path in positions.paths - {()}:
        line = text.split("\n")[positions.line(path) - 1]
        if isinstance(path[-1], str):
            key = path[-1]
            assert any(form in line for form in (key, quoted(key)))


@pytest.mark.parametrize("quotes", ['"', "'"])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_quotes_before_the_closing_ones_belong_to_the_text(quotes: str, more: int) -> None:
    text = f"a = {quotes * 3}{quotes * more}x{quotes * more}{quotes * 3}\nb = 1\n"
    assert tomllib.loads(text)["b"] == 1
    assert Positions(text).line(("b",)) == 2
