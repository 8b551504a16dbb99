"""`mjpeg-restore build`: engines of TensorRT, ahead of their first use."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Generator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from mjpeg_restore import catalogue
from mjpeg_restore.errors import RuntimeUnavailable
from mjpeg_restore.runtime.base import Progress
from mjpeg_restore.runtime.tensorrt.builder import Built, Plan
from mjpeg_restore.runtime.tensorrt.package import Package, load_package
from tests.cli.command import COMMAND, run
from tests.lacking import needs, needs_sigint, needs_tensorrt_rtx
from tests.patience import PATIENCE

pytestmark = needs_tensorrt_rtx
needs("onnx")

ADA = ["--compute-capability", "8.9"]


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    monkeypatch.setattr("mjpeg_restore.runtime.cuda.device.gpu_present", lambda: False)
    load_package.cache_clear()
    yield
    load_package.cache_clear()


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Plans of engines of graphs as they are shipped, whose building takes no time."""
    found: list[Plan] = []

    def build(plan: Plan, package: Package, progress: Progress, *_: object) -> Built:
        found.append(plan)
        return Built(b"engine", b"")

    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.engines.build", build)
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.engines.for_tensorrt", lambda graph, **_: graph)
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_engines_are_built_and_then_are_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["build", "decode", *ADA, "--engine-cache", tmp_path / "engines"]
    code, out, _ = run(words, capfd)
    assert code == 0
    grey, colour = out.splitlines()
    assert re.fullmatch(r"decode\.grey, compute capability 8\.9: \d\.\d MB, built in \d+\.\d s", grey)
    assert colour.startswith("decode.colour, ")
    assert len(files(tmp_path / "engines")) == 2
    code, out, err = run([*words, "--json"], capfd)
    assert (code, err) == (0, "")
    first, _ = json.loads(out)
    assert Path(first["file"]).name in files(tmp_path / "engines")
    assert (first["graph"], first["device"], first["built"], first["error"]) == (
        "decode.grey",
        "tensorrt-rtx",
        False,
        None,
    )
    assert run([*words, "-q"], capfd) == (0, "", "")


def test_all_models_for_several_compute_capabilities(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], plans: list[Plan]
) -> None:
    code, out, _ = run(["build", *ADA, "12.0", "--engine-cache", tmp_path], capfd)
    graphs = [
        graph.file.removesuffix(".onnx")
        for model in catalogue.models().values()
        for variant in model.variants
        for graph in variant.graphs.values()
    ]
    assert code == 0
    assert [plan.name for plan in plans] == graphs * 2
    assert [plan.target.capability for plan in plans] == [(8, 9)] * len(graphs) + [(12, 0)] * len(graphs)
    assert len(out.splitlines()) == 2 * len(graphs)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 4, r"no GPU is here to build for: name its --compute-capability \(.*8\.9, 12\.0.*\)"),
        (
            ["--compute-capability", "9.0"],
            4,
            r"TensorRT-RTX \S+ builds nothing for compute capability 9\.0, only for .*8\.9.*",
        ),
        (["unknown", *ADA], 4, "no model 'unknown'; there are decode, stream, .*"),
        (["--compute-capability", "ada"], 2, ".*'ada' is not a compute capability such as 8.9; see .*"),
        (["--device", "onnxruntime"], 2, ".*--device: invalid choice: 'onnxruntime'.*"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    capfd: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    try:
        found, out, err = run(["build", *words], capfd)
    except SystemExit as ended:
        found, (out, err) = ended.code, capfd.readouterr()
    assert (found, out) == (code, "")
    assert re.fullmatch(f"mjpeg-restore: {told}\n", err)


def test_nothing_is_installed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.package.find_spec", lambda _: None)
    code, _, err = run(["build"], capfd)
    assert code == 4
    assert "mjpeg-restore[tensorrt-rtx]" in err
    code, _, err = run(["build", "--device", "tensorrt"], capfd)
    assert code == 4
    assert err.endswith("needs tensorrt: pip install tensorrt (the extra mjpeg-restore[tensorrt])\n")


def test_one_engine_that_cannot_be_built_does_not_keep_the_others_from_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(plan: Plan, *_: object) -> Built:
        if plan.name == "decode.grey":
            raise RuntimeUnavailable("no memory")
        return Built(b"engine", b"")

    monkeypatch.setattr("mjpeg_restore.runtime.tensorrt.engines.build", build)
    code, out, err = run(["build", "decode", *ADA, "--engine-cache", tmp_path, "--json"], capfd)
    assert code == 4
    assert err == "mjpeg-restore: no memory\n"
    assert [(one["graph"], one["error"]) for one in json.loads(out)] == [
        ("decode.grey", "no memory"),
        ("decode.colour", None),
    ]


@pytest.mark.usefixtures("plans")
def test_an_engine_that_cannot_be_kept_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    code, out, err = run(["build", "decode", *ADA, "--engine-cache", tmp_path / "file"], capfd)
    assert (code, out) == (5, "")
    # Before them there may be progress, and complaints of other packages' handlers of the log, whose stream is gone.
    *_, warning, error = [line for line in err.splitlines() if line.startswith("mjpeg-restore: ")]
    assert "cannot write to" in warning
    assert error.startswith("mjpeg-restore: decode.grey was built, and could not be kept in ")


@needs_sigint
def test_ctrl_c_cancels_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    words = ["build", "decode", "qgac", *ADA, "--engine-cache", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()  # qgac takes longer
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.endswith("mjpeg-restore: stopped\n")
    assert "Traceback" not in err
    assert [name for name in files(tmp_path) if not name.startswith("decode.")] == []


# ---- with a GPU ----


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def there(*found: tuple[str, tuple[int, int]]) -> None:
        cards = [SimpleNamespace(name=name, capability=number, current=nullcontext) for name, number in found]
        monkeypatch.setattr("mjpeg_restore.cli.build.gpus", lambda: cards)

    return there


def test_each_kind_of_gpu_gets_its_engines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], plans: list[Plan], gpus: Callable[..., None]
) -> None:
    gpus(("NVIDIA L4", (8, 9)), ("NVIDIA GeForce RTX 4090", (8, 9)), ("NVIDIA GeForce RTX 5090", (12, 0)))
    code, _, _ = run(["build", "l8", "--engine-cache", tmp_path], capfd)
    assert code == 0
    assert [(plan.name, plan.target.capability) for plan in plans] == [("l8.grey", (8, 9)), ("l8.grey", (12, 0))]


def test_a_gpu_that_the_package_does_not_support(capfd: pytest.CaptureFixture[str], gpus: Callable[..., None]) -> None:
    gpus(("NVIDIA H100 80GB HBM3", (9, 0)))
    code, _, err = run(["build", "l8"], capfd)
    assert code == 4
    assert "builds nothing for compute capability 9.0, only for" in err


# ---- the script ----


def test_the_script_builds_of_another_folder(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "build_engines.py"
    words = ["decode", *ADA, "--precision", "fp32", "--engine-cache", str(tmp_path), "--json"]
    engines = catalogue.shipped_folder()
    command = [COMMAND[0], str(script), "--engines", str(engines), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [one["graph"] for one in json.loads(done.stdout)] == ["decode.grey", "decode.colour"]
    assert all("-fp32-" in name for name in files(tmp_path))
    command[command.index("decode")] = "unknown"
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("no model 'unknown' in ")
