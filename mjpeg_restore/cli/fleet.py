"""`mjpeg-restore fleet cameras.toml --ray ...`: the cameras of a settings file on many machines, until a signal."""

from __future__ import annotations

import argparse
import logging
import os
from contextlib import ExitStack, redirect_stdout
from functools import partial
from queue import SimpleQueue

from mjpeg_restore.cli.exit_codes import exit_code
from mjpeg_restore.cli.restore import INTERRUPTED
from mjpeg_restore.cli.run import Check, Request, checked, next_request, reread, serving, signals, tell, tell_if_idle
from mjpeg_restore.cli.serving import access
from mjpeg_restore.cli.streams import logged, set_log_format
from mjpeg_restore.errors import SinkError
from mjpeg_restore.fleet import FleetSettings
from mjpeg_restore.fleet.spread import refuse_local

_TICK = 0.05
"""Seconds between two looks at what the nodes have answered."""


def command(options: argparse.Namespace) -> int:
    """Run the cameras of a settings file on a cluster, or check the file; the result is the exit code."""
    settings = checked(options, _check(options))
    if isinstance(settings, int):
        return settings
    set_log_format(settings.run.log_format)
    with logged(logging.ERROR if options.quiet else logging.INFO):
        return _run(options, settings)


def _run(options: argparse.Namespace, settings: FleetSettings) -> int:
    requests: SimpleQueue[Request] = SimpleQueue()
    with ExitStack() as stack:
        stack.enter_context(signals(requests))  # Ray takes seconds to start, and is to end as it should
        from mjpeg_restore.cluster import Cluster  # needs an extra, and takes a second
        from mjpeg_restore.fleet.spread.fleet import SpreadFleet

        # Ray prints what becomes of its nodes, pages of it, where the report is to stand alone.
        stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        cluster = stack.enter_context(Cluster(options.ray))
        audience = stack.enter_context(serving(settings.run, access(options))) if settings.run.serve else None
        fleet = SpreadFleet(settings, cluster, audience=audience)
        stack.callback(fleet.close, 0)
        tell_if_idle(options, settings)
        while (request := next_request(requests, _TICK)) != "stop":
            if request == "reload":
                settings = reread(options, settings, fleet, _check(options))
            fleet.advance()
        finished = fleet.close()
    tell(options, fleet.cameras)
    return INTERRUPTED if finished else exit_code(SinkError)


def _check(options: argparse.Namespace) -> Check:
    return partial(refuse_local, here=options.ray == "local")
