"""What the command takes: its parsers, and checks of options that exclude each other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import NoReturn

from mjpeg_restore import catalogue
from mjpeg_restore.address import redact
from mjpeg_restore.cli import values
from mjpeg_restore.cli.archive_options import ARCHIVING, add_archive_options
from mjpeg_restore.cli.restore_options import DESCRIPTION, ENGINE_CACHE, EPILOG, OF_THE_OUTPUT, add_restore_options
from mjpeg_restore.cli.serving import OF_SERVING, add_access_options
from mjpeg_restore.cli.streams import warn, write
from mjpeg_restore.errors import Hint, OutputExists

NAMED_COMMANDS = ("run", "fleet", "archive", "inspect", "models", "build", "doctor")

RUNNING = """\
Run many cameras until Ctrl-C or SIGTERM, each with outputs and policies of its own, by a settings file. SIGHUP reads it
again: cameras that have not changed do not notice.
"""

SPREADING = """\
Run the cameras of a settings file on the machines of a Ray cluster until Ctrl-C or SIGTERM. If a machine dies, others
take over its cameras. SIGHUP reads the file again. Every machine needs mjpeg-restore[ray], and the outputs' folders.
"""

BUILDING = """\
Build TensorRT's engines for NVIDIA GPUs. Without that, each is built when it is first used. An engine is for one
version of TensorRT and one kind of GPU.
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage, which would fill the terminal."""

    def error(self, message: str) -> NoReturn:
        """Report the error and exit with status 2."""
        warn(f"{message}; see {self.prog} --help")
        self.exit(2)

    def print_help(self, file: object = None) -> None:
        """Print the help to standard output, even if that is closed or full."""
        self.color = False  # of Python 3.14, whose escape sequences `write` would show
        write(self.format_help().rstrip(), sys.stdout)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; `command` is one of `NAMED_COMMANDS` or, by default, "restore".

    "archive" is always a command. No other one takes -o, --show, --verify and, but for "run" and "fleet", --serve:
    beside one of them their names are names of files.

    Raises:
        SystemExit: the words are wrong, or ask for help; the exit code is 2 or 0.
        UnknownModel: there is no such network.
        OutputExists: an output of --candidates exists.
    """
    goals = ("-o", "--output", "--show", "--verify", *(["--serve"] if words[:1] not in (["run"], ["fleet"]) else []))
    restores = any(word.startswith(goals) for word in takewhile("--".__ne__, words))
    named = words[:1] == ["archive"] or (not restores and words[:1] and words[0] in NAMED_COMMANDS)
    parser = _parser()
    options, more = parser.parse_known_args(words if named else ["restore", *words])
    if more and options.command == "restore" and options.input in NAMED_COMMANDS:
        parser.error(f"{options.input} makes no output: leave out -o, --show, --serve and --verify")
    if more and "input" in options and not any(word.startswith("-") for word in more):  # the shell expanded a pattern
        parser.error(f"one INPUT is taken, here are {1 + len(more)}: quote a pattern, or name the folder")
    if more:
        parser.error(f"unrecognized arguments: {' '.join(map(redact, more))}")  # a camera's URL may be among them
    if options.command == "restore":
        _check(parser, options)
    return options


