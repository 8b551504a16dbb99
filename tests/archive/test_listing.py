"""Sources to recordings, and the names of what they become."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mjpeg_restore.archive import list_recordings
from mjpeg_restore.errors import MissingExtra, SourceError, SourceNotFound
from tests.lacking import needs


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recordings, which is also where the command is called."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "rec/a/1.avi",
        "rec/a/2.mjpeg",
        "rec/b/1.avi",
        "rec/b/.hidden.avi",
        "rec/.trash/0.avi",
        "rec/still.JPG",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * len(name))
    return tmp_path


def names(sources: Sequence[object], destination: object = "out") -> dict[str, str]:
    """The restored files' names by those of the recordings."""
    found = list_recordings([str(source) for source in sources], str(destination), ".mkv")
    return {recording.name: recording.output for recording in found}


WHOLE = {"a/1.avi": "a/1.mkv", "a/2.mjpeg": "a/2.mkv", "b/1.avi": "b/1.mkv", "still.JPG": "still.png"}


@pytest.mark.parametrize("source", ["rec", "rec/", "./rec", "ABSOLUTE", "FILE"])
def test_a_folder_with_all_that_is_not_hidden(tree: Path, source: str) -> None:
    given = {"ABSOLUTE": str(tree / "rec"), "FILE": f"file://{tree}/rec"}.get(source, source)
    assert names([given]) == WHOLE


def test_a_pattern_keeps_what_follows_the_folder_before_its_first_wildcard(tree: Path) -> None:
    assert names(["rec/*/1.avi"]) == {"a/1.avi": "a/1.mkv", "b/1.avi": "b/1.mkv"}
    assert set(names(["**/*.avi"])) == {"rec/a/1.avi", "rec/b/1.avi"}


def test_a_file(tree: Path) -> None:
    assert names(["rec/a/2.mjpeg"]) == {"2.mjpeg": "2.mkv"}


def test_a_list_keeps_what_follows_the_folder_that_all_share(tree: Path) -> None:
    Path("list.txt").write_text(f"{tree}/rec/a/1.avi\n\n  {tree}/rec/b/1.avi  \n")
    assert names(["@list.txt"]) == {"a/1.avi": "a/1.mkv", "b/1.avi": "b/1.mkv"}
    Path("list.txt").write_text("rec/a/1.avi\nrec/a/2.mjpeg\n")
    assert set(names(["@list.txt"])) == {"1.avi", "2.mjpeg"}


def test_a_file_that_is_named_twice_counts_once(tree: Path) -> None:
    assert names(["rec", "rec/still.JPG"]) == WHOLE


def test_two_recordings_of_one_name_are_refused(tree: Path) -> None:
    with pytest.raises(SourceError, match=r"rec/a/1\.avi and rec/b/1\.avi would both be restored as 1\.avi"):
        names(["rec/a", "rec/b"])


def test_names_that_differ_by_their_extension_keep_it(tree: Path) -> None:
    Path("rec/a/1.MOV").write_bytes(b"x")
    found = names(["rec"])
    assert found["a/1.avi"] == "a/1.avi.mkv"
    assert found["a/1.MOV"] == "a/1.MOV.mkv"
    assert found["b/1.avi"] == "b/1.mkv"


def test_the_destination_below_a_source_is_no_source(tree: Path) -> None:
    Path("rec/out").mkdir()
    Path("rec/out/a.mkv").write_bytes(b"x")
    assert names(["rec"], "rec/out") == WHOLE


def test_a_source_may_be_below_the_destination(tree: Path) -> None:
    assert names(["rec"], ".") == WHOLE


def test_a_destination_that_is_the_source_is_refused(tree: Path) -> None:
    with pytest.raises(SourceError, match="rec is the destination, too"):
        names(["rec"], "./rec/")


@pytest.mark.parametrize("source", ["none", "none*", "@none", "rec\0"])
def test_what_does_not_exist(tree: Path, source: str) -> None:
    with pytest.raises(SourceError):
        names([source])


def test_a_list_that_names_what_does_not_exist(tree: Path) -> None:
    Path("list.txt").write_text("rec/a/1.avi\nnone.avi\n")
    with pytest.raises(SourceNotFound, match=r"list\.txt lists none\.avi: no such file"):
        names(["@list.txt"])


def test_urls_are_listed_like_folders(tree: Path) -> None:
    needs("fsspec")
    memory = __import__("fsspec").filesystem("memory")
    memory.store.clear()
    for name in ("/bucket/rec/a/1.avi", "/bucket/rec/a/2.mjpeg", "/bucket/rec/b/1.avi", "/bucket/rec/.x/1.avi"):
        memory.pipe(name, b"x")
    memory.pipe("/bucket/rec/still.JPG", b"x")
    assert names(["memory://bucket/rec"], "memory://bucket/out") == WHOLE
    assert set(names(["memory://bucket/rec/*/1.avi"])) == {"a/1.avi", "b/1.avi"}
    Path("list.txt").write_text("memory://bucket/rec/a/1.avi\nmemory://bucket/rec/b/1.avi\n")
    assert set(names(["@list.txt"])) == {"a/1.avi", "b/1.avi"}


def test_a_store_whose_package_is_missing() -> None:
    needs("fsspec")
    with pytest.raises((MissingExtra, SourceError), match="none-such"):
        names(["none-such://bucket/rec"])


@pytest.mark.parametrize(
    ("url", "package"),
    [("s3://b/rec", "s3fs"), ("gs://b/rec", "gcsfs"), ("sftp://h/rec", "paramiko"), ("http://h/rec", "aiohttp")],
)
def test_the_package_of_a_store_is_named(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("fsspec")
    monkeypatch.setitem(sys.modules, package, None)
    for module in [name for name in sys.modules if name.startswith("fsspec.implementations.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, url.partition(":")[0], False)
    with pytest.raises(MissingExtra, match=rf"needs {package}: pip install {package}$"):
        names([url])


def test_a_store_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("fsspec")
    monkeypatch.setitem(sys.modules, "smbprotocol", None)
    monkeypatch.setitem(sys.modules, "smbclient", None)
    with pytest.raises(SourceError, match=r"^smb:// needs a package that is not installed \(SMB requires"):
        names(["smb://host/rec"])


def test_urls_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"s3:// needs fsspec: pip install fsspec .*mjpeg-restore\[remote\]"):
        names(["s3://bucket/rec"])
