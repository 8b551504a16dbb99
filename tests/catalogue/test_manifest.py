"""A manifest is read strictly: what is wrong in it is one line that says where."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mjpeg_restore.catalogue import find, read_manifest, write_manifest
from mjpeg_restore.catalogue.ports import COMPONENTS, FORMS, HISTORY, STATE, STATE_AFTER, Port
from mjpeg_restore.cli.models import described
from mjpeg_restore.errors import ModelCorrupt
from tests.catalogue.fake_package import entry, fill, manifest

GREY = ("variants", 0, "graphs", "grey")
COLOUR = ("variants", 0, "graphs", "colour")
DELETED = object()
CONTEXT = {"context": "float32 [8]"}
NOISE = {"noise": "float32 [4*y.high, 4*y.wide]"}


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A manifest whose model has another value at a place, or none."""
    found = manifest()
    inner = found["models"]["plain"]
    for step in place[:-1]:
        inner = inner[step]
    if value is DELETED:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return found


def test_keys_that_may_be_missing(tmp_path: Path) -> None:
    (model,) = read_manifest(fill(tmp_path, manifest())).values()
    assert (model.name, model.package) == ("plain", "mjpeg-restore")
    assert (model.quality, model.texture, model.projected, model.per_component) == ({}, None, False, False)
    assert (model.variants[0].qualities, model.variants[0].training) == (None, {})
    assert [*described(model)] == [
        "plain: decodes",
        "    9 parameters, 0.10 kMAC per pixel at 4:2:0",
        "    no gain is stated",
    ]


