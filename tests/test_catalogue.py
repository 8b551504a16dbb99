from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.cli.models import described
from mjpeg_restore.errors import ModelCorrupt, UnknownModel


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A copy of what is shipped, to be damaged."""
    return Path(shutil.copytree(catalogue.shipped_folder(), tmp_path / "engines"))


ABLATIONS = catalogue.read_manifest(catalogue.shipped_folder() / "ablations")


@pytest.mark.parametrize("name", catalogue.shipped())
def test_every_shipped_graph_has_its_checksum(name: str) -> None:
    model = catalogue.find(name)
    for variant in model.variants:
        assert variant.graphs.keys() == graphs_of(model)
        for kind in variant.graphs:
            assert variant.graphs[kind].path().is_file()
    if model.texture:
        assert catalogue.verified(model.folder, model.texture["file"], model.texture["sha256"]).suffix == ".npz"


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_has_its_checksum_and_is_for_grey_pictures(name: str) -> None:
    (variant,) = ABLATIONS[name].variants
    assert list(variant.graphs) == list(variant.training) == ["grey"]
    assert variant.graphs["grey"].path().parent == catalogue.shipped_folder() / "ablations"


def graphs_of(model: catalogue.Model) -> set[str]:
    """What a variant of the model consists of."""
    if model.per_component:
        return {"grey"}
    kinds = {"grey", "colour"}
    return kinds | {f"{kind}.context" for kind in kinds} if model.takes("context") else kinds


def test_what_is_shipped() -> None:
    shipped = catalogue.shipped()
    ours, papers = (
        ["stream", "stream-lite", "stream-video", "stream-video-lite"],
        ["l4", "l8", "hr-cnn", "qgcn", "qgac", "one-to-many-l2", "one-to-many"],
    )
    assert list(shipped) == ["decode", *ours, *papers]
    assert [name for name, model in shipped.items() if model.projected] == ours
    assert all(model.quality for model in shipped.values())
    assert [name for name, model in shipped.items() if model.texture] == ["qgac"]
    assert [name for name, model in shipped.items() if model.takes("noise")] == ["one-to-many"]
    assert [name for name, model in shipped.items() if model.per_component] == ["l4", "l8", "hr-cnn", "one-to-many-l2"]
    assert [name for name, model in shipped.items() if model.has_state] == ours[2:]
    assert catalogue.DEFAULT == "stream"
    assert shipped["decode"].parameters == 0
    assert 0 < shipped["stream-lite"].macs_per_pixel <= 8_000
    assert shipped["stream-lite"].macs_per_pixel < shipped["stream"].macs_per_pixel <= 24_000
    assert shipped["stream"].variants[0].training["grey"]["hours"] > 0


def test_the_time_of_a_training_is_that_of_all_its_stages() -> None:
    one = {"device": "CPU", "threads": 1}
    stages = [(2.0, one | {"precision": "bf16"}), (2.5, one), (3.5, one | {"threads": 2}), (3.75, {"device": "H100"})]
    record: dict[str, Any] = {}
    for hours, machine in stages:
        record = {"hours": hours, **machine, **({"before": record} if record else {})}
    assert catalogue.training_time(record) == "2.50 h on a CPU core and 1.00 h on 2 CPU cores and 0.25 h on H100"


def test_nothing_lies_beside_the_manifest() -> None:
    models = [*catalogue.shipped().values(), *ABLATIONS.values()]
    named = [graph.file for model in models for variant in model.variants for graph in variant.graphs.values()]
    named += [model.texture["file"] for model in models if model.texture]
    assert len(named) == len(set(named))
    found = {path.name for path in catalogue.shipped_folder().rglob("*.*") if path.suffix in (".onnx", ".npz")}
    assert found == set(named)


def test_all_that_is_shipped_is_40_megabytes_at_most() -> None:
    """And the ablations, which only this repository has, make 60 of it."""
    sizes = {path: path.stat().st_size for path in catalogue.shipped_folder().rglob("*.*")}
    assert sum(size for path, size in sizes.items() if "ablations" not in path.parts) <= 40e6
    assert sum(sizes.values()) <= 60e6


@pytest.mark.parametrize("name", catalogue.shipped())
def test_descriptions_are_lines_of_text(name: str) -> None:
    model = catalogue.find(name)
    lines = [*described(model)]
    assert lines[0].startswith(f"{name}: ")
    assert all("\n" not in line for line in lines)
    assert set(json.loads(json.dumps(model.as_dict()))) >= {
        "name",
        "summary",
        "parameters",
        "macs_per_pixel",
        "variants",
    }


def test_an_unknown_model_lists_those_there_are() -> None:
    with pytest.raises(UnknownModel, match="no model 'arcnn'; there are decode, stream, stream-lite"):
        catalogue.find("arcnn")


def test_an_altered_graph_is_refused(engines: Path) -> None:
    path = engines / "stream.colour.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    stream = catalogue.read_manifest(engines)["stream"]
    with pytest.raises(ModelCorrupt, match="not the file that the manifest describes"):
        stream.variants[0].graphs["colour"].path()
    assert stream.variants[0].graphs["grey"].path().is_file()


def test_a_missing_graph_is_named(engines: Path) -> None:
    (engines / "decode.grey.onnx").unlink()
    with pytest.raises(ModelCorrupt, match=r"decode\.grey\.onnx: No such file or directory; reinstall"):
        catalogue.read_manifest(engines)["decode"].variants[0].graphs["grey"].path()


def test_a_missing_manifest_is_named(engines: Path) -> None:
    (engines / "manifest.json").unlink()
    with pytest.raises(ModelCorrupt, match=r"manifest\.json: No such file or directory; reinstall mjpeg-restore"):
        catalogue.read_manifest(engines)


def test_a_variant_is_chosen_by_the_pictures_quality() -> None:
    ranges = [(10, 10), (10, 60), (50, 50)]
    variants = tuple(catalogue.Variant(qualities, {}, {}) for qualities in ranges)
    model = replace(catalogue.find("stream"), variants=variants)
    chosen = {quality: model.variant(quality).qualities for quality in (5, 10, 12, 50, 55, 90)}
    assert chosen == {5: (10, 10), 10: (10, 10), 12: (10, 60), 50: (50, 50), 55: (10, 60), 90: (10, 60)}
