"""`--serve`: the run's pictures in browsers and other programs, over HTTP."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from mjpeg_restore.cli import values
from mjpeg_restore.cli.streams import warn
from mjpeg_restore.errors import Hint, SourceError
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.report import Report
from mjpeg_restore.serve import Access, ServedCamera, stall_of, without_folders
from mjpeg_restore.sources import Paced, Source

OF_SERVING = ("token", "password", "loop")
"""Options that have no effect without --serve."""


def add_serving_options(add: Callable[..., object]) -> None:
    """Add the options of this module."""
    add(
        "--serve",
        type=values.listening,
        metavar="[HOST:]PORT",
        help="a page for browsers, /stream, /snapshot, /state, /metrics and /healthz; for this machine alone unless "
        "HOST says otherwise, such as 0.0.0.0",
    )
    add_access_options(add)
    add(
        "--loop",
        action="store_true",
        help="play a recording, or what --start and --duration keep of it, again and again; Ctrl-C ends "
        "it, or --frames, which counts all rounds",
    )


def add_access_options(add: Callable[..., object]) -> None:
    """Add the options that say who may watch."""
    add("--token", type=values.secret, metavar="TOKEN|@FILE", help="watching takes this token")
    add("--password", type=values.user_and_password, metavar="USER:PASSWORD|@FILE", help="or this user and password")


def access(options: argparse.Namespace) -> Access:
    """Who may watch, by these options."""
    user, password = options.password or (None, None)
    return Access(options.token, user, password)


def played(options: argparse.Namespace, source: Source, again: Callable[[], Source]) -> Source:
    """The source; a recording that is served is played at its pace.

    Args:
        options: of the command line.
        source: opened.
        again: opens it anew.

    Raises:
        SourceError: it is to be played again and again, and cannot be.
    """
    if options.loop and (why := _only_once(source, options.input)):
        source.close()
        raise SourceError(f"{source.info.name} {why}", Hint("leave {loop} out", loop=None))
    if options.serve is None or source.info.live:
        return source
    return Paced(source, again if options.loop else None)


@contextmanager
def served(options: argparse.Namespace, source: Source, report: Report) -> Generator[list[Outlet]]:
    """Serve a run for as long as the context lasts, and yield the outlet to it, or none.

    Raises:
        MissingExtra: the server's packages are not installed.
        SinkError: nothing can listen there.
    """
    if options.serve is None:
        yield []
        return
    # Imported here: Starlette and uvicorn would take a third of the command's start.
    from mjpeg_restore.serve.server import Server

    info = source.info
    stall = stall_of(options.stall_timeout, options.fps)
    last = without_folders(info.name)
    title = info.name if info.live else last
    camera = ServedCamera(_short(last), report, title=title, source=title, live=info.live, stall=stall)
    with Server([camera], *options.serve, access=access(options)) as server:
        if not options.quiet:
            warn(f"watch it at {server.url}")
            if server.remark:
                warn(server.remark, "warning")
        yield [Outlet(camera.sink, "the page")]


def _only_once(source: Source, spec: str) -> str:
    """Why a source cannot be played again; empty where it can be."""
    if source.info.live:
        return "is a camera, which has no end"
    if spec == "-" or Path(spec).is_fifo():
        return "can be read once only"
    return ""


def _short(name: str) -> str:
    """A name as it may stand in a URL and in metrics."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "camera"
