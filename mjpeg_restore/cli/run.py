"""`mjpeg-restore run cameras.toml`: many cameras by a settings file, until a signal ends them."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mjpeg_restore.cli.exit_codes import exit_code
from mjpeg_restore.cli.progress import Preparing
from mjpeg_restore.cli.restore import INTERRUPTED
from mjpeg_restore.cli.serving import access
from mjpeg_restore.cli.signals import SAME_SIGNAL
from mjpeg_restore.cli.streams import logged, set_log_format, warn, write
from mjpeg_restore.errors import SettingsError, SinkError
from mjpeg_restore.fleet import Changes, Fleet, FleetSettings, RunSettings, Status, load_settings
from mjpeg_restore.report import Report
from mjpeg_restore.serve import Access

if TYPE_CHECKING:
    from mjpeg_restore.fleet.serving import Serving

WRONG_SETTINGS = 2
"""Exit code for a settings file with mistakes: that of wrong arguments."""

Request = Literal["stop", "reload", "look"]

_WAKES = 0.5
"""Seconds after which the wait for a request begins anew: Ctrl-C interrupts none without an end in Windows."""

_log = logging.getLogger(__name__)

Check = Callable[[FleetSettings, str], None]
"""Raises `SettingsError` for what the settings of a file, whose name follows, may not say."""


class Told(Protocol):
    """A camera as the command tells of it at its end."""

    address: str
    report: Report

    @property
    def status(self) -> Status:
        """How it fares."""
        ...


class Applying(Protocol):
    """Cameras that can be given other settings."""

    def apply(self, settings: FleetSettings) -> Changes:
        """Run these from now on."""
        ...


def _no_more(settings: FleetSettings, file: str) -> None:
    """Nothing more is to be checked."""


def command(options: argparse.Namespace) -> int:
    """Run the cameras of a settings file, or check the file; the result is the exit code."""
    settings = checked(options)
    if isinstance(settings, int):
        return settings
    set_log_format(settings.run.log_format)
    with logged(logging.ERROR if options.quiet else logging.INFO):
        return _run(options, settings)


def checked(options: argparse.Namespace, check: Check = _no_more) -> FleetSettings | int:
    """The settings of a file; or the exit code, where it has mistakes or was only to be checked.

    Args:
        options: of the command line.
        check: raises `SettingsError` for what the file may not say here.
    """
    try:
        settings = load_settings(options.settings, serve=options.serve)
        check(settings, options.settings)
    except SettingsError as error:
        for mistake in error.mistakes:
            warn(mistake, "error")
        return WRONG_SETTINGS
    if access(options).required and not settings.run.serve:
        warn(f"--token and --password have no effect without --serve, or serve in {options.settings}", "error")
        return WRONG_SETTINGS
    if options.check:
        for remark in settings.remarks:
            warn(remark, "warning")
        names = ", ".join(camera.name for camera in settings.cameras)
        write(f"{options.settings}: no mistakes; cameras: {names or 'none is enabled'}", sys.stdout)
        return 0
    return settings


def _run(options: argparse.Namespace, settings: FleetSettings) -> int:
    # A queue, because a signal may come at any point of this thread: its `put` takes no lock that the thread may hold.
    requests: SimpleQueue[Request] = SimpleQueue()
    stopped = False
    with ExitStack() as stack:
        stack.enter_context(signals(requests))
        audience = stack.enter_context(serving(settings.run, access(options))) if settings.run.serve else None
        fleet = Fleet(
            settings,
            audience=audience,
            progress=Preparing(quiet=options.quiet, at_once=False),
            changed=lambda: requests.put("look"),
        )
        stack.enter_context(fleet)
        tell_if_idle(options, settings)
        while not (stopped or fleet.ended):
            match next_request(requests, _WAKES):
                case "stop":
                    stopped = True
                case "reload":
                    settings = reread(options, settings, fleet)
                case "look" | None:
                    pass
    tell(options, fleet.cameras)
    if stopped:
        return INTERRUPTED
    incomplete = any(camera.status.reason for camera in fleet.cameras.values())
    return exit_code(SinkError) if incomplete else 0  # it was said when it happened


def next_request(requests: SimpleQueue[Request], seconds: float) -> Request | None:
    """The next request, if one comes in so many seconds."""
    try:
        return requests.get(timeout=seconds)
    except Empty:
        return None


def serving(run: RunSettings, given: Access) -> Serving:
    """Begin to serve, and say where.

    Args:
        run: the settings file's.
        given: who may watch, by the command line, whose word counts for more.

    Raises:
        MissingExtra: a package is missing.
        SinkError: nothing can listen there.
    """
    from mjpeg_restore.fleet.serving import Serving  # needs an extra

    assert run.serve
    serving = Serving(*run.serve, given if given.required else Access(run.token, run.user, run.password))
    _log.info("all cameras can be watched at %s", serving.url, extra={"event": "serving"})
    if serving.remark:
        _log.warning("%s", serving.remark, extra={"event": "serving_openly"})
    return serving


def reread(
    options: argparse.Namespace, before: FleetSettings, fleet: Applying, check: Check = _no_more
) -> FleetSettings:
    """Read the settings file again, and apply it if it has no mistakes; the settings in force."""
    path = options.settings
    if Path(path).is_fifo():  # such as <(envsubst < cameras.toml): nobody may write it again
        _log.error("%s is not read again: it is a pipe", path, extra={"event": "not_reloaded"})
        return before
    try:
        settings = load_settings(path, serve=options.serve)
        check(settings, path)
    except SettingsError as error:
        for mistake in error.mistakes:
            _log.error("%s", mistake, extra={"event": "wrong_settings"})
        _log.error("%s is not applied: it has mistakes", path, extra={"event": "not_reloaded"})
        return before
    changes = fleet.apply(settings)
    _log.info("%s is read again; %s", path, changes, extra={"event": "reloaded"})
    tell_if_idle(options, settings)
    if settings.run != before.run:
        _log.warning("%s: changes in [run] need a restart", path, extra={"event": "restart_needed"})
    return settings


def tell_if_idle(options: argparse.Namespace, settings: FleetSettings) -> None:
    """Say that no camera runs, if the settings have none: the command goes on, as a service that is to be reloaded."""
    if not settings.cameras:
        words = "%s: no camera is enabled: nothing runs until SIGHUP has it read again"
        _log.warning(words, options.settings, extra={"event": "idle"})


def tell(options: argparse.Namespace, cameras: Mapping[str, Told]) -> None:
    """Say how the cameras fared."""
    if options.json:
        found = {"cameras": {name: _described(camera) for name, camera in cameras.items()}}
        write(json.dumps(found), sys.stdout)
    if not options.quiet:
        for name, camera in cameras.items():
            warn(f"{name}: {_summary(camera)}", event="summary", source=name)


def _described(camera: Told) -> dict[str, Any]:
    status = camera.status
    state = {"state": status.state, "reason": status.reason, "restarts": status.restarts}
    return {**state, "source": camera.address, "report": camera.report.as_dict()}


def _summary(camera: Told) -> str:
    report, status = camera.report, camera.status
    words = [f"{report.frames} frames, {report.fps:.1f} frames/s"]
    words += [f"{getattr(report, count)} {count}" for count in ("damaged", "dropped") if getattr(report, count)]
    words += [f"{status.restarts} restarts"] if status.restarts else []
    return ", ".join(words)


@contextmanager
def signals(requests: SimpleQueue[Request]) -> Generator[None]:
    """Make requests of signals: Ctrl-C and SIGTERM stop, SIGHUP reads the settings again; a second Ctrl-C or SIGTERM
    ends at once."""
    first: float | None = None

    def stop(number: int, frame: object) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            requests.put("stop")
        elif now - first > SAME_SIGNAL:
            raise KeyboardInterrupt

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if hasattr(signal, "SIGHUP"):  # Windows has none
        handlers[signal.SIGHUP] = lambda number, frame: requests.put("reload")
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
