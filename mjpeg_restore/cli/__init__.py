"""The command: arguments to settings to pipeline. The only package that prints or exits."""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import math
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import NoReturn

from mjpeg_restore import catalogue
from mjpeg_restore.cli.arguments import command_of, command_parser, restore_parser
from mjpeg_restore.cli.progress import Progress
from mjpeg_restore.cli.streams import complain, prepare, say, settle
from mjpeg_restore.cli.versions import faster
from mjpeg_restore.errors import (
    JpegError,
    MjpegRestoreError,
    ModelError,
    RuntimeUnavailable,
    SinkError,
    SourceError,
)
from mjpeg_restore.inspection import describe, survey
from mjpeg_restore.orientation import upright_aspect
from mjpeg_restore.pipeline import PipelineSettings, run
from mjpeg_restore.report import Report
from mjpeg_restore.restorer import Restorer
from mjpeg_restore.runtime import usable_cores
from mjpeg_restore.sinks import OutputSettings, Sink, Tee, Window, open_sink
from mjpeg_restore.sources import Source, open_source
from mjpeg_restore.verification import Verification

EXIT_CODES: tuple[tuple[type[MjpegRestoreError], int], ...] = (
    (SourceError, 3),
    (JpegError, 3),
    (ModelError, 4),
    (RuntimeUnavailable, 4),
    (SinkError, 5),
)
INTERRUPTED = 130

MOST_WARNINGS = 3
"""Kinds of harmless oddities that are told at the end; the report in JSON has them all."""

MOST_STREAMS = 4
"""Pictures restored at the same time: each takes memory, and more than this gain nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        match command_of(words):
            case "inspect":
                return _inspect(command_parser().parse_args(words))
            case "models":
                return _models(command_parser().parse_args(words))
            case _:
                return _restore(words)
    except MjpegRestoreError as error:
        complain(str(error))
        return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
    except KeyboardInterrupt:
        complain("stopped")
        return INTERRUPTED
    finally:
        settle()


def _restore(words: list[str]) -> int:
    parser = restore_parser()
    options = parser.parse_args(words)
    if not (options.output or options.show or options.verify):
        parser.error("nothing to do: give -o OUTPUT, --show or --verify")
    _refuse_what_has_no_effect(parser, options)
    if not options.candidates:
        return _restore_one(options)
    outputs = _candidates(parser, options)
    options.seed = options.seed or 0
    for output in outputs:
        options.output = output
        code = _restore_one(options)
        if code:
            return code
        options.seed += 1
    return 0


def _refuse_what_has_no_effect(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Some options are for some models, and some exclude others."""
    if options.no_audio and options.audio_track:
        parser.error("--audio-track and --no-audio exclude each other")
    model = catalogue.find(options.model)
    noisy = [name for name, known in catalogue.models().items() if known.extra == "noise"]
    if model.extra != "noise" and (options.candidates or options.seed is not None):
        which = "--candidates" if options.candidates else "--seed"
        parser.error(f"{which}: model {model.name!r} knows one answer only; {', '.join(noisy) or 'none'} has many")
    textured = [name for name, known in catalogue.models().items() if known.texture]
    if options.texture and not model.texture:
        parser.error(f"--texture: model {model.name!r} has none to blend in; {', '.join(textured) or 'none'} has")


def _candidates(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    """Where each candidate goes."""
    if options.input == "-" or not Path(options.output or "").suffix:
        parser.error(
            "--candidates: INPUT is read once for each, so it must be a file, and OUTPUT a file such as out.png"
        )
    output = Path(options.output)
    paths = [output.with_name(f"{output.stem}-{k}{output.suffix}") for k in range(1, options.candidates + 1)]
    for path in paths:
        if path.exists() and not options.overwrite:
            parser.error(f"--candidates: {path} exists; -y replaces it")
    return [str(path) for path in paths]


def _restore_one(options: argparse.Namespace) -> int:
    threads = options.threads or usable_cores()
    restorer = Restorer(
        options.model,
        options.device,
        threads=threads,
        streams=min(threads, MOST_STREAMS),
        texture=options.texture or 0.0,
        seed=options.seed or 0,
    )
    settings = PipelineSettings(
        on_corrupt=options.on_corrupt, compare=options.compare, frames=options.frames, verify=options.verify
    )
    opened = open_source(
        options.input,
        fps=options.fps,
        start=options.start,
        duration=options.duration,
        track=options.track,
        audio_track=options.audio_track,
    )
    with opened as source, _stopping(source) as stop:
        sink = _open_sink(options, source)
        taken = any(track.enabled for track in source.sound)
        silent = bool(options.output and source.sound and not (taken or options.no_audio))
        with Progress(source.info, options.frames, quiet=options.quiet) as progress:
            try:
                report = run(source, restorer, sink, settings, progress=progress.update, stop=stop)
            except SourceError:
                if stop.is_set():  # before the first picture
                    raise KeyboardInterrupt from None
                raise
        _conclude(options, report, sink, silent=silent)
        return INTERRUPTED if stop.is_set() else 0


def _open_sink(options: argparse.Namespace, source: Source) -> Sink:
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
    )
    audio = () if options.no_audio else source.sound
    # The window first: where it cannot be had, no output is begun.
    sinks: list[Sink] = [Window(f"mjpeg-restore {source.info.name}")] if options.show else []
    if options.output:
        sinks.insert(0, open_sink(options.output, settings, audio, source.paths))
    return sinks[0] if len(sinks) == 1 else Tee(sinks)