def test_what_is_said_of_a_model_is_shown(tmp_path: Path) -> None:
    model: dict[str, Any] = entry() | {
        "quality": {"mine": {"10": {"luma_gain": 1.25}, "20": {"luma_gain": None, "ssim": 0.9}}}
    }
    one = model["variants"][0] | {"qualities": [10, 10]}
    record = {"hours": 2, "device": "CPU", "threads": 4, "epochs": [1, 2], "before": {"hours": 0.5, "device": "H100"}}
    two = model["variants"][0] | {"qualities": [11, 30], "training": {"grey": record}}
    fill(tmp_path, {"schema": 1, "models": {"plain": model | {"variants": [one, two]}}})
    assert [*described(read_manifest(tmp_path)["plain"])][2:] == [
        "    mine             Q10    Q20",
        "    luma gain, dB  +1.25      -",
        "    Q10",
        "    Q11-30: trained for 0.50 h on H100 and 1.50 h on 4 CPU cores",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "the file is [], not an object"),
        (b'{"models": {}}', "the file lacks the key 'schema'"),
        (b'{"schema": "1", "models": {}}', "schema is '1', not a whole number from 0"),
        (b'{"schema": 2, "modles": {}}', "its schema is 2: upgrade mjpeg-restore, which knows 1"),
        (b'{"schema": 0}', "its schema is 0: mjpeg-restore knows 1"),
        (b'{"schema": 1}', "the file lacks the key 'models'"),
        (b'{"schema": 1, "models": []}', "models is [], not an object"),
        (b'{"schema": 1, "models": {}, "licence": "MIT"}', "the unknown key 'licence'; known: schema, models"),
        (b'{"schema": 1, "models": {"a": {}, "a": {}}}', "the key 'a' is there twice"),
        (b'{"schema": NaN, "models": {}}', "NaN is no number"),
        (b'{"schema": 1, "models": {"../a": {}}}', "'../a' is no name of a model"),
        (b'{"schema": 1, "models": {"": {}}}', "'' is no name of a model"),
        (b'{"schema": 1, "models": {"a b\\n": {}}}', r"'a b\n' is no name of a model"),
        (b'{"schema": 1, "models": {"a": 7}}', "models.a is 7, not an object"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path: Path, text: bytes, told: str) -> None:
    assert_refused(fill(tmp_path, text), told)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("per_componnent",), True, ".plain has the unknown key 'per_componnent'; known: summary, parameters, macs_"),
        (("margin",), DELETED, ".plain lacks the key 'margin'"),
        (("margin",), -1, ".plain.margin is -1, not a whole number from 0"),
        (("margin",), "wide", "margin is 'wide', not a whole"),
        (("margin",), True, "margin is True, not a whole"),
        (("margin",), 8193, "margin is 8193, not a whole number up to 8192, the blocks across the largest JPEG"),
        (("margin",), 10**30, "margin is 1000000000000000000000000000000, not"),
        (("macs_per_pixel",), None, "macs_per_pixel is None, not a number"),
        (("macs_per_pixel",), 10**400, "not a number"),
        (("bytes_per_pixel",), 0, "bytes_per_pixel is 0, not a number from 1"),
        (("bytes_per_pixel",), 10**15, "bytes_per_pixel is 1000000000000000, not a number from 1 to 1000000000"),
        (("summary",), "", "summary is '', not a line of text"),
        (("summary",), "two\nlines", r"summary is 'two\nlines', not a line"),
        (("summary",), "\x1b[2J", r"summary is '\x1b[2J', not a line"),
        (("projected",), 1, "projected is 1, not true or false"),
        (("quality",), {"live1": {"Q10": {}}}, "'Q10', not an IJG quality"),
        (("quality",), {"live1": {"10": {"luma_gain": "good"}}}, ".quality.live1.10.luma_gain is 'good', not a number"),
        (("quality",), {"a\nb": {}}, r"is 'a\nb', not a line"),
        (("texture",), {"file": "t.npz"}, ".texture lacks the key 'sha256'"),
        (("variants",), [], ".variants is empty"),
        (("variants",), {}, ".variants is {}, not an array"),
        (("variants", 0), 1, ".variants[0] is 1, not an object"),
        (
            ("variants", 0, "quality"),
            None,
            ".variants[0] has the unknown key 'quality'; known: qualities, training, gr",
        ),
        (("variants", 0, "qualities"), [10], ".variants[0].qualities is [10], not null, or the first and the last"),
        (("variants", 0, "qualities"), [60, 10], "[60, 10], not"),
        (("variants", 0, "qualities"), [0, 10], "[0, 10], not"),
        (("variants", 0, "qualities"), [1.5, 10], "qualities is 1.5, not a whole"),
        (("variants", 0, "training"), {"gray": {}}, "the unknown key 'gray'; known: grey, colour"),
        (("variants", 0, "training"), {"grey": {"epochs": 3}}, ".training.grey lacks the key 'hours'"),
        (("variants", 0, "training"), {"grey": {"hours": 1, "device": "CPU"}}, "lacks the key 'threads'"),
        (("variants", 0, "graphs"), {}, ".graphs lacks the key 'grey'"),
        (("variants", 0, "graphs", "gray"), {}, ".graphs has the unknown key 'gray'; known: grey, colour"),
        ((*GREY, "file"), "../decode.grey.onnx", ".grey.file is '../decode.grey.onnx', not the name of a file beside"),
        ((*GREY, "file"), "..", ".file is '..', not the name"),
        ((*GREY, "file"), "a\0b", r".file is 'a\x00b', not a line"),
        ((*GREY, "sha256"), 7, ".sha256 is 7, not a line of text"),
        (
            (*GREY, "inputs"),
            {},
            ".graphs.grey: inputs are none, not y.coefficients, y.table, then noise or context or the state (y.mean, ",
        ),
        ((*GREY, "inputs", "y.weather"), "int16 [y.high, y.wide]", ".grey.inputs: 'y.weather' is no port of a graph"),
        ((*GREY, "inputs", "y.table"), "uint8 [64]", "port 'y.table' is 'uint8 [64]', not 'uint16 [64]'"),
        ((*GREY, "inputs", "y.table"), 64, "the value of 'y.table' is 64, not a line of text"),
        ((*GREY, "inputs", "cb.table"), "uint16 [64]", "inputs are y.coefficients, y.table, cb.table, not"),
        ((*GREY, "inputs", "noise"), "float32 [y.high, y.wide]", "not 'float32 [4*y.high, 4*y.wide]'"),
        ((*GREY, "inputs", "context"), "float32 [0]", "not 'float32 [N]'"),
        ((*GREY, "outputs"), {"y": "float32 [8*y.high, 8*y.wide]"}, "not 'uint8 [8*y.high, 8*y.wide]'"),
        ((*COLOUR, "outputs", "cr"), DELETED, ".graphs.colour: outputs are y, cb, not y, cb, cr"),
        ((*GREY, "inputs", "noise"), NOISE["noise"], ".plain: some of its graphs take noise, others do not"),
        (
            (*GREY, "inputs", "context"),
            CONTEXT["context"],
            "each graph that takes a context, and no other, needs a graph",
        ),
        (("per_component",), True, ".plain is per_component, so it needs a grey graph that"),
    ],
)
def test_a_model_that_is_none(tmp_path: Path, place: tuple[Any, ...], value: Any, told: str) -> None:
    assert_refused(fill(tmp_path, changed(place, value)), told)


