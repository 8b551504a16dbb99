"""The manifest of a folder of graphs, `manifest.json`: read strictly, and written only if it could be read.

    {"schema": 1, "models": {"stream": {"summary": "...", "margin": 7, ..., "variants": [{"graphs": {...}, ...}]}}}

Whatever is missing, misspelt or unknown is an error that names its place: a key that is not understood may change what
the others mean. What others write in packages of theirs is described in docs/models.md.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from mjpeg_restore.catalogue.json_object import (
    JsonObject,
    array,
    flag,
    load,
    mapping,
    number,
    parse,
    text,
    whole,
    wrong,
)
from mjpeg_restore.catalogue.model import OURS, GraphFile, Model, Variant
from mjpeg_restore.catalogue.ports import Port, check_sides
from mjpeg_restore.errors import ModelCorrupt, reason_of

FILE = "manifest.json"
SCHEMA = 1

KINDS = ("grey", "colour", "grey.context", "colour.context")
"""The keys of a variant's graphs."""

_MOST_MARGIN = 65536 // 8
_MOST_BYTES = 10**9
"""For a pixel: with a gigabyte, a picture of 64 pixels fills the largest computer."""


def read_manifest(folder: Path, package: str = OURS) -> dict[str, Model]:
    """The models of a folder by name, in the manifest's order.

    Args:
        folder: of the manifest and of the files that it names, which are not looked at.
        package: the installed package that it is in; the names of another's models begin with its name.

    Raises:
        ModelCorrupt: the manifest is missing or malformed.
    """
    path = folder / FILE
    try:
        return _models(load(path), folder, package)
    except (OSError, ValueError, RecursionError) as error:
        advice = f"; reinstall {OURS}" if package == OURS else ""
        raise ModelCorrupt(f"{path}: {reason_of(error)}{advice}") from error


