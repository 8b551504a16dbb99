"""`load_settings`: a settings file, checked as a whole, so that all its mistakes are told at once."""

from __future__ import annotations

import glob
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from mjpeg_restore.address import DEFAULT_PORTS, Address, redact, without_scheme
from mjpeg_restore.errors import SettingsError, SourceError, reason_of
from mjpeg_restore.fleet import keys
from mjpeg_restore.fleet.mistakes import Mistakes, syntax_error
from mjpeg_restore.fleet.outputs import OutputReader
from mjpeg_restore.fleet.positions import KeyPath, Positions
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings, NetworkChoice, RunSettings
from mjpeg_restore.fleet.tables import TableReader
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.serve.address import parse_address
from mjpeg_restore.sinks import joined
from mjpeg_restore.sources import LiveSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEVICE = re.compile(r"v4l2:(?://)?", re.IGNORECASE)
_MOST = 1 << 20
"""Bytes of a settings file."""


def load_settings(
    path: str | os.PathLike[str],
    environment: Mapping[str, str] | None = None,
    *,
    serve: tuple[str, int] | None = None,
) -> FleetSettings:
    """Read and check a settings file; docs/cameras.md says what may stand in it.

    Args:
        path: the file. Relative paths in it begin in its folder.
        environment: the variables for `${NAME}`; those of the process if None.
        serve: host and port to serve at, in place of the file's.

    Raises:
        SettingsError: it cannot be read, or has mistakes: all of them.
    """
    file = os.fspath(path)
    text = _read(file)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise syntax_error(file, text, error) from None
    except RecursionError:
        raise SettingsError([f"{file}: its arrays or tables are nested too deeply"]) from None
    except ValueError:  # Python's limit for whole numbers, which tomllib does not expect
        raise SettingsError([f"{file}: a number in it has thousands of digits"]) from None
    folder = Path(os.path.abspath(file)).parent
    variables = os.environ if environment is None else environment
    reader = TableReader(folder, variables, Mistakes(file, Positions(text)))
    return _Loader(reader, content).load(serve)


def _read(file: str) -> str:
    try:
        with open(file, "rb") as opened:
            data = opened.read(_MOST + 1)
    except (OSError, ValueError) as error:
        raise SettingsError([f"{file}: {reason_of(error)}"]) from None
    if len(data) > _MOST:
        raise SettingsError([f"{file}: more than {_MOST} bytes are no settings file"])
    try:
        return data.decode("utf-8-sig")  # Windows' editors put a mark in front
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"{file}:{line}: not UTF-8: save it as such"]) from None


