"""`mjpeg-restore INPUT -o OUTPUT`: a source restored into files, pipes, servers or a window."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from mjpeg_restore.cli.arguments import candidate
from mjpeg_restore.cli.exit_codes import exit_code
from mjpeg_restore.cli.progress import Preparing, Progress
from mjpeg_restore.cli.restore_options import OF_CAMERAS, OF_CONNECTIONS, OF_DEVICES, OF_PACE, OF_SERVERS
from mjpeg_restore.cli.serving import played, served
from mjpeg_restore.cli.signals import stopping
from mjpeg_restore.cli.streams import logged, set_log_format, warn, write
from mjpeg_restore.cli.summary import summary
from mjpeg_restore.cli.wording import joined, left_out
from mjpeg_restore.errors import Hint, SinkError, SourceError
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.outlets import Outlet
from mjpeg_restore.outputs import open_outlets
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import usable_cores
from mjpeg_restore.sinks import Comparing, OutputSettings, Target, Window
from mjpeg_restore.sources import LiveSettings, Paced, Source, open_source

INTERRUPTED = 130

MOST_STREAMS = 4
"""Most pictures restored at the same time. Each takes memory; more than four gain nothing."""


def command(options: argparse.Namespace) -> int:
    """Restore an input once, or once for each candidate; the result is the exit code."""
    set_log_format(options.log_format)
    with logged(logging.ERROR if options.quiet else logging.INFO):
        return _restore(options)


def _restore(options: argparse.Namespace) -> int:
    if not options.candidates:
        return _restore_once(options, options.output, options.seed or 0)
    for number in range(options.candidates):
        output = candidate(Path(*options.output), number + 1)
        if code := _restore_once(options, [str(output)], (options.seed or 0) + number):
            return code
    return 0


def _restore_once(options: argparse.Namespace, targets: Sequence[str], seed: int) -> int:
    threads = options.threads or usable_cores()
    streams = min(threads, MOST_STREAMS)
    texture = options.texture or 0.0
    preparing = Preparing(quiet=options.quiet)
    restorer = Restorer(
        options.model,
        options.device,
        threads=threads,
        streams=streams,
        texture=texture,
        seed=seed,
        progress=preparing,
        engine_cache=options.engine_cache,
    )
    report = Report()
    opened = played(options, _open(options), lambda: _open(options))
    with opened as source, ExitStack() as stack:
        _check_live(options, source)
        preparing.stop = stop = Event()
        window = _open_window(options, targets, source, stop)
        if window:  # first, so that where there is no display nothing else is begun
            stack.callback(window.sink.discard)
        page = stack.enter_context(served(options, source, report))
        # Pipes wait for their readers: here Ctrl-C still ends the command at once.
        outlets = [*_open_outlets(options, targets, source), *([window] if window else []), *page]
        with stopping(stop, _ending(), source.stop):
            return _run(options, source, restorer, outlets, report, stop)


def _run(
    options: argparse.Namespace,
    source: Source,
    restorer: Restorer,
    outlets: Sequence[Outlet],
    report: Report,
    stop: Event,
) -> int:
    settings = _policies(options, source)
    with Progress(source.info, options.frames, quiet=options.quiet) as progress:
        try:
            run(source, restorer, outlets, settings, report=report, progress=progress.update, stop=stop)
        except SourceError:
            if stop.is_set():  # before the first picture
                raise KeyboardInterrupt from None
            raise
    written = outlets[: len(options.output)]  # before the window and the page
    taken = any(outlet.sink.sound for outlet in written)
    report.remarks = (*left_out(source.info.tracks, sound=taken or not source.sound), *report.remarks)
    _tell(options, written, report)
    if not options.quiet:
        for line in _output_remarks(options, source, written):
            warn(line)
    if any(output.error for output in report.outputs):
        return exit_code(SinkError)  # it was said when it happened
    if report.connection and report.connection.gave_up:
        return exit_code(SourceError)  # although the output is finished properly
    return INTERRUPTED if stop.is_set() else 0


def _open(options: argparse.Namespace) -> Source:
    return open_source(
        options.input,
        fps=options.fps,
        start=options.start,
        duration=options.duration,
        track=options.track,
        audio_track=options.audio_track,
        live=options.live,
        camera=_camera(options),
    )


def _camera(options: argparse.Namespace) -> LiveSettings:
    given = _given(options, "stall_timeout", "give_up", "size", "rtsp_transport")
    return LiveSettings(verify_tls=not options.insecure, **given)


def _policies(options: argparse.Namespace, source: Source) -> PipelineSettings:
    given = _given(options, "on_corrupt", "frames", "drop", "max_latency", "on_stall")
    if isinstance(source, Paced) and not options.output:  # a file has every picture, what is watched keeps its pace
        given.setdefault("drop", "oldest")
    bars = options.on_resize == "letterbox"
    return PipelineSettings(verify=options.verify, on_resize="letterbox" if bars else "scale", **given)


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The values of options that are given; the others have the defaults of the settings."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _check_live(options: argparse.Namespace, source: Source) -> None:
    """Refuse options for cameras that have no effect on the source."""
    given = {name for name in OF_CAMERAS if getattr(options, name)}
    over_http = options.input.lower().startswith(("http://", "https://"))
    needless, why = set[str](), ""
    if not source.info.live:
        played_as_one = OF_PACE if isinstance(source, Paced) else set[str]()
        needless = given - played_as_one - (OF_SERVERS if over_http else set())
        why = "is a recording, no camera"
    elif over_http:
        needless, why = given & OF_DEVICES, "decides that itself"
    elif source.status is None:
        needless, why = given & OF_CONNECTIONS, "is a container in a pipe, and ends with it"
    if needless:
        name = min(needless)
        raise SourceError(f"{source.info.name} {why}", Hint(f"leave {{{name}}} out", **{name: None}))


def _open_window(options: argparse.Namespace, targets: Sequence[str], source: Source, stop: Event) -> Outlet | None:
    """The window, if there is to be one. Alone it sets the pace of a recording; beside a file it shows what it can."""
    if not options.show:
        return None
    paced = not (targets or source.info.live or options.serve)
    window = Window(f"mjpeg-restore {source.info.name}", paced=paced, compare=options.compare, stop=stop)
    return Outlet(window, "the window", when_full="wait" if paced else "drop", ends_run=True)


def _open_outlets(options: argparse.Namespace, targets: Sequence[str], source: Source) -> list[Outlet]:
    settings = OutputSettings(
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        range=options.range,
        options=dict(options.encoder_option),
        overwrite=options.overwrite,
        fps=source.info.fps,
        sample_aspect=upright_aspect(source.info.sample_aspect, source.info.rotation),
        image_format=options.image_format,
        pixel_format=options.pixel_format,
        live=source.info.live,
        segment=options.segment,
        new_file_on_resize=options.on_resize == "new-file",
    )
    outlets = open_outlets(targets, settings, () if options.no_audio else source.sound, source.paths)
    if options.compare:
        outlets = [replace(outlet, sink=Comparing(outlet.sink, options.compare)) for outlet in outlets]
    return outlets


def _tell(options: argparse.Namespace, outlets: Sequence[Outlet], report: Report) -> None:
    if options.json:
        # Of --candidates the outputs are files.
        to_pipe = any(Target.parse(target, OutputSettings()).is_standard_output for target in options.output)
        write(json.dumps(report.as_dict()), sys.stderr if to_pipe else sys.stdout)
    if not options.quiet:
        for line in summary(report, [outlet.name for outlet in outlets], options.device):
            warn(line)


def _output_remarks(options: argparse.Namespace, source: Source, outlets: Sequence[Outlet]) -> Iterator[str]:
    """Differences of the outputs from the source, a line each."""
    for outlet in outlets:
        if outlet.sink.remark:
            yield outlet.sink.remark
    silent = [outlet.name for outlet in outlets if not outlet.sink.sound]
    if silent and source.sound and not options.no_audio:
        what = f"{joined(silent)} {'take' if len(silent) > 1 else 'takes'}"
        yield f"the sound is left out: {what} pictures only; video files, .m3u8, ts:-, tcp:// and udp:// have both"


def _ending() -> list[int]:
    """The signals that ask for the end: Ctrl-C, SIGTERM and a closed terminal."""
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    # Windows has no SIGHUP, and nohup ignores it, which must stay so.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