def write_manifest(folder: Path, models: dict[str, Any]) -> None:
    """Write the manifest of a folder, all or nothing.

    Args:
        folder: of the files that it names.
        models: entries by the names of their models; see `models/entries.py`.

    Raises:
        ModelCorrupt: an entry could not be read again; nothing was written.
        OSError: the file cannot be written.
    """
    path = folder / FILE
    content = json.dumps({"schema": SCHEMA, "models": models}, indent=2)
    try:
        _models(parse(content), folder, OURS)
    except ValueError as error:
        raise ModelCorrupt(f"{path} is not written: {error}") from error
    part = path.with_name(f"{FILE}.part")
    try:
        part.write_text(content + "\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _models(content: object, folder: Path, package: str) -> dict[str, Model]:
    manifest = JsonObject(content, "")
    schema = manifest.take("schema", whole)
    if schema != SCHEMA:
        advice = "upgrade mjpeg-restore, which" if schema > SCHEMA else "mjpeg-restore"
        raise ValueError(f"its schema is {schema}: {advice} knows {SCHEMA}")
    entries = manifest.take("models", mapping)
    manifest.end()
    models = [_model(name, entry, folder, package) for name, entry in entries.items()]
    return {model.name: model for model in models}


def _model(name: str, entry: object, folder: Path, package: str) -> Model:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is no name of a model: letters, digits, '.', '_' and '-' are")
    path = f"models.{name}"
    found = JsonObject(entry, path)
    model = Model(
        name=name if package == OURS else f"{package}/{name}",
        summary=found.take("summary", text),
        parameters=found.take("parameters", whole),
        macs_per_pixel=found.take("macs_per_pixel", number),
        margin=found.take("margin", _margin),
        bytes_per_pixel=found.take("bytes_per_pixel", _bytes),
        quality=found.optional("quality", _quality, {}),
        variants=tuple(
            parse_variant(variant, f"{path}.variants[{index}]", folder, package)
            for index, variant in enumerate(found.take("variants", array))
        ),
        projected=found.optional("projected", flag, default=False),
        per_component=found.optional("per_component", flag, default=False),
        texture=found.optional("texture", _texture, None),
    )
    found.end()
    _check_graphs(model, path)
    return model


def parse_variant(entry: object, path: str, folder: Path, package: str = OURS) -> Variant:
    """A variant as the manifest has it.

    Args:
        entry: the manifest's.
        path: of the entry in the manifest, for messages.
        folder: of its files.
        package: the installed package that they are in.

    Raises:
        ValueError: it is malformed.
    """
    found = JsonObject(entry, path)
    variant = Variant(
        found.optional("qualities", _qualities, None),
        found.optional("training", _training, {}),
        {
            kind: _graph(kind, graph, f"{path}.graphs.{kind}", folder, package)
            for kind, graph in found.take("graphs", _graphs).items()
        },
    )
    found.end()
    return variant


def _graph(kind: str, entry: object, path: str, folder: Path, package: str) -> GraphFile:
    found = JsonObject(entry, path)
    file, sha256 = found.take("file", _file), found.take("sha256", text)
    inputs, outputs = found.take("inputs", _ports), found.take("outputs", _ports)
    found.end()
    try:
        check_sides(kind, inputs, outputs)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return GraphFile(file, sha256, inputs, outputs, folder, package)


def _check_graphs(model: Model, path: str) -> None:
    """Check what the graphs of a model have to do with each other."""
    if not model.variants:
        raise ValueError(f"{path}.variants is empty")
    last = set[str]()
    for index, variant in enumerate(model.variants):
        contexts = {kind: graph for kind, graph in variant.graphs.items() if kind.endswith(".context")}
        others = {kind: graph for kind, graph in variant.graphs.items() if kind not in contexts}
        last |= {graph.inputs[-1].kind for graph in others.values()}
        taken = {f"{kind}.context": graph.inputs[-1] for kind, graph in others.items()}
        given = {kind: graph.outputs[0] for kind, graph in contexts.items()}
        if {kind: port for kind, port in taken.items() if port.kind == "context"} != given:
            raise ValueError(
                f"{path}.variants[{index}].graphs: each graph that takes a context, and no other, needs a graph that "
                "gives it"
            )
    if len(last) > 1:
        raise ValueError(f"{path}: some of its graphs take {' or '.join(sorted(last - {'table'}))}, others do not")
    if len({variant.graphs["colour"].full_chroma for variant in model.variants if "colour" in variant.graphs}) > 1:
        raise ValueError(f"{path}: some of its colour graphs give cb and cr at luma's size, others do not")
    if model.projected and model.full_chroma:
        raise ValueError(f"{path} is projected, so it gives cb and cr at their own size: a cell is one of their blocks")
    if model.has_state and model.full_chroma:
        raise ValueError(f"{path} has a state, so it gives cb and cr at their own size: the state is of their blocks")
    if model.per_component and (last != {"table"} or any([*one.graphs] != ["grey"] for one in model.variants)):
        raise ValueError(f"{path} is per_component, so it needs a grey graph that takes a table and coefficients alone")


# ---- checks of values; see json_object.py ----


def _margin(value: object, path: str) -> int:
    found = whole(value, path)
    if found > _MOST_MARGIN:
        raise wrong(value, path, f"a whole number up to {_MOST_MARGIN}, the blocks across the largest JPEG")
    return found


def _bytes(value: object, path: str) -> float:
    found = number(value, path)
    if not 1 <= found <= _MOST_BYTES:
        raise wrong(value, path, f"a number from 1 to {_MOST_BYTES}")
    return found


def _file(value: object, path: str) -> str:
    """The name of a file in the manifest's folder; it becomes a part of the names of engines."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", text(value, path)):
        raise wrong(value, path, "the name of a file beside the manifest, of letters, digits, '.', '_' and '-'")
    return text(value, path)


def _qualities(value: object, path: str) -> tuple[int, int] | None:
    if value is None:
        return None
    found = [whole(one, path) for one in array(value, path)]
    if len(found) != 2 or not 1 <= found[0] <= found[1] <= 100:
        raise wrong(value, path, "null, or the first and the last of IJG's qualities, 1 to 100")
    return found[0], found[1]


def _graphs(value: object, path: str) -> dict[str, object]:
    found = mapping(value, path)
    if unknown := [kind for kind in found if kind not in KINDS]:
        raise ValueError(f"{path} has the unknown key {unknown[0]!r}; known: {', '.join(KINDS)}")
    if "grey" not in found:
        raise ValueError(f"{path} lacks the key 'grey': grey pictures need a graph")
    return found


def _ports(value: object, path: str) -> tuple[Port, ...]:
    ports: list[Port] = []
    for name, form in mapping(value, path).items():
        try:
            ports.append(Port.parse(name, text(form, f"the value of {name!r}")))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return tuple(ports)


def _quality(value: object, path: str) -> dict[str, Any]:
    """Measured figures by data set and quality."""
    for data, rows in mapping(value, path).items():
        text(data, path)
        for quality, figures in mapping(rows, f"{path}.{data}").items():
            if not re.fullmatch("[0-9]{1,3}", quality):
                raise wrong(quality, f"a key of {path}.{data}", "an IJG quality")
            for name, figure in mapping(figures, f"{path}.{data}.{quality}").items():
                if figure is not None:
                    number(figure, f"{path}.{data}.{quality}.{name}")
    return mapping(value, path)


def _training(value: object, path: str) -> dict[str, Any]:
    """Training records by graph."""
    for kind, record in mapping(value, path).items():
        if kind not in KINDS:
            raise ValueError(f"{path} has the unknown key {kind!r}; known: {', '.join(KINDS)}")
        _record(record, f"{path}.{kind}")
    return mapping(value, path)


def _record(value: object, path: str) -> dict[str, Any]:
    """A training record, free but for what is shown of it."""
    found = JsonObject(value, path)
    found.optional("loss", text, "")
    found.take("hours", number)
    if found.take("device", text) == "CPU":
        found.take("threads", whole)
    found.optional("before", _record, {})
    return mapping(value, path)


def _texture(value: object, path: str) -> dict[str, Any] | None:
    """The weights that `texture` blends in."""
    if value is None:
        return None
    found = JsonObject(value, path)
    found.take("file", _file)
    found.take("sha256", text)
    found.optional("training", _record, {})
    found.optional("quality", _quality, {})
    found.end()
    return mapping(value, path)