class _Loader:
    """Makes settings of the tables of one file."""

    def __init__(self, reader: TableReader, content: dict[str, Any]) -> None:
        self._reader, self._mistakes, self._content = reader, reader.mistakes, content
        self._run = RunSettings()
        self._defaults = reader.read(content.get("defaults", {}), ("defaults",), keys.OF_CAMERAS)
        self._outputs = OutputReader(reader, self._defaults)

    def load(self, serve: tuple[str, int] | None) -> FleetSettings:
        content = self._content
        for key in content:
            if key not in keys.OF_THE_FILE:
                self._mistakes.note((key,), keys.unknown(key, keys.OF_THE_FILE))
        self._run = self._run_settings(content.get("run", {}), serve)
        given = self._reader.table(content.get("cameras", {}), ("cameras",))
        if not given and not self._mistakes.noted(("cameras",)):
            self._mistakes.note(("cameras",), "there are none: begin with [cameras.NAME]")
        made = [self._camera(name, table) for name, table in given.items()]
        cameras = tuple(camera for camera in made if camera is not None)
        for camera in cameras:
            path = ("cameras", camera.name, "source")
            if (writer := self._outputs.writer(_identity(camera.source))) and not self._mistakes.noted(path):
                self._mistakes.note(path, f"cameras.{writer} writes there")
        self._mistakes.check()
        return FleetSettings(cameras, self._run, self._mistakes.remarks)

    def _run_settings(self, given: object, serve: tuple[str, int] | None) -> RunSettings:
        path = ("run",)
        table = self._reader.read(given, path, keys.OF_THE_RUN)
        address = table.get("serve", "")
        for key in ("serve", "token", "user", "password", "engine-cache"):
            if key in table and (expanded := self._reader.expand(table.pop(key), (*path, key))):
                table[key] = expanded
        if "serve" in table:
            try:
                table["serve"] = parse_address(table["serve"])
            except ValueError as error:
                self._reader.refuse(address, (*path, "serve"), str(error))
        if serve:
            table["serve"] = serve
        if "engine-cache" in table:
            table["engine-cache"] = self._reader.folder / table["engine-cache"]
        for key in ("token", "user", "password"):
            if key in table and self._reader.lacks(table, path, "serve"):
                self._mistakes.note((*path, key), "has no effect without serve")
        if ":" in table.get("user", ""):
            self._mistakes.note((*path, "user"), "has a colon, which basic authentication cannot send")
        for key, other in (("user", "password"), ("password", "user")):
            if key in table and self._reader.lacks(table, path, other):
                self._mistakes.note((*path, key), f"needs {other}")
        return RunSettings(**_fields(table, *table))

    def _camera(self, name: str, given: object) -> CameraSettings | None:
        path = ("cameras", name)
        if not _NAME.fullmatch(name):
            self._mistakes.note(path, "a camera's name has letters, digits, - and _ only")
        if not isinstance(given, dict):
            self._mistakes.note(path, "is not a table")
            return None
        own = self._reader.read(cast("dict[str, Any]", given), path, keys.OF_ONE_CAMERA)
        merged = {**self._defaults, **own}
        if not own.get("enabled", True):
            return None
        source = self._source(own, path)
        live = merged.get("live", False)
        outputs = self._outputs.of(name, own, live=live or _is_camera(source))
        serves = self._run.serve is not None or self._mistakes.noted(("run", "serve"))
        if not (outputs or serves or merged.get("outputs") or "output" in merged):
            self._mistakes.note(path, "nothing to do: give it an output, or serve in [run]")
        connection = _fields(merged, "stall-timeout", "give-up", "size", "rtsp-transport")
        policies = _fields(merged, "on-corrupt", "drop", "max-latency", "on-stall")
        bars = merged.get("on-resize") == "letterbox"
        return CameraSettings(
            name,
            source,
            outputs,
            NetworkChoice(**_fields(merged, "model", "device")),
            merged.get("fps"),
            live,
            LiveSettings(verify_tls=not merged.get("insecure", False), **connection),
            PipelineSettings(on_resize="letterbox" if bars else "scale", **policies),
        )

    def _source(self, own: dict[str, Any], camera: KeyPath) -> str:
        path = (*camera, "source")
        if "source" not in own:
            if self._reader.lacks(own, camera, "source"):
                self._mistakes.note(path, "is missing: where do the pictures come from?")
            return ""
        source = self._reader.expand(own["source"], path)
        if source is None:
            return ""
        scheme = _SCHEME.match(source)
        if source == "-":
            self._mistakes.note(path, "standard input is for mjpeg-restore - -o OUTPUT")
        elif scheme and scheme[1].lower() in DEFAULT_PORTS:
            try:
                Address.parse(source)
            except SourceError as error:
                self._mistakes.note(path, str(error))
        elif scheme and scheme[1].lower() != "file":
            known = ", ".join(f"{name}://" for name in DEFAULT_PORTS)
            self._mistakes.note(path, f"{redact(source)} is no camera's address, which begins with {known} or v4l2:")
        elif not scheme and not source.lower().startswith("v4l2:"):
            where = joined(self._reader.folder, source)
            # The log names a file that is missing; this one may be a password.
            if (rest := without_scheme(source)) and not (os.path.lexists(where) or glob.glob(where)):
                self._mistakes.note(path, f"{rest} is no address without http:// or rtsp:// in front")
            return where
        return source


def _identity(source: str) -> str:
    """A source as `Target.place` names an output, so that all names of a file, device or stream are equal."""
    if _SCHEME.match(source):
        try:
            return Address.parse(source).url
        except SourceError:
            return source
    return os.path.realpath(_DEVICE.sub("", source))


def _is_camera(source: str) -> bool:
    scheme = _SCHEME.match(source)
    return source.startswith(("v4l2:", "/dev/video")) or (scheme is not None and scheme[1].lower() in DEFAULT_PORTS)


def _fields(table: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields of settings that keys set; those that are not given keep their defaults."""
    return {name.replace("-", "_"): table[name] for name in names if name in table}