def _parser() -> _Parser:
    parser = _Parser(prog="mjpeg-restore", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    restore = commands.add_parser(
        "restore",
        prog="mjpeg-restore",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_restore_options(restore)
    _add_run_options(commands.add_parser("run", description=RUNNING, allow_abbrev=False))
    _add_fleet_options(commands.add_parser("fleet", description=SPREADING, allow_abbrev=False))
    archive = commands.add_parser(
        "archive", description=ARCHIVING, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_archive_options(archive)
    inspect = commands.add_parser("inspect", description="Say what is in a stream.", allow_abbrev=False)
    inspect.add_argument("input", metavar="INPUT", help="as for mjpeg-restore itself")
    inspect.add_argument("--fps", type=values.rate, help="frame rate of streams without time stamps (25)")
    inspect.add_argument("--frames", type=values.positive, metavar="N", help="look at so many (all; 100 of a camera)")
    inspect.add_argument(
        "--track", type=values.positive, metavar="N", help="which Motion-JPEG track of several, from 1"
    )
    inspect.add_argument("--json", action="store_true", help="as JSON")
    models = commands.add_parser(
        "models",
        description="List the networks: those that are shipped, and those of other packages.",
        allow_abbrev=False,
    )
    models.add_argument("--json", action="store_true", help="as JSON")
    add_build_options(commands.add_parser("build", description=BUILDING, allow_abbrev=False))
    doctor = commands.add_parser("doctor", description="Say what is here and what is missing.", allow_abbrev=False)
    doctor.add_argument("--engine-cache", type=values.folder, metavar="DIR", help=ENGINE_CACHE)
    doctor.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("settings", metavar="FILE", help="the settings, such as cameras.toml")
    add(
        "--serve",
        type=values.listening,
        metavar="[HOST:]PORT",
        help="show all cameras in a browser (what the settings say)",
    )
    add_access_options(add)
    add("--check", action="store_true", help="say what is wrong with the settings, and run nothing")
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--json", action="store_true", help="print a report as JSON at the end")


def _add_fleet_options(parser: argparse.ArgumentParser) -> None:
    _add_run_options(parser)
    parser.add_argument(
        "--ray",
        default="auto",
        metavar="local|auto|ADDRESS",
        help="where: on this machine alone; on the cluster that it is a node of (auto); or HOST:PORT",
    )


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `build`, which scripts/build_engines.py takes as well."""
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="which ones (all); see 'mjpeg-restore models'")
    add("--device", choices=("tensorrt", "tensorrt-rtx"), help="what builds them (whatever is installed)")
    add(
        "--compute-capability",
        type=values.capability,
        action="extend",
        nargs="+",
        metavar="X.Y",
        help="of the GPUs that they are for, such as 8.9; with tensorrt-rtx, which needs no GPU to build",
    )
    add("--engine-cache", type=values.folder, metavar="DIR", help=ENGINE_CACHE)
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--json", action="store_true", help="say as JSON what was built")


def _check(parser: _Parser, options: argparse.Namespace) -> None:
    """Refuse options that have nothing to do, that exclude each other, or that the model does not take."""
    if "" in options.output:
        parser.error("the output has an empty name: is a variable unset?")
    if not (options.output or options.show or options.serve or options.verify):
        parser.error("nothing to do: give -o OUTPUT, --show, --serve PORT or --verify")
    if options.serve is None and (idle := next((name for name in OF_SERVING if getattr(options, name)), None)):
        parser.error(f"--{idle} has no effect without --serve: leave it out")
    needless = [name for name, default in OF_THE_OUTPUT.items() if getattr(options, name) != default]
    if needless and not options.output:
        parser.error(f"--{needless[0].replace('_', '-')} has no effect without -o: leave it out")
    if options.compare and not (options.output or options.show):
        parser.error("--compare has no effect without -o or --show: the page of --serve has a slider")
    if options.no_audio and options.audio_track:
        parser.error("--audio-track and --no-audio exclude each other")
    model = catalogue.find(options.model)
    if not model.takes("noise") and (options.candidates or options.seed is not None):
        noisy = [name for name, known in catalogue.models().items() if known.takes("noise")]
        which = "--candidates" if options.candidates else "--seed"
        parser.error(f"{which}: model {model.name!r} knows one answer only; {', '.join(noisy) or 'none'} has many")
    if options.texture and not model.texture:
        textured = [name for name, known in catalogue.models().items() if known.texture]
        parser.error(f"--texture: model {model.name!r} has none to blend in; {', '.join(textured) or 'none'} has")
    if options.candidates:
        _check_candidates(parser, options)


def _check_candidates(parser: _Parser, options: argparse.Namespace) -> None:
    if len(options.output) > 1:
        parser.error("--candidates: give one -o OUTPUT, such as out.png")
    output = Path(*options.output)
    if options.input == "-" or "://" in options.input or not output.suffix:
        parser.error(
            "--candidates: INPUT is read once for each, so it must be a file, and OUTPUT a file such as out.png"
        )
    for number in range(1, options.candidates + 1):
        path = candidate(output, number)
        if path.exists() and not options.overwrite:  # told before the first one is made, which takes minutes
            raise OutputExists(f"{path} exists", Hint("{overwrite} replaces it", overwrite=True))


def candidate(output: Path, number: int) -> Path:
    """The file of one of several candidates, from 1: out-1.png."""
    return output.with_name(f"{output.stem}-{number}{output.suffix}")
