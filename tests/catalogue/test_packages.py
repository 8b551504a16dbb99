"""Models of other packages: found without running their code, and left out with one line if they are faulty."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from mjpeg_restore import Restorer, catalogue
from mjpeg_restore.errors import ModelCorrupt, UnknownModel
from tests.catalogue.fake_package import ENTRY_POINT, METADATA, entry, fill, install, manifest

RAISING = "raise RuntimeError('imported')\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where Python looks for packages."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def acme(place: Path) -> Path:
    """A package with a model, "acme-models/plain"; the folder of its manifest."""
    install(place)
    return fill(place / "acme_models", manifest())


def found(name: str = "acme-models") -> catalogue.ModelPackage:
    """A package of that name."""
    (package,) = (one for one in catalogue.packages() if one.name == name)
    return package


def fault() -> str:
    """Why the package cannot be used: the same for whoever asks, in one line, and without harm to others."""
    package = found()
    assert package.fault and not package.models
    assert package.fault.startswith("the package acme-models 1.2 cannot be used: ")
    assert package.fault.isprintable()
    with pytest.raises(ModelCorrupt, match=f"^{re.escape(package.fault)}$"):
        Restorer("acme-models/plain")
    assert [name for name in catalogue.models() if not name.startswith("acme")][:2] == ["decode", "stream"]
    assert catalogue.find("stream").name == "stream"
    return package.fault


def test_its_models_follow_the_shipped_ones(acme: Path) -> None:
    names = [*catalogue.models()]
    assert names[: len(catalogue.shipped())] == [*catalogue.shipped()]
    assert "acme-models/plain" in names
    assert (found().version, found().fault, [*found().models]) == ("1.2", None, ["acme-models/plain"])
    model = catalogue.find("acme-models/plain")
    assert (model.name, model.package, model.folder) == ("acme-models/plain", "acme-models", acme)
    assert Restorer("acme-models/plain").model == model


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("package", ["Acme_Models", "acme.models", "ACME--models"])
def test_a_package_has_several_spellings(package: str) -> None:
    assert catalogue.find(f"{package}/plain").name == "acme-models/plain"


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plain", "no model 'plain'; there are decode, stream, .*acme-models/plain"),
        ("acme-models/soft", "no model 'acme-models/soft'; that package brings acme-models/plain"),
        ("acme-models/", "no model 'acme-models/'; that"),
        ("acme/plain", "no model 'acme/plain': no package 'acme' is installed that brings models"),
        ("numpy/plain", "no package 'numpy' is installed that brings models"),
        ("/plain", "no package '' is installed"),
        ("../x.onnx", "no package '..' is installed"),
    ],
)
def test_an_unknown_model_is_named(name: str, told: str) -> None:
    with pytest.raises(UnknownModel, match=told):
        catalogue.find(name)


def test_its_code_does_not_run(acme: Path) -> None:
    (acme / "__init__.py").write_text(RAISING)
    assert catalogue.find("acme-models/plain").folder == acme
    assert "acme_models" not in sys.modules


def test_a_folder_inside_of_a_package_is_named_with_dots(place: Path) -> None:
    install(place, points="[mjpeg_restore.models]\nx = acme.for_jpeg.models")
    folder = fill(place / "acme" / "for_jpeg" / "models", manifest())
    (place / "acme" / "__init__.py").write_text(RAISING)
    assert catalogue.find("acme-models/plain").folder == folder


def test_a_namespace_may_be_in_several_places(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(place / "second", points="[mjpeg_restore.models]\nx = acme.models")
    folder = fill(place / "second" / "acme" / "models", manifest())
    (place / "first" / "acme" / "tools").mkdir(parents=True)
    for name in ("second", "first"):
        monkeypatch.syspath_prepend(place / name)
    assert catalogue.find("acme-models/plain").folder == folder


def test_several_entry_points_and_packages(acme: Path, place: Path) -> None:
    install(place, "zinc", points="[mjpeg_restore.models]\na = zinc_a\nb = zinc_b\n[console_scripts]\nzinc = zinc:main")
    fill(place / "zinc_a", manifest())
    fill(place / "zinc_b", {"schema": 1, "models": {"other": entry()}})
    assert [*found("zinc").models] == ["zinc/plain", "zinc/other"]
    assert [one.name for one in catalogue.packages() if one.name in ("acme-models", "zinc")] == ["acme-models", "zinc"]


def test_of_two_copies_it_is_the_one_that_python_imports(
    acme: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path_factory.mktemp("first")
    install(first, version="2.0")
    fill(first / "acme_models", manifest())
    monkeypatch.syspath_prepend(first)
    assert found().version == "2.0"
    assert catalogue.find("acme-models/plain").folder == first / "acme_models"


@pytest.mark.usefixtures("acme")
def test_damaged_metadata_of_others_is_none_of_our_business(place: Path) -> None:
    install(place, "latin", points=b"[mjpeg_restore.models]\nx = \xe9\n")
    (install(place, "nameless") / "METADATA").unlink()
    (place / "empty-1.0.dist-info").mkdir()
    (install(place, "unnamed") / "METADATA").write_text("Metadata-Version: 2.1\n")
    brought = {one.name for one in catalogue.packages()}
    assert "acme-models" in brought
    assert not brought & {"latin", "nameless", "empty", "unnamed"}
    for name in ("latin", "nameless", "empty", "unnamed"):
        with pytest.raises((UnknownModel, ModelCorrupt), match=name):
            catalogue.find(f"{name}/plain")


# ---- faulty packages ----


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ("[mjpeg_restore.models]\nmodels", "its entry_points.txt is malformed"),
        ("[mjpeg_restore.models]\nmodels =", "its entry point 'models' is '', not the name of a package"),
        ("[mjpeg_restore.models]\nmodels = acme_models:folder", "'models' is 'acme_models:folder', not the name of a"),
        ("[mjpeg_restore.models]\nmodels = ../acme_models", "is '../acme_models', not the name"),
        (
            "[mjpeg_restore.models]\nm = acme_model",
            "its entry point 'm' names 'acme_model', and there is no package of that",
        ),
        ("[mjpeg_restore.models]\nm = json.decoder", "json/decoder has no manifest.json"),
        ("[mjpeg_restore.models]\nm = sys", "names 'sys', and there is no package"),
        ("[mjpeg_restore.models]\nm = __main__", "names '__main__', and there is no package"),
        (f"{ENTRY_POINT}again = acme_models", "two of its models are called acme-models/plain"),
    ],
)
@pytest.mark.usefixtures("acme")
def test_an_entry_point_that_leads_nowhere(place: Path, points: str, told: str) -> None:
    (place / "acme_models-1.2.dist-info" / "entry_points.txt").write_text(points)
    assert told in fault().replace("\\", "/")


def test_a_manifest_or_a_graph_that_was_not_packed(acme: Path) -> None:
    (acme / "decode.colour.onnx").unlink()
    assert f"{acme / 'decode.colour.onnx'} is missing, which the manifest names" in fault()
    (acme / "manifest.json").unlink()
    assert f"{acme} has no manifest.json" in fault()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "Expecting value"),
        (manifest() | {"schema": 2}, "its schema is 2: upgrade mjpeg-restore, which knows 1"),
        (manifest() | {"licence": "MIT"}, "the file has the unknown key 'licence'; known: schema, models"),
        (
            {"schema": 1, "models": {"a": entry() | {"speed": 1}}},
            "models.a has the unknown key 'speed'; known: summary,",
        ),
    ],
)
def test_a_manifest_that_is_none(acme: Path, content: Any, told: str) -> None:
    fill(acme, content)
    message = fault()
    assert f"{acme / 'manifest.json'}: " in message
    assert told in message
    assert "reinstall" not in message


def test_a_manifest_that_is_too_large_is_not_read(acme: Path) -> None:
    with (acme / "manifest.json").open("wb") as file:
        file.truncate(2**30)  # sparse
    assert fault().endswith("manifest.json: it is larger than 16 MiB")


def test_a_folder_that_may_not_be_looked_at(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.is_file

    def is_file(path: Path) -> bool:
        if path.parent == acme:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    assert fault().endswith(f"cannot be used: {acme / 'manifest.json'}: Permission denied")


def test_an_import_hook_that_fails_is_the_packages_fault(
    place: Path, acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hook:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name == "acme_models":
                raise OSError("no server")

    monkeypatch.setattr(sys, "meta_path", [Hook, *sys.meta_path])
    assert "names 'acme_models', and there is no package" in fault()


@pytest.mark.usefixtures("acme")
def test_a_package_without_models_is_not_faulty(place: Path) -> None:
    fill(place / "acme_models", {"schema": 1, "models": {}})
    assert found().fault is None
    with pytest.raises(UnknownModel, match="that package brings none"):
        catalogue.find("acme-models/plain")


def test_an_altered_graph_is_the_packages_to_reinstall(acme: Path) -> None:
    (acme / "decode.grey.onnx").write_bytes(b"")
    graph = catalogue.find("acme-models/plain").variants[0].graphs["grey"]
    with pytest.raises(ModelCorrupt, match="not the file that the manifest describes; reinstall acme-models"):
        graph.path()
    assert graph.label == "acme-models/decode.grey.onnx"


def test_the_metadata_has_a_name(place: Path) -> None:
    """As some build backends write it."""
    (install(place) / "METADATA").write_text(METADATA.format("ACME.Models", "3"))
    fill(place / "acme_models", manifest())
    assert found().version == "3"
    assert [*found().models] == ["acme-models/plain"]