def test_components_in_another_order_are_refused(tmp_path: Path) -> None:
    found = manifest()
    ports = found["models"]["plain"]["variants"][0]["graphs"]["colour"]["inputs"]
    swapped = {name: ports[name] for name in sorted(ports)}
    assert [*swapped] != [*ports]
    assert_refused(
        fill(tmp_path, changed((*COLOUR, "inputs"), swapped)), "colour: inputs are cb.coefficients, cb.table"
    )


@pytest.mark.parametrize(("size", "right"), [(8, True), (9, False)])
def test_a_context_has_the_size_that_is_taken(tmp_path: Path, size: int, right: bool) -> None:
    model = entry()
    graphs = model["variants"][0]["graphs"]
    del graphs["colour"]
    graphs["grey.context"] = graphs["grey"] | {"outputs": {"context": f"float32 [{size}]"}}
    graphs["grey"] = graphs["grey"] | {"inputs": graphs["grey"]["inputs"] | CONTEXT}
    fill(tmp_path, {"schema": 1, "models": {"plain": model}})
    if right:
        assert read_manifest(tmp_path)["plain"].takes("context")
    else:
        assert_refused(tmp_path, "needs a graph that gives it")


def test_a_component_alone_takes_no_noise(tmp_path: Path) -> None:
    model: dict[str, Any] = entry() | {"per_component": True}
    graphs = model["variants"][0]["graphs"]
    del graphs["colour"]
    assert read_manifest(fill(tmp_path / "right", {"schema": 1, "models": {"plain": model}}))["plain"].per_component
    graphs["grey"]["inputs"] |= NOISE
    assert_refused(fill(tmp_path / "wrong", {"schema": 1, "models": {"plain": model}}), "per_component")


# ---- graphs with a state ----


def with_state() -> dict[str, Any]:
    """A manifest of a model whose graphs take and give a state."""
    found = manifest()
    for kind, graph in found["models"]["plain"]["variants"][0]["graphs"].items():
        for side, kinds in (("inputs", STATE), ("outputs", STATE_AFTER)):
            for component in COMPONENTS if kind == "colour" else COMPONENTS[:1]:
                graph[side] |= {f"{component}.{what}": FORMS[what].replace("C", component) for what in kinds}
    return found


def test_a_graph_with_a_state(tmp_path: Path) -> None:
    fill(tmp_path, with_state())
    model = read_manifest(tmp_path)["plain"]
    assert model.has_state
    assert all(graph.has_state for graph in model.variants[0].graphs.values())
    assert model.takes("mean")
    grey, colour = (model.variants[0].graphs[kind] for kind in ("grey", "colour"))
    assert [port.name for port in grey.inputs] == BEFORE
    assert [port.name for port in grey.outputs] == ["y", *AFTER]
    assert [port.name for port in colour.inputs[6:10]] == BEFORE[2:]
    assert {port.dtype for port in colour.inputs[6:]} == {"int16", "float16", "float32"}
    assert [port.kind for port in colour.outputs] == ["samples"] * 3 + [*STATE_AFTER] * 3
    write_manifest(tmp_path, {"plain": {name: value for name, value in model.as_dict().items() if name != "name"}})
    assert read_manifest(tmp_path)["plain"].as_dict() == model.as_dict()


