"""The documents agree with the manifest, the code and the tests: what is copied by hand grows old."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from measuring import gpu_page

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model

ROOT = Path(__file__).parents[1]

PAPERS = [
    model.name for model in catalogue.shipped().values() if not model.projected and model.name != catalogue.DECODE
]

Row = dict[str, str]


def tables(document: str) -> list[Row]:
    """The rows of all tables, each cell under its column's header."""
    rows: list[Row] = []
    for block in re.findall(r"(?:^\|.*\|\n)+", (ROOT / document).read_text(), flags=re.MULTILINE):
        header, _, *body = ([cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines())
        rows += [dict(zip(header, cells, strict=True)) for cells in body]
    return rows


def of_models(document: str, column: str) -> list[tuple[Model, Row]]:
    """The rows of the tables with that column that name a network of ours."""
    rows = [row for row in tables(document) if column in row]
    named = [(re.match(r"\**`([a-z0-9-]+)`", row[""]), row) for row in rows]
    return [(catalogue.find(name[1]), row) for name, row in named if name]


def measured(model: Model, quality: str, figure: Callable[[dict[str, float]], str]) -> str:
    """One of the figures of LIVE1 as a document writes it; "-" where the network is not for that quality."""
    row = model.quality["live1"].get(quality)
    return figure(row) if row else "-"


def gains(model: Model, header: str, figure: str) -> str:
    """The cell under a header that names qualities."""
    return " / ".join(measured(model, q, lambda row: f"{row[figure]:+.2f}") for q in re.findall(r"Q(\d+)", header))


@pytest.mark.parametrize("document", ["README.md", "docs/papers.md"])
def test_gains_of_the_papers_networks(document: str) -> None:
    luma, rgb = "luma gain on LIVE1, Q10 / Q20 / Q40", "RGB gain, Q10 / Q40"
    found = of_models(document, luma)
    assert [model.name for model, _ in found] == PAPERS
    for model, row in found:
        assert row["kMAC per pixel"] == f"{model.macs_per_pixel / 1000:.1f}"
        assert row[luma] == gains(model, luma, "luma_gain")
        assert row[rgb] == gains(model, rgb, "rgb_gain")


def crops(record: dict[str, Any] | None) -> int:
    """Crops that a network saw, with those of the stages before."""
    return record["steps"] * record["batch"] + crops(record.get("before")) if record else 0


def test_the_crops_that_the_papers_networks_saw() -> None:
    found = of_models("docs/papers.md", "crops that a network saw")
    assert [model.name for model, _ in found] == PAPERS
    for model, row in found:
        seen = {round(crops(record), -3) for variant in model.variants for record in variant.training.values()}
        ends = sorted({min(seen), max(seen)})
        assert row["crops that a network saw"] == " to ".join(f"{end:,}" for end in ends)


def test_figures_of_our_own_networks() -> None:
    rgb = "RGB gain, Q10 / Q40"
    found = of_models("README.md", "Q30")
    assert {model.name for model, _ in found} == {"stream", "stream-lite"}
    for model, row in found:
        assert row["kMAC per pixel"] == f"{model.macs_per_pixel / 1000:.1f} with chroma"
        assert row[rgb] == gains(model, rgb, "rgb_gain")
        for quality in ("10", "20", "30", "40"):
            assert row[f"Q{quality}"] == measured(model, quality, lambda row: f"{row['luma_psnr']:.2f}")


def test_the_page_about_gpus_is_made_of_its_text_and_its_results() -> None:
    assert (ROOT / "docs/gpu.md").read_text() == gpu_page.page(gpu_page.load(ROOT / "docs/gpu.json"))


# ---- docs/quirks.md ----

QUIRK = re.compile(r"\b(?:Q\d|[BCDHMPRST]\d{1,2})\b")
"""The id of a row. Q and two digits, as in "Q40", is a quality."""


def cited_in_python(path: Path) -> Iterator[str]:
    """Ids in comments, in docstrings and in the names of tests."""
    text = path.read_text()
    # Most modules cite none, and to read a module takes long.
    if re.search(rf"#.*{QUIRK.pattern}", text):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield from QUIRK.findall(token.string)
    if not QUIRK.search(text) and not re.search(r"\bdef test_[a-z]\d", text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from QUIRK.findall(node.value.value)
        elif isinstance(node, ast.FunctionDef) and (ids := re.match(r"test((?:_[a-z]\d{1,2})+)_", node.name)):
            yield from ids[1].upper().split("_")[1:]


def cited_in_c(path: Path) -> Iterator[str]:
    """Ids in comments; C1 to C7 are also the names of the DCT's constants."""
    for comment in re.findall(r"/\*.*?\*/", path.read_text(), flags=re.DOTALL):
        yield from QUIRK.findall(comment)


@pytest.fixture(scope="module")
def quirks() -> dict[str, Row]:
    rows = tables("docs/quirks.md")
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_every_quirk_that_is_cited_has_a_row_and_no_row_is_idle(quirks: dict[str, Row]) -> None:
    package, tests = ROOT / "mjpeg_restore", ROOT / "tests"
    networks = (package / "models", package / "training", tests / "models", tests / "training")  # there Q5 is a quality
    python = [path for folder in (package, tests) for path in folder.rglob("*.py")]
    cited = {id for path in python if not {*path.parents} & {*networks} for id in cited_in_python(path)}
    cited |= {id for path in package.rglob("*.[ch]") for id in cited_in_c(path)}
    assert cited == set(quirks)


def test_the_modules_of_each_quirk_cite_it_and_its_tests_exist(quirks: dict[str, Row]) -> None:
    for id, row in quirks.items():
        modules, tests = (re.findall(r"`([^`]+)`", row[column]) for column in ("where", "test"))
        assert modules and tests, id
        for module in modules:
            path = ROOT / "mjpeg_restore" / module
            cited = cited_in_python(path) if path.suffix == ".py" else cited_in_c(path)
            assert id in cited, f"{module} does not cite {id}"
        for test in tests:
            path, _, name = test.partition("::")
            assert f"\ndef {name}(" in (ROOT / "tests" / path).read_text(), f"{id}: no test {test}"