def _conclude(options: argparse.Namespace, report: Report, sink: Sink, *, silent: bool) -> None:
    if options.json:
        stream = sys.stderr if options.output == "-" else sys.stdout
        say(json.dumps(dataclasses.asdict(report)), stream)
    if options.quiet:
        return
    for line in _remarks(options, report, sink):
        complain(line)
    if silent:
        what = "y4m" if options.output == "-" else options.output
        complain(f"the sound is left out: {what} holds pictures only; .mp4, .mkv, .mov, .webm and .avi hold both")


def _remarks(options: argparse.Namespace, report: Report, sink: Sink) -> Iterator[str]:
    where = f" to {options.output}" if options.output else ""
    speed = f", {report.speed:.2f}x real time" if report.speed else ""
    yield f"{report.frames} frame{'s' if report.frames != 1 else ''}{where}, {report.fps:.1f} frames/s{speed}"
    counts = ("damaged", "repaired", "unreadable", "held", "dropped", "extra", "resized")
    odd = [f"{getattr(report, name)} {name}" for name in counts if getattr(report, name)]
    if odd:
        trouble = f" (first: {report.first_trouble})" if report.first_trouble else ""
        yield ", ".join(odd) + trouble
    for words, count in sorted(report.warnings.items(), key=lambda entry: -entry[1])[:MOST_WARNINGS]:
        yield f"{count} x {words}"
    model, quality = catalogue.find(options.model), report.quality.get("median", 0)
    if quality and not model.suits(quality):
        trained = ", ".join(variant.name for variant in model.variants)
        yield (
            f"{model.name} was trained for {trained}, these pictures are of about Q{quality}:"
            f" {catalogue.DEFAULT} is for all qualities"
        )
    if hint := faster(options.model, options.device, report.runtime):
        yield hint
    if report.verified:
        yield _verdict(report.verified)
    if report.truncated:
        yield report.truncated
    yield from report.remarks
    if sink.remark:
        yield sink.remark


def _verdict(found: Verification) -> str:
    if not found.coefficients:
        return "nothing to verify: no picture holds a whole block"
    share = math.floor(1e5 * found.inside / found.coefficients) / 1e5  # never more than it is
    return (
        f"verified {found.coefficients:,} coefficients: {share:.3%} quantise back to the stream's; of the others, "
        f"{found.rounded:,} miss by no more than rounding to eight bits, {found.clipped:,} stand beside samples cut "
        f"off at black or white, {found.outside:,} miss by more"
    )


def _inspect(options: argparse.Namespace) -> int:
    with open_source(options.input, fps=options.fps, track=options.track) as source:
        found = survey(source, options.frames)
    say(json.dumps(found.as_dict(), indent=2) if options.json else "\n".join(describe(found)), sys.stdout)
    return 0


def _models(options: argparse.Namespace) -> int:
    shipped = catalogue.models()
    if options.json:
        say(json.dumps({name: model.as_dict() for name, model in shipped.items()}, indent=2), sys.stdout)
    else:
        lines = [line for model in shipped.values() for line in model.describe()]
        say("\n".join([*lines, catalogue.LEGEND]), sys.stdout)
    return 0


@contextmanager
def _stopping(source: Source) -> Generator[Event]:
    """Ctrl-C, SIGTERM and a terminal that is shut set the event and stop the source, the second one kills."""
    stop = Event()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        source.stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    # Windows has no SIGHUP; and nohup has it ignored, which is to stay so.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _give_memory_back() -> None:
    """Have glibc keep less of what is freed: a seventh of the peak at 1920x1080.

    It gives each thread a heap of its own, and keeps large buffers in it for their next use. With one heap for all,
    and with buffers of a whole large picture handed back at once, nothing is slower. Of what is smaller, a few
    pictures' worth stays: glibc, once told anything, hands that back too, and has pages zeroed anew for each picture.
    Other C libraries have no such call, nor the need for it.
    """
    m_trim_threshold, m_mmap_threshold, m_arena_max = -1, -3, -8  # malloc.h
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(m_arena_max, 1)
        libc.mallopt(m_mmap_threshold, 4 << 20)
        libc.mallopt(m_trim_threshold, 64 << 20)


def entry() -> NoReturn:
    """The console script."""
    prepare()
    _give_memory_back()
    sys.exit(main())
