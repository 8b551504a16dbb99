"""Sources to recordings, and the names of what they become."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mjpeg_restore.archive import Destination, list_recordings
from mjpeg_restore.archive.store import named
from mjpeg_restore.errors import MissingExtra, SinkError, SourceError, SourceNotFound
from tests.lacking import needs, needs_folders_that_vanish


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


@needs_folders_that_vanish
def test_a_relative_destination_where_the_current_folder_is_gone(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "gone").mkdir()
    monkeypatch.chdir(tree / "gone")
    (tree / "gone").rmdir()
    with pytest.raises(SinkError, match=r"^out: the current folder is gone .*: go to another$"):
        names([tree / "rec"])
    assert len(names([tree / "rec"], tree / "out")) == 4


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


def test_a_list_saved_by_an_editor_of_windows(tree: Path) -> None:
    text = "rec/a/1.avi\r\nrec/b/1.avi\r\n"
    Path("list.txt").write_bytes(text.encode("utf-8-sig"))
    assert set(names(["@list.txt"])) == {"a/1.avi", "b/1.avi"}
    Path("list.txt").write_bytes(text.encode("utf-16"))
    with pytest.raises(SourceError, match=r"^list\.txt is text in UTF-16: save it as UTF-8$"):
        names(["@list.txt"])


def test_in_windows_no_file_has_the_name_of_a_pattern(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(OSError):
        winerror = 123

    def refused(path: str) -> os.stat_result:
        if "*" in path:
            raise Refused(errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", path)
        return os.stat(path)

    system = {name: getattr(os, name) for name in dir(os)}
    monkeypatch.setattr("mjpeg_restore.archive.local.os", SimpleNamespace(**system | {"stat": refused}))
    assert set(names(["rec/a/*.avi"])) == {"1.avi"}
    with pytest.raises(SourceNotFound, match="no file matches"):
        names(["rec/none/*.avi"])


def test_a_list_that_names_what_does_not_exist(tree: Path) -> None:
    Path("list.txt").write_text("rec/a/1.avi\nnone.avi\n")
    with pytest.raises(SourceNotFound, match=r"list\.txt lists none\.avi: no such file: correct"):
        names(["@list.txt"])


def test_a_list_that_names_a_folder(tree: Path) -> None:
    Path("list.txt").write_text("rec/a/1.avi\n  rec/b\n")
    with pytest.raises(SourceError, match=r"^list\.txt lists rec/b, which is a folder: list its files, or give the"):
        names(["@list.txt"])


def test_a_variable_that_is_not_set(tree: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"^a source has an empty name: is a variable unset\?$"):
        names(["rec", ""])


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


class Web:
    """A web server's folder as fsspec shows it, whose errors are an HTTP library's."""

    protocol = ("http", "https")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def isdir(self, path: str) -> bool:
        if path.endswith("down"):
            raise RuntimeError("503, message='Service Unavailable'")
        return True

    def _strip_protocol(self, path: str) -> str:
        return path

    def find(self, folder: str, **options: object) -> dict[str, dict[str, object]]:
        return {name: {"name": name, "size": 1, "type": "file"} for name in self.names}


def test_names_of_a_web_server(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("fsspec")
    url = "http://nas/rec"
    listed = [f"{url}/north%20gate/1.avi", f"{url}/%23%C3%BC.avi"]
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda location: (Web(listed), location))
    assert names([url]) == {"north gate/1.avi": "north gate/1.mkv", "#ü.avi": "#ü.mkv"}
    with pytest.raises(SourceError, match=r"cannot read http://nas/down: 503, message='Service Unavailable'"):
        names(["http://nas/down"])
    listed[0] = f"{url}/a%2f..%2f..%2f1.avi"
    with pytest.raises(SourceError, match="outside of the destination"):
        names([url])


def test_the_package_that_a_store_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("fsspec")

    def fail(location: str) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", fail)
    for url, package in {"gs://a": "gcsfs", "SFTP://a": "paramiko", "https://a": "aiohttp", "s3://a": "s3fs"}.items():
        with pytest.raises(MissingExtra, match=f"pip install {package}$"):
            names([url])
    with pytest.raises(SourceError, match=r"cannot use box:// \(Please install"):
        names(["box://a"])


def test_a_store_whose_package_is_missing() -> None:
    needs("fsspec")
    with pytest.raises((MissingExtra, SourceError), match="none-such"):
        names(["none-such://bucket/rec"])


def test_urls_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"s3:// needs fsspec: pip install fsspec .*mjpeg-restore\[remote\]"):
        names(["s3://bucket/rec"])


@pytest.mark.parametrize("source", ["rec/a/1.avi", "rec/a/*.avi", "@list.txt"])
def test_a_recording_is_never_replaced_by_a_restored_one(tree: Path, source: str) -> None:
    Path("list.txt").write_text("rec/a/1.avi\n")
    os.symlink("rec/a", "link")
    for destination in ("rec/a", "link", str(tree / "rec" / "a")):
        with pytest.raises(SourceError, match=r"rec/a/1\.avi would replace: give another folder"):
            list_recordings([source], destination, ".avi")
    assert list_recordings([source], "rec/a", ".mkv")[0].output == "1.mkv"


def test_the_destination_below_a_patterns_folder_is_no_source(tree: Path) -> None:
    Path("rec/out/a").mkdir(parents=True)
    Path("rec/out/a/1.avi").write_bytes(b"x")
    assert set(names(["rec/**/*.avi"], "rec/out")) == {"a/1.avi", "b/1.avi"}
    assert set(names(["**/*.avi"], "rec/out")) == {"rec/a/1.avi", "rec/b/1.avi"}


def test_a_list_with_paths_of_both_sides(tree: Path) -> None:
    (tree / "work").mkdir()
    os.chdir("work")
    Path("here.avi").write_bytes(b"x")
    Path("list.txt").write_text("../rec/a/1.avi\nhere.avi\n./../rec//b/1.avi\n")
    assert set(names(["@list.txt"])) == {"rec/a/1.avi", "work/here.avi", "rec/b/1.avi"}
    Path("list.txt").write_text("here.avi\nmemory://bucket/rec/a/1.avi\n")
    with pytest.raises(SourceError, match="lists paths and URLs"):
        names(["@list.txt"])


def test_a_name_that_leads_out_of_the_destination(tree: Path) -> None:
    with pytest.raises(SourceError, match="outside of the destination"):
        names(["rec/*/../../rec/still.JPG"])


def test_links_that_lead_back(tree: Path) -> None:
    for name, target in {"rec/round": ".", "rec/a/up": "..", "rec/itself": "itself"}.items():
        os.symlink(target, name)
    assert names(["rec"]) == WHOLE
    assert names(["rec/**"]) == names(["rec/**/*"]) == names([f"{tree}/rec/**"]) == WHOLE
    assert set(names(["rec/**/a/**/*.avi"])) == {"a/1.avi"}


def test_a_folder_that_cannot_be_read_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path == "rec/a":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    for source in ("rec", "rec/**"):
        with pytest.raises(SourceError, match="cannot read rec/a: Permission denied"):
            names([source])


def test_a_folder_that_goes_meanwhile(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def remove(path: str) -> Any:
        if path == "rec/b":
            shutil.rmtree(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", remove)
    assert set(names(["rec"])) == {"a/1.avi", "a/2.mjpeg", "still.JPG"}


def test_a_longer_name_that_is_another_ones(tree: Path) -> None:
    for name in ("1.mov", "1.avi.mov"):
        (tree / "rec/a" / name).write_bytes(b"x")
    assert names(["rec/a"]) == {
        "1.avi": "1.avi.mkv",
        "1.mov": "1.mov.mkv",
        "1.avi.mov": "1.avi.mov.mkv",
        "2.mjpeg": "2.mkv",
    }


def test_a_name_that_is_a_folder_of_others(tree: Path) -> None:
    Path("rec/A.mkv").mkdir()
    for name in ("a.avi", "A.mkv/x.avi"):
        Path("rec", name).write_bytes(b"x")
    assert names(["rec"]) == {"a.avi": "a.avi.mkv", "A.mkv/x.avi": "A.mkv/x.mkv", **WHOLE}


@pytest.mark.parametrize("name", ["a ", " a", "a\u2028b.avi", "a\x0bb.avi", "a\rb.avi", "b.avi\r"])
def test_a_list_of_names_with_unusual_characters(tree: Path, name: str) -> None:
    Path("rec/a", name).write_bytes(b"x")
    Path("list.txt").write_bytes(f"rec/a/1.avi\r\n{tree}/rec/a/{name}\n".encode())
    assert set(names(["@list.txt"])) == {"1.avi", name}
    Path("list.txt").write_bytes(f"{name}\n".encode())
    os.chdir("rec/a")
    assert set(names(["@../../list.txt"])) == {name}


def test_two_colons_alone_make_no_url(tree: Path) -> None:
    Path("cam::1.avi").write_bytes(b"x")
    assert names(["cam::1.avi"], "out::x") == {"cam::1.avi": "cam::1.mkv"}
    assert Destination("out::x").location == f"{tree}/out::x"


@pytest.mark.parametrize("url", ["simplecache::memory://bucket/rec", "zip://rec::/tmp/rec.zip"])
def test_chained_urls_are_refused(tree: Path, url: str) -> None:
    needs("fsspec")
    for read in (lambda: names([url]), lambda: Destination(url).read_text("manifest.jsonl")):
        with pytest.raises(SourceError, match=rf"^{url}.*: a URL with :: cannot be used: give one of a single store$"):
            read()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("secretive://bob:hu/sh@host:22/rec", "secretive://host:22/rec"),
        ("secretive://bob:hu?sh@host", "secretive://host"),
        ("secretive://bob:hu#sh@host/rec", "secretive://host/rec"),
    ],
)
def test_a_password_that_ends_the_host_too_early_is_not_told(url: str, told: str) -> None:
    needs("fsspec")
    with pytest.raises(SourceError, match=rf"^{told}: in a user name or password write %2F for /"):
        list_recordings([url], "out", ".mkv")


def test_an_at_sign_in_a_path_is_no_password() -> None:
    memory = needs("fsspec").filesystem("memory")
    memory.store.clear()
    memory.pipe("/host:22/a@b.avi", b"x")
    (found,) = list_recordings(["memory://host:22/a@b.avi"], "out", ".mkv")
    memory.store.clear()
    assert found.name == "a@b.avi"


@pytest.mark.parametrize("url", ["file://rec", "file://", "FILE://rec/a/1.avi", "file://nas/rec"])
def test_a_file_url_without_an_absolute_path(tree: Path, url: str) -> None:
    told = r"file:// takes an absolute path: three slashes"
    with pytest.raises(SourceError, match=rf"^cannot read {url}: {told}"):
        names([url])
    with pytest.raises(SinkError, match=rf"^{url}: {told}"):
        Destination(url)
    assert Destination(f"file://localhost{tree}/a%20b").location == f"{tree}/a b"


def test_what_is_neither_a_file_nor_a_folder(tree: Path) -> None:
    os.mkfifo("pipe.avi")
    with pytest.raises(SourceNotFound, match=r"^pipe\.avi: neither a file nor a folder$"):
        names(["pipe.avi"])


def test_the_root_of_a_store(tree: Path) -> None:
    memory = needs("fsspec").filesystem("memory")
    memory.store.clear()
    memory.pipe("/rec/a/1.avi", b"x")
    for url in ("memory://", "memory:///"):
        (found,) = list_recordings([url], "memory://out", ".mkv")
        assert (found.name, found.location) == ("rec/a/1.avi", "memory://rec/a/1.avi")
        assert Destination(url).path("rec/a.mkv") == "memory://rec/a.mkv"
        Destination(url).write_text(".text", url)
        assert memory.cat("/.text").decode() == url
    assert {path.name for path in tree.iterdir()} == {"rec"}


def test_locations_without_user_names_and_passwords() -> None:
    for location, told in {
        "sftp://bob:p@ss@host:22/rec/a@b#1.avi": "sftp://host:22/rec/a@b#1.avi",
        "sftp://bob@host/rec": "sftp://host/rec",
        "http://bob:pass@nas/1.avi?token=x&cam=2": "http://nas/1.avi?token=***&cam=2",
        "abfs://container@account.net/1.avi": "abfs://container@account.net/1.avi",
        "s3://bucket/user=5/a?.avi": "s3://bucket/user=5/a?.avi",
        "/rec/bob:x@y/1.avi": "/rec/bob:x@y/1.avi",
    }.items():
        assert named(location) == told
