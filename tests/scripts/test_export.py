from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.lacking import needs
from tests.scripts.running import run

needs("torch")
needs("onnxscript")

import torch

from mjpeg_restore import catalogue
from mjpeg_restore.errors import ModelError
from mjpeg_restore.jpeg import read
from mjpeg_restore.models.cost import bytes_per_pixel, macs_per_pixel
from mjpeg_restore.models.graph import checksum, initializers, load_weights
from mjpeg_restore.models.papers.l4_l8 import L4
from mjpeg_restore.models.papers.one_to_many import OneToMany, OneToManyConfig
from mjpeg_restore.models.stream import Stream, StreamConfig
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.training.recipe import Gained, Variant
from mjpeg_restore.training.recipes import MODELS
from tests.jpeg.pictures import encode
from tests.models.planes import components

ROOT = Path(__file__).parents[2]
TINY = StreamConfig(width=8, blocks=1, hidden=12, chroma_width=8, chroma_blocks=1, coarse=8, significance=True)
SETTINGS = {"batch": 8, "device": "a GPU", "qualities": None}
PROGRESS = {"steps": 12, "seconds": 5400.0, "pixels": 7_400_000, "validation": "Q10 +0.1/+0.2", "settings": SETTINGS}


@pytest.fixture(scope="module", autouse=True)
def small_networks() -> Iterator[None]:
    """The exporter takes its time for each layer: the recipes' networks have few here."""
    one_to_many = OneToManyConfig(width=4, branch_units=1, aggregation_units=1, chroma_width=4)
    smaller = {
        "stream-lite": dict.fromkeys(("whole", "rounded", "screens"), partial(Stream, TINY)),
        "one-to-many": {
            "q10-mean": partial(OneToMany, replace(one_to_many, noise=False)),
            "q10": partial(OneToMany, one_to_many),
        },
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, networks in smaller.items():
            model = MODELS[name]
            stages = {stage: replace(model.stages[stage], build=build) for stage, build in networks.items()}
            patch.setitem(MODELS, name, replace(model, stages={**model.stages, **stages}))
        yield


@pytest.fixture(scope="module")
def network() -> Stream:
    """What was trained: weights drawn at random."""
    torch.manual_seed(4)
    network = Stream(TINY)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
        network(*components())  # the ranges of its layers are learnt, too
    return network.eval()


@pytest.fixture(scope="module")
def engines(network: Stream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it was exported to; `decode` and an older network, measured, were there before."""
    runs, engines = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("engines")
    for stage in ("rounded", "screens"):
        checkpoint = runs / "stream-lite" / stage / "checkpoint.pt"
        checkpoint.parent.mkdir(parents=True)
        torch.save({"model": network.state_dict(), "progress": PROGRESS}, checkpoint)
    for path in catalogue.shipped_folder().glob("decode.*.onnx"):
        shutil.copy(path, engines)
    shipped = json.loads((catalogue.shipped_folder() / "manifest.json").read_text())["models"]
    older = shipped["stream-lite"] | {"quality": {"LIVE1": {"10": {}, "20": {}}}}
    models = {"stream-lite": older, "decode": shipped["decode"]}
    (engines / "manifest.json").write_text(json.dumps({"models": models}))
    done = run("export", "--model", "stream-lite", "--runs", runs, "--engines", engines)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stream-lite: ")
    return engines


@pytest.fixture
def entry(engines: Path) -> dict[str, Any]:
    return json.loads((engines / "manifest.json").read_text())["models"]["stream-lite"]


def test_each_graph_is_the_file_with_its_checksum(engines: Path, entry: dict[str, Any]) -> None:
    (variant,) = entry["variants"]
    assert variant["qualities"] is None
    assert {kind: graph["file"] for kind, graph in variant["graphs"].items()} == {
        "grey": "stream-lite.grey.onnx",
        "colour": "stream-lite.colour.onnx",
    }
    for graph in variant["graphs"].values():
        assert checksum(engines / graph["file"]) == graph["sha256"]


def test_the_graphs_hold_the_checkpoints_weights(engines: Path, network: Stream) -> None:
    found = Stream(TINY)
    load_weights(found, engines / "stream-lite.colour.onnx")
    for ours, theirs in zip(found.state_dict().values(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)  # what is large is kept as float16


def test_the_entry_says_what_the_network_costs(entry: dict[str, Any], network: Stream) -> None:
    assert entry["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert entry["macs_per_pixel"] == pytest.approx(macs_per_pixel(network), abs=0.05)
    assert entry["bytes_per_pixel"] == pytest.approx(bytes_per_pixel(network), abs=0.05)
    assert entry["margin"] == network.margin
    assert (entry["projected"], entry["texture"]) == (True, None)


def test_the_entry_says_how_it_was_trained(entry: dict[str, Any]) -> None:
    record = {"steps": 12, "hours": 1.5, "megapixels": 7, "validation_gain_db": "Q10 +0.1/+0.2", **SETTINGS}
    record |= {"blended": {"stage": "rounded", "weight": 0.5}}
    assert entry["variants"][0]["training"] == {"grey": record, "colour": record}


def test_what_was_measured_of_other_weights_is_dropped(entry: dict[str, Any]) -> None:
    assert entry["quality"] == {}


def test_what_was_measured_of_the_same_weights_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import export

    before = json.loads((catalogue.shipped_folder() / "manifest.json").read_text())["models"]["hr-cnn"]
    assert export.still_true(before, before) == before["quality"]
    after = json.loads(json.dumps(before))
    after["variants"][1]["graphs"]["grey"]["sha256"] = "another"  # Q30's
    kept = export.still_true(before, after)["live1"]
    assert kept == {q: row for q, row in before["quality"]["live1"].items() if q != "30"}
    assert len(kept) == 2


def test_the_other_models_stay_in_their_place(engines: Path) -> None:
    exported, shipped = catalogue.read_manifest(engines), catalogue.shipped()
    assert list(exported) == ["decode", "stream-lite"]
    assert exported["decode"].as_dict() == shipped["decode"].as_dict()
    assert exported["decode"].variants[0].graphs["grey"].path().parent == engines


def test_what_was_exported_restores(engines: Path) -> None:
    models = catalogue.read_manifest(engines)
    coded = read(encode("4:2:0", (64, 48), quality=10))
    plain, restored = (Restorer(models[name], "onnxruntime", threads=1) for name in ("decode", "stream-lite"))
    for before, after in zip(plain.restore(coded).planes, restored.restore(coded).planes, strict=True):
        assert before.shape == after.shape
        assert (before != after).mean() > 0.2
        assert np.abs(before.astype(int) - after).mean() < 50


@pytest.mark.slow
def test_variants_that_were_not_trained_stay_as_they_are_shipped(tmp_path: Path) -> None:
    runs, engines = tmp_path / "runs", tmp_path / "engines"
    checkpoint = runs / "l4" / "q30" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    torch.save({"model": L4(residual=True, chroma=True).state_dict(), "progress": PROGRESS}, checkpoint)
    engines.mkdir()
    shipped = json.loads((catalogue.shipped_folder() / "manifest.json").read_text())["models"]["l4"]
    others = [variant for variant in shipped["variants"] if variant["qualities"] != [30, 30]]
    (engines / "manifest.json").write_text(json.dumps({"models": {"l4": shipped | {"variants": others}}}))
    done = run("export", "--model", "l4", "--runs", runs, "--engines", engines)
    assert done.returncode == 0, done.stderr
    variants = json.loads((engines / "manifest.json").read_text())["models"]["l4"]["variants"]
    (added,) = [variant for variant in variants if variant["qualities"] == [30, 30]]
    assert added["training"]["grey"]["steps"] == PROGRESS["steps"]
    assert [variant for variant in variants if variant is not added] == others
    assert [variant["qualities"] for variant in variants] == sorted(
        (variant["qualities"] for variant in variants), key=lambda found: (found[0] != found[1], found)
    )  # the one for all of them comes last


@pytest.mark.slow
def test_a_network_is_blended_with_another(tmp_path: Path) -> None:
    model = MODELS["one-to-many"]
    (variant,) = model.variants
    assert variant.blend is not None
    states = {}
    for stage in ("q10-mean", "q10"):
        states[stage] = model.stages[stage].build().state_dict()
        checkpoint = tmp_path / "runs" / "one-to-many" / stage / "checkpoint.pt"
        checkpoint.parent.mkdir(parents=True)
        torch.save({"model": states[stage], "progress": PROGRESS}, checkpoint)
    command = ("--model", "one-to-many", "--runs", tmp_path / "runs", "--engines", tmp_path)
    assert run("export", *command).returncode == 0
    (entry,) = json.loads((tmp_path / "manifest.json").read_text())["models"]["one-to-many"]["variants"]
    assert entry["training"]["grey"]["blended"] == {"stage": "q10-mean", "weight": variant.blend.weight}
    found = initializers(tmp_path / "one-to-many.grey.onnx")
    blended = torch.lerp(states["q10"]["down_sample.weight"], states["q10-mean"]["down_sample.weight"], 0.15)
    alone = states["q10"]["merge.weight"]  # the baseline has none
    for name, expected in (("down_sample.weight", blended), ("merge.weight", alone)):
        weight = next(array for key, array in found.items() if key.startswith(f"network.{name}"))
        np.testing.assert_allclose(weight.astype(np.float32), expected.numpy(), atol=2e-3)
    (tmp_path / "runs" / "one-to-many" / "q10-mean" / "checkpoint.pt").unlink()
    assert "no checkpoints of a whole network" in run("export", *command).stderr


@pytest.mark.slow
def test_what_another_network_has_gained_is_added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from exporting import Exporter

    gained = Gained("l4", "q20", "q30", 0.5)
    variant = Variant(None, "q10", "q10", gained=gained)
    states = {}
    for seed, stage in enumerate(("q10", "q20", "q30")):
        torch.manual_seed(seed)
        states[stage] = L4(residual=True, chroma=True).state_dict()  # of few layers, for the exporter's sake
        checkpoint = tmp_path / "l4" / stage / "checkpoint.pt"
        checkpoint.parent.mkdir(parents=True)
        torch.save({"model": states[stage], "progress": PROGRESS}, checkpoint)
    exporter = Exporter("l4", replace(MODELS["l4"], variants=(variant,)), tmp_path, tmp_path)
    assert exporter.variants() == [variant]
    entry = exporter.export(variant, exporter.networks(variant), tmp_path)
    assert entry["training"]["grey"]["gained"] == asdict(gained)
    name, weight = next((name, weight) for name, weight in states["q10"].items() if weight.ndim == 4)
    expected = weight + 0.5 * (states["q30"][name] - states["q20"][name])
    weights = initializers(tmp_path / "l4.grey.onnx")
    (found,) = (array for key, array in weights.items() if key.startswith(f"network.{name}"))
    np.testing.assert_allclose(found.astype(np.float32), expected.numpy(), atol=2e-3)
    (tmp_path / "l4" / "q20" / "checkpoint.pt").unlink()
    with pytest.raises(ModelError, match="no checkpoints of a whole network"):
        exporter.variants()


def test_a_missing_checkpoint_is_one_line(tmp_path: Path) -> None:
    done = run("export", "--model", "l8", "--runs", tmp_path / "runs", "--engines", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("export: ")
    assert "no checkpoint" in done.stderr
    assert str(tmp_path / "runs" / "l8") in done.stderr
    assert "run scripts/train.py --model l8 first" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_cut_checkpoint_of_one_variant_leaves_all_graphs_and_the_manifest_as_they_were(tmp_path: Path) -> None:
    runs, engines = tmp_path / "runs", tmp_path / "engines"
    for stage in ("q10", "q20"):
        checkpoint = runs / "l4" / stage / "checkpoint.pt"
        checkpoint.parent.mkdir(parents=True)
        torch.save({"model": L4(residual=True, chroma=True).state_dict(), "progress": PROGRESS}, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    engines.mkdir()
    for name in ("manifest.json", "l4-q10.grey.onnx", "l4-q20.grey.onnx"):
        shutil.copy(catalogue.shipped_folder() / name, engines)
    before = {path.name: path.read_bytes() for path in engines.iterdir()}
    done = run("export", "--model", "l4", "--runs", runs, "--engines", engines)
    assert done.stderr.startswith(f"export: {checkpoint}: not a checkpoint of this network")
    assert {path.name: path.read_bytes() for path in engines.iterdir()} == before


def test_files_are_replaced_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from export import replacing

    names = ("a.onnx", "manifest.json", "z.npz")
    with replacing(tmp_path / "engines") as folder:
        for name in names:
            (folder / name).write_text("old")
    with pytest.raises(OSError, match="full"), replacing(tmp_path / "engines") as folder:
        (folder / "a.onnx").write_text("new")
        raise OSError("the disk is full")
    assert {path.name: path.read_text() for path in (tmp_path / "engines").iterdir()} == dict.fromkeys(names, "old")


def test_another_networks_checkpoint_is_one_line(tmp_path: Path) -> None:
    checkpoint = tmp_path / "l8" / "q20" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    torch.save({"model": {"layer.weight": torch.zeros(1)}, "progress": PROGRESS}, checkpoint)
    done = run("export", "--model", "l8", "--runs", tmp_path, "--engines", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"export: {checkpoint}: not a checkpoint of this network")
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.slow
def test_a_stage_of_no_shipped_graph_goes_to_the_ablations(network: Stream, tmp_path: Path) -> None:
    checkpoint = tmp_path / "runs" / "stream-lite" / "whole" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    torch.save({"model": network.state_dict(), "progress": PROGRESS}, checkpoint)
    words = ("--model", "stream-lite", "--runs", tmp_path / "runs", "--engines", tmp_path)
    done = run("export", *words, "--stage", "whole")
    assert done.returncode == 0, done.stderr
    found = catalogue.read_manifest(tmp_path / "ablations")["stream-lite-whole"]
    (variant,) = found.variants
    assert list(variant.graphs) == ["grey"]
    assert variant.graphs["grey"].path() == tmp_path / "ablations" / "stream-lite-whole.grey.onnx"
    assert (variant.training["grey"]["steps"], found.parameters) == (12, sum(p.numel() for p in network.parameters()))
    assert not (tmp_path / "manifest.json").exists()
    assert "has no stage 'none'" in run("export", *words, "--stage", "none").stderr