def test_a_graph_without_a_state_has_none(tmp_path: Path) -> None:
    model = read_manifest(fill(tmp_path, manifest()))["plain"]
    assert not model.has_state
    assert not model.takes("mean")


BEFORE = ["y.coefficients", "y.table", "y.mean", "y.evidence", "y.correction", "y.history"]
AFTER = ["y.mean_after", "y.evidence_after", "y.correction_after", "y.history_after"]


@pytest.mark.parametrize(
    ("kind", "side", "names", "told"),
    [
        ("grey", "inputs", ["y.coefficients", "y.table", "y.mean"], "inputs are y.coefficients, y.table, y.mean, not"),
        ("grey", "inputs", [*BEFORE[:4]], "inputs are y.coefficients, y.table, y.mean, y.evidence, not"),
        ("grey", "inputs", [*BEFORE[:2], *BEFORE[:1:-1]], "y.table, y.history, y.correction, y.evidence, y.mean, not"),
        ("grey", "inputs", [*BEFORE[2:], *BEFORE[:2]], "inputs are y.mean, y.evidence, y.correction, y.history, y.coe"),
        (
            "grey",
            "outputs",
            ["y"],
            "outputs are y, not y, y.mean_after, y.evidence_after, y.correction_after, y.history_after",
        ),
        ("grey", "outputs", ["y", *AFTER[::-1]], "outputs are y, y.history_after, "),
        ("grey", "outputs", [*AFTER], "not y, y.mean_after, y.evid"),
    ],
)
def test_a_state_that_is_not_whole_or_in_another_order(
    tmp_path: Path, kind: str, side: str, names: list[str], told: str
) -> None:
    found = with_state()
    graph = found["models"]["plain"]["variants"][0]["graphs"][kind]
    graph[side] = {name: graph[side][name] for name in names}
    assert_refused(fill(tmp_path, found), told)


def test_each_component_has_its_state_after_the_components(tmp_path: Path) -> None:
    found = with_state()
    graph = found["models"]["plain"]["variants"][0]["graphs"]["colour"]
    names = [*graph["inputs"]]
    names[6:10], names[10:14] = names[10:14], names[6:10]
    graph["inputs"] = {name: graph["inputs"][name] for name in names}
    given = [f"{one}.{what}" for one in ("cb", "y", "cr") for what in STATE]
    assert_refused(fill(tmp_path, found), f"cr.table, {', '.join(given)}, not")


@pytest.mark.parametrize("name", BEFORE[2:])
def test_a_state_in_other_units_is_refused(tmp_path: Path, name: str) -> None:
    found = with_state()
    found["models"]["plain"]["variants"][0]["graphs"]["grey"]["inputs"][name] = "float32 [y.high, y.wide, 64]"
    assert_refused(fill(tmp_path, found), f"port '{name}' is 'float32 [y.high, y.wide, 64]', not '")


def test_what_is_given_back_needs_to_be_taken(tmp_path: Path) -> None:
    found = manifest()
    stateful = with_state()["models"]["plain"]["variants"][0]["graphs"]["grey"]
    found["models"]["plain"]["variants"][0]["graphs"]["grey"]["outputs"] = stateful["outputs"]
    assert_refused(fill(tmp_path, found), f"outputs are y, {', '.join(AFTER)}, not y")


def test_either_all_graphs_have_a_state_or_none(tmp_path: Path) -> None:
    found = with_state()
    found["models"]["plain"]["variants"][0]["graphs"]["colour"] = entry()["variants"][0]["graphs"]["colour"]
    assert_refused(fill(tmp_path, found), ".plain: some of its graphs take history, others do not")


