"""`load_settings`: a settings file, checked as a whole, so that all its mistakes are told at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from mjpeg_restore.address import DEFAULT_PORTS, Address, redact
from mjpeg_restore.errors import MjpegRestoreError, SettingsError, SinkError, SourceError, reason_of
from mjpeg_restore.fleet import keys
from mjpeg_restore.fleet.keys import Parse
from mjpeg_restore.fleet.mistakes import Mistakes, syntax_error
from mjpeg_restore.fleet.outputs import OutputKeys
from mjpeg_restore.fleet.positions import KeyPath, Positions
from mjpeg_restore.fleet.references import expand
from mjpeg_restore.fleet.settings import CameraSettings, FleetSettings, NetworkChoice, OutputChoice, RunSettings
from mjpeg_restore.pipeline import PipelineSettings
from mjpeg_restore.serve.address import parse_address
from mjpeg_restore.sinks import OutputSettings, Target, within
from mjpeg_restore.sources import LiveSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
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
    loader = _Loader(folder, os.environ if environment is None else environment, Mistakes(file, Positions(text)))
    return loader.load(content, serve)


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

    def __init__(self, folder: Path, environment: Mapping[str, str], mistakes: Mistakes) -> None:
        self._folder, self._environment, self._mistakes = folder, environment, mistakes
        self._defaults: dict[str, Any] = {}
        self._run = RunSettings()
        self._targets: dict[str, str] = {}
        """The camera that writes to each target."""

    def load(self, content: dict[str, Any], serve: tuple[str, int] | None) -> FleetSettings:
        for key in content:
            if key not in keys.OF_THE_FILE:
                self._mistakes.note((key,), keys.unknown(key, keys.OF_THE_FILE))
        self._run = self._run_settings(content.get("run", {}), serve)
        self._defaults = self._table(content.get("defaults", {}), ("defaults",), keys.OF_CAMERAS)
        given = self._is_table(content.get("cameras", {}), ("cameras",))
        if not given and not self._mistakes.noted(("cameras",)):
            self._mistakes.note(("cameras",), "there are none: begin with [cameras.NAME]")
        made = [self._camera(name, table) for name, table in given.items()]
        cameras = tuple(camera for camera in made if camera is not None)
        for camera in cameras:
            path = ("cameras", camera.name, "source")
            if (writer := self._targets.get(_identity(camera.source))) and not self._mistakes.noted(path):
                self._mistakes.note(path, f"cameras.{writer} writes there")
        self._mistakes.check()
        return FleetSettings(cameras, self._run)

    def _run_settings(self, given: object, serve: tuple[str, int] | None) -> RunSettings:
        path = ("run",)
        table = self._table(given, path, keys.OF_THE_RUN)
        for key in ("serve", "token", "user", "password", "engine-cache"):
            if key in table:
                table[key] = self._expanded(table[key], (*path, key))
        if "serve" in table:
            try:
                table["serve"] = parse_address(table["serve"])
            except ValueError as error:
                self._mistakes.note((*path, "serve"), str(error))
        if serve:
            table["serve"] = serve
        if "engine-cache" in table:
            table["engine-cache"] = self._folder / table["engine-cache"]
        for key in ("token", "user", "password"):
            if key in table and self._lacks(table, path, "serve"):
                self._mistakes.note((*path, key), "has no effect without serve")
        if ":" in table.get("user", ""):
            self._mistakes.note((*path, "user"), "has a colon, which basic authentication cannot send")
        for key, other in (("user", "password"), ("password", "user")):
            if key in table and self._lacks(table, path, other):
                self._mistakes.note((*path, key), f"needs {other}")
        return RunSettings(**_fields(table, *table))

    def _camera(self, name: str, given: object) -> CameraSettings | None:
        path = ("cameras", name)
        if not _NAME.fullmatch(name):
            self._mistakes.note(path, "a camera's name has letters, digits, - and _ only")
        if not isinstance(given, dict):
            self._mistakes.note(path, "is not a table")
            return None
        own = self._table(cast("dict[str, Any]", given), path, keys.OF_ONE_CAMERA)
        merged = {**self._defaults, **own}
        if not own.get("enabled", True):
            return None
        source = self._source(own, path)
        live = merged.get("live", False)
        outputs = self._outputs(name, own, merged, live=live or _is_camera(source))
        if not outputs and self._run.serve is None and not (merged.get("outputs") or "output" in merged):
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

    # ---- sources ----

    def _source(self, own: dict[str, Any], camera: KeyPath) -> str:
        path = (*camera, "source")
        if "source" not in own:
            if self._lacks(own, camera, "source"):
                self._mistakes.note(path, "is missing: where do the pictures come from?")
            return ""
        source = self._expanded(own["source"], path)
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
            return os.path.join(self._folder, source)
        return source

    # ---- outputs ----

    def _outputs(
        self, camera: str, own: dict[str, Any], merged: dict[str, Any], *, live: bool
    ) -> tuple[OutputChoice, ...]:
        """The outputs of a camera, from its own table or from the defaults."""
        mine = bool({"output", "outputs"} & {*own})
        table, path = (own, ("cameras", camera)) if mine else (self._defaults, ("defaults",))
        inherited = {key: value for key, value in merged.items() if key in keys.OF_OUTPUTS}
        choices: list[OutputChoice] = []
        used = set[str]()
        for where, given in self._entries(table, path):
            entry = self._output(given, where)
            target = self._target(entry, camera, where)
            if target is None:
                continue
            found = OutputKeys(target, entry, inherited, new_file_on_resize=merged.get("on-resize") == "new-file")
            used.update(filter(found.uses, inherited))
            for key, what in found.mistakes(live=live):
                self._mistakes.note(self._place(key, entry, where, own, camera), what)
            choices.append(OutputChoice(target, found.settings))
        for key in keys.OF_OUTPUTS:
            if key in own and key not in used:
                self._mistakes.note(("cameras", camera, key), "has no effect on what this camera writes")
        return tuple(choices)

    def _entries(self, table: dict[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
        """The outputs of a table, each with its path."""
        if "output" in table:
            yield (*path, "output"), table["output"]
        if "outputs" not in table:
            return
        given = table["outputs"]
        if "output" in table:
            self._mistakes.note((*path, "outputs"), "stands beside output: list all of them here")
        elif not isinstance(given, list):
            self._mistakes.note((*path, "outputs"), "is not a list; one alone is called output")
        else:
            yield from (((*path, "outputs", index), one) for index, one in enumerate(cast("list[object]", given)))

    def _output(self, given: object, path: KeyPath) -> dict[str, Any]:
        """The keys of an output, which is a target or a table."""
        if isinstance(given, dict):
            return self._table(cast("dict[str, Any]", given), path, keys.OF_ONE_OUTPUT)
        try:
            return {"to": keys.text(given)}
        except ValueError as error:
            self._mistakes.note(path, str(error))
            return {}

    def _target(self, entry: dict[str, Any], camera: str, path: KeyPath) -> str | None:
        """Take the target out of an output's keys; None where there is none."""
        if "to" not in entry:
            if self._lacks(entry, path, "to") and not self._mistakes.noted(path):
                self._mistakes.note(path, "has no to: where is it written?")
            return None
        target = self._expanded(entry.pop("to"), path).replace("{camera}", camera)
        if target == "-" or target.endswith(":-"):
            self._mistakes.note(path, "standard output is for mjpeg-restore INPUT -o -")
            return None
        target = within(self._folder, target)
        try:
            parsed = Target.parse(target, OutputSettings())
        except SinkError as error:
            self._mistakes.note(path, str(error))
            return None
        key = parsed.place
        if other := self._targets.get(key):
            who = "another output" if other == camera else f"cameras.{other}"
            self._mistakes.note(path, f"{who} writes there, too; {{camera}} in a name stands for the camera's")
        self._targets.setdefault(key, camera)
        return target

    def _place(self, key: str, entry: dict[str, Any], output: KeyPath, own: dict[str, Any], camera: str) -> KeyPath:
        """Where a key of an output stands: in its table, in its camera's, or in the defaults."""
        if not key:
            return output
        if key in entry:
            return (*output, key)
        return ("cameras", camera, key) if key in own else ("defaults", key)

    # ---- tables ----

    def _table(self, given: object, path: KeyPath, schema: Mapping[str, Parse]) -> dict[str, Any]:
        """The values of a table that are right; what is wrong is noted.

        Args:
            given: the table.
            path: its place.
            schema: its keys.
        """
        values: dict[str, Any] = {}
        for key, value in self._is_table(given, path).items():
            if key not in schema:
                self._mistakes.note((*path, key), keys.unknown(key, schema))
                continue
            try:
                values[key] = schema[key](value)
            except (ValueError, MjpegRestoreError) as error:
                self._mistakes.note((*path, key), str(error))
        return values

    def _is_table(self, given: object, path: KeyPath) -> dict[str, Any]:
        if isinstance(given, dict):
            return cast("dict[str, Any]", given)
        self._mistakes.note(path, "is not a table")
        return {}

    def _lacks(self, table: Mapping[str, Any], path: KeyPath, key: str) -> bool:
        """Whether a key was not given: one whose value is wrong is not in the table, either."""
        return key not in table and not self._mistakes.noted((*path, key))

    def _expanded(self, text: str, path: KeyPath) -> str:
        """A text with its references replaced; itself where one is wrong."""
        try:
            found = expand(text, self._environment, self._folder)
            keys.text(found or text)
        except ValueError as error:
            self._mistakes.note(path, str(error))
            return text
        if not found:
            self._mistakes.note(path, "is empty: is a variable unset?")
        return found or text


def _is_path(place: str) -> bool:
    return "://" not in place and not place.lower().startswith("v4l2:")


def _identity(place: str) -> str:
    """A source or target; the same for all names of a file."""
    return os.path.realpath(place) if _is_path(place) else place


def _is_camera(source: str) -> bool:
    scheme = _SCHEME.match(source)
    return source.startswith(("v4l2:", "/dev/video")) or (scheme is not None and scheme[1].lower() in DEFAULT_PORTS)


def _fields(table: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields of settings that keys set; those that are not given keep their defaults."""
    return {name.replace("-", "_"): table[name] for name in names if name in table}
