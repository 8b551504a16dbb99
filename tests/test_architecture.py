"""The rooms of docs/architecture.md are those of the code: who imports whom, one way and without a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mjpeg_restore"


@dataclass(frozen=True)
class Room:
    modules: tuple[str, ...]
    """Modules and packages, without "mjpeg_restore."; of two that hold a module, it belongs to the longer name."""
    imports: frozenset[str]
    """Other rooms."""


@pytest.fixture(scope="module")
def stated() -> dict[str, Room]:
    """The rooms as the document lists them, in its order."""
    found = re.search(
        r"^```rooms\n(.*?)^```", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert found
    rooms: dict[str, Room] = {}
    for line in found[1].splitlines():
        parts = re.fullmatch(r"(\w+) +imports ([a-z ]+?)(?: +\(([\w. ]+)\))?", line)
        assert parts, line
        name, imports, modules = parts.groups()
        assert name not in rooms
        rooms[name] = Room(tuple((modules or name).split()), frozenset(imports.split()) - {"nothing"})
    return rooms


def module_of(path: Path) -> str:
    """The name of a file's module, without "mjpeg_restore."; "__init__" is the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """The package's modules that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, *parts = name.split(".")
            if package == PACKAGE.name:
                while parts and not is_module(PACKAGE.joinpath(*parts)):
                    parts.pop()  # a name in a module
                yield ".".join(parts) or "__init__"


def is_module(path: Path) -> bool:
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def room_of(module: str, rooms: dict[str, Room]) -> str:
    homes = {
        home: name
        for name, room in rooms.items()
        for home in room.modules
        if module == home or module.startswith(f"{home}.")
    }
    assert homes, f"{module} is in no room of docs/architecture.md"
    return homes[max(homes, key=len)]


def test_rooms_import_what_the_document_says(stated: dict[str, Room]) -> None:
    found: dict[str, set[str]] = {name: set() for name in stated}
    for path in PACKAGE.rglob("*.py"):
        room = room_of(module_of(path), stated)
        found[room] |= {room_of(module, stated) for module in imported(path)} - {room}
    assert found == {name: {*room.imports} for name, room in stated.items()}


def test_every_module_of_a_room_exists(stated: dict[str, Room]) -> None:
    for room in stated.values():
        assert all(is_module(PACKAGE.joinpath(*module.split("."))) for module in room.modules), room


def test_rooms_import_only_rooms_above_them(stated: dict[str, Room]) -> None:
    above: set[str] = set()
    for name, room in stated.items():
        assert room.imports <= above, name
        above.add(name)


def test_nothing_that_restores_imports_the_networks_and_nobody_the_command(stated: dict[str, Room]) -> None:
    torch = {"models", "papers", "training"}
    for name, room in stated.items():
        assert "cli" not in room.imports
        assert name in torch or not room.imports & torch


def test_the_command_alone_prints_and_exits() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "cli") or path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("print", "exit", "sys.exit"), f"{path}, line {node.lineno}"


def test_the_paths_that_the_documents_name_exist() -> None:
    for document in ("docs/architecture.md", "CONTRIBUTING.md", "README.md"):
        for path in re.findall(
            r"`((?:mjpeg_restore|scripts|tests|engines|examples)/[\w/]+\.\w+)`", (ROOT / document).read_text()
        ):
            assert (ROOT / path).exists(), f"{document}: {path}"


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.relative_to(ROOT)}: {link}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Packages aside: `__init__` re-exports, and its modules may name the package to import one of themselves."""
    graph = {
        module_of(path): {module for module in imported(path) if (PACKAGE / f"{module.replace('.', '/')}.py").is_file()}
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_no_two_files_of_tests_have_one_name() -> None:
    """Pytest imports them by their names alone."""
    names = [path.name for path in ROOT.glob("tests/**/test_*.py")]
    assert sorted(names) == sorted({*names})