def test_a_component_alone_has_no_state(tmp_path: Path) -> None:
    found = with_state()
    model = found["models"]["plain"]
    del model["variants"][0]["graphs"]["colour"]
    model["per_component"] = True
    assert_refused(fill(tmp_path, found), ".plain is per_component, so it needs a grey graph that")


def test_chroma_at_lumas_size_has_no_state(tmp_path: Path) -> None:
    found = with_state()
    outputs = found["models"]["plain"]["variants"][0]["graphs"]["colour"]["outputs"]
    outputs |= dict.fromkeys(("cb", "cr"), "uint8 [8*y.high, 8*y.wide]")
    assert_refused(fill(tmp_path, found), ".plain has a state, so it gives cb and cr at their own size")


def assert_refused(folder: Path, told: str) -> None:
    with pytest.raises(
        ModelCorrupt, match=f"manifest\\.json: .*{re.escape(told)}.*; reinstall mjpeg-restore"
    ) as caught:
        read_manifest(folder)
    assert str(caught.value).isprintable()


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any) -> list[tuple[Any, ...]]:
    """All places of a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((step, *rest) for step, inner in steps for rest in places(inner))]


@given(place=st.sampled_from([place for place in places(entry()) if place]), value=Json)
def test_whatever_is_read_can_be_shown_and_all_else_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: Any
) -> None:
    folder = tmp_path_factory.mktemp("acme")
    (folder / "manifest.json").write_text(json.dumps(changed(place, value)))
    try:
        model = read_manifest(folder, "acme-models")["acme-models/plain"]
    except ModelCorrupt as error:
        assert str(error).isprintable()
    else:
        assert all(line.isprintable() for line in described(model))
        json.dumps(model.as_dict())


# ---- writing ----


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    model = find("decode")
    written = {name: value for name, value in model.as_dict().items() if name != "name"}
    write_manifest(tmp_path, {"decode": written})
    again = read_manifest(tmp_path)["decode"].as_dict()
    assert again == model.as_dict()


def test_a_manifest_whose_writing_fails_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_written(path: Path, text: str) -> int:
        with path.open("w") as file:
            file.write(text[: len(text) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    fill(tmp_path, before := manifest())
    written = {name: value for name, value in find("decode").as_dict().items() if name != "name"}
    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(OSError, match="No space left"):
        write_manifest(tmp_path, {"decode": written})
    assert json.loads((tmp_path / "manifest.json").read_text()) == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"manifest\.json is not written: models\.soft lacks the key 'summary'"):
        write_manifest(tmp_path, {"soft": {}})
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"10": {"psnr": float("nan")}}, "NaN is no number"),
        ({"10": {"psnr": 30.0}, 10: {"psnr": 31.0}}, "the key '10' is there twice"),
    ],
)
def test_figures_that_json_has_not_are_not_written(
    tmp_path: Path, rows: dict[str | int, dict[str, float]], told: str
) -> None:
    written = {name: value for name, value in find("decode").as_dict().items() if name != "name"}
    with pytest.raises(ModelCorrupt, match=re.escape(f"manifest.json is not written: {told}")):
        write_manifest(tmp_path, {"decode": {**written, "quality": {"live1": rows}}})
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("name", "kind", "sizes"),
    [
        ("y.coefficients", "int16 [y.high, y.wide, 64]", (6, 8, 64)),
        ("cb.mean", "int16 [cb.high, cb.wide, 64]", (3, 4, 64)),
        ("cr.history", f"float32 [{HISTORY}]", (HISTORY,)),
        ("noise", "float32 [4*y.high, 4*y.wide]", (24, 32)),
        ("cb", "uint8 [8*cb.high, 8*cb.wide]", (24, 32)),
        ("cr", "uint8 [8*y.high, 8*y.wide]", (48, 64)),
    ],
)
def test_the_size_of_a_port_by_those_of_the_components(name: str, kind: str, sizes: tuple[int, ...]) -> None:
    assert Port.parse(name, kind).sizes([(6, 8), (3, 4), (3, 4)]) == sizes
