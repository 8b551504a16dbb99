"""What the command takes: its parsers, and checks of options that exclude each other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NoReturn, get_args

from mjpeg_restore import catalogue
from mjpeg_restore.address import redact
from mjpeg_restore.cli import values
from mjpeg_restore.cli.serving import OF_SERVING, add_serving_options
from mjpeg_restore.cli.streams import warn, write
from mjpeg_restore.cli.versions import versions
from mjpeg_restore.compare import Comparison
from mjpeg_restore.damage import OnCorrupt
from mjpeg_restore.pipeline import Drop, OnStall
from mjpeg_restore.runtime.devices import known_devices
from mjpeg_restore.sinks import PixelFormat
from mjpeg_restore.sinks.window import KEYS
from mjpeg_restore.sources import RtspTransport

DESCRIPTION = """\
Restore Motion-JPEG from its DCT coefficients.

  mjpeg-restore cam.mjpeg -o out.mp4
  mjpeg-restore cam.avi --show --compare split
  mjpeg-restore http://cam/video -o out.mp4
  mjpeg-restore http://cam/video --serve 8080

commands:
  mjpeg-restore run FILE       run many cameras, by a settings file such as cameras.toml
  mjpeg-restore inspect INPUT  say what is in a recording, or what a camera sends
  mjpeg-restore models         list the networks
  mjpeg-restore doctor         say what is here, what each network runs on, and what to install
  mjpeg-restore build          build TensorRT's engines for NVIDIA GPUs, ahead of their first use

With -o, --show, --serve or --verify these words are names of files: mjpeg-restore models -o out.mp4
"""

NAMED_COMMANDS = ("run", "inspect", "models", "build", "doctor")

OF_THE_OUTPUT: dict[str, object] = {
    "codec": None,
    "crf": None,
    "preset": None,
    "range": "full",
    "encoder_option": [],
    "image_format": "png",
    "pixel_format": "yuv420p",
    "audio_track": None,
    "segment": None,
    "on_resize": "scale",
}
"""Options that concern the outputs of -o alone, with their defaults."""

OF_CAMERAS = ("drop", "max_latency", "stall_timeout", "give_up", "on_stall", "size", "rtsp_transport", "insecure")
"""Options that concern live sources alone; each is None or False unless it is given."""
OF_SERVERS = {"stall_timeout", "insecure"}
"""Those of them that recordings over HTTP take as well."""
OF_DEVICES = {"size", "rtsp_transport"}
"""Those that HTTP cameras do not take."""
OF_PACE = {"drop", "max_latency"}
"""Those that recordings take that are played at their pace, for --serve."""
OF_CONNECTIONS = {"stall_timeout", "give_up", "on_stall", *OF_DEVICES}
"""Those that a container in a pipe does not take: it has its own time stamps, and nobody to connect to again."""

RUNNING = """\
Run many cameras until Ctrl-C or SIGTERM, each with outputs and policies of its own, by a settings file. SIGHUP reads it
again: cameras that have not changed do not notice.
"""

BUILDING = """\
Build TensorRT's engines for NVIDIA GPUs. Without that, each is built when it is first used. An engine is for one
version of TensorRT and one kind of GPU.
"""

ENGINE_CACHE = "where TensorRT's engines are kept (the user's cache)"

_KEY_LINES = "\n".join(f"  {key:8}{effect}" for key, effect in KEYS)

EPILOG = f"""\
in the window:
{_KEY_LINES}

exit codes: 0 done, 2 wrong arguments, 3 the input, also a camera that is given up, 4 the network or its
runtime, 5 the output, 130 stopped by Ctrl-C (the file is finished properly)
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without the usage, which would fill the terminal."""

    def error(self, message: str) -> NoReturn:
        """Report the error and exit with status 2."""
        warn(f"{message}; see {self.prog} --help")
        self.exit(2)

    def print_help(self, file: object = None) -> None:
        """Print the help to standard output, even if that is closed or full."""
        write(self.format_help().rstrip(), sys.stdout)


class _Version(argparse.Action):
    """An action that looks up the versions when they are asked for: that takes time."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="show the versions and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        write("\n".join(versions()), sys.stdout)
        parser.exit()


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; `command` is one of `NAMED_COMMANDS` or, by default, "restore".

    No other command takes -o, --show, --verify and, but for "run", --serve: beside one of them their names are names of
    files.
    """
    goals = ("-o", "--output", "--show", "--verify", *(["--serve"] if words[:1] != ["run"] else []))
    restores = any(word.startswith(goals) for word in takewhile("--".__ne__, words))
    named = not restores and words[:1] and words[0] in NAMED_COMMANDS
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
    _add_restore_options(restore)
    _add_run_options(commands.add_parser("run", description=RUNNING, allow_abbrev=False))
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
    doctor.add_argument("--engine-cache", type=Path, metavar="DIR", help=ENGINE_CACHE)
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
    add("--check", action="store_true", help="say what is wrong with the settings, and run nothing")
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--json", action="store_true", help="print a report as JSON at the end")


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
    add("--engine-cache", type=Path, metavar="DIR", help=ENGINE_CACHE)
    add("-q", "--quiet", action="store_true", help="errors only")
    add("--json", action="store_true", help="say as JSON what was built")


def _add_restore_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="OUTPUT",
        help="a video, .m3u8, .y4m, .png or .jpg, a folder, out/%%06d.png; - for y4m, raw:- or ts:-, or a pipe in "
        "place of -; rtsp://, tcp://HOST:PORT, udp://HOST:PORT; v4l2:/dev/video10; may be given several times",
    )
    add("--show", action="store_true", help="watch it in a window; its keys are listed below")
    add("--verify", action="store_true", help="count the coefficients of the restored pictures that are the stream's")
    add(
        "input",
        metavar="INPUT",
        help="a recording, JPEG, folder or pattern of JPEGs, - for standard input, or a camera: "
        "http://, https://, rtsp://, /dev/video0",
    )
    add("-m", "--model", default=catalogue.DEFAULT, help="the network (%(default)s); see 'mjpeg-restore models'")
    add("--device", default="auto", help=f"{known_devices()} (%(default)s)")
    add("--engine-cache", type=Path, metavar="DIR", help=ENGINE_CACHE)
    add("--threads", type=values.threads, metavar="N", help="CPU threads of the network (all cores)")
    add("--texture", type=values.share, metavar="0..1", help="how much texture to invent (0); for qgac")
    add("--seed", type=values.seed, metavar="S", help="which of many possible pictures (0); for one-to-many")
    add(
        "--candidates",
        type=values.positive,
        metavar="N",
        help="N of them, from seed S up: OUT-1.png, OUT-2.png and so on",
    )
    add("--track", type=values.positive, metavar="N", help="which Motion-JPEG track of several, from 1; see 'inspect'")
    add("--compare", choices=get_args(Comparison), help="before and after in one picture; in the window to begin with")

    add_serving_options(parser.add_argument_group("browsers and other programs").add_argument)

    live = parser.add_argument_group("cameras")
    _add_live_options(live.add_argument)

    time = parser.add_argument_group("time")
    time.add_argument(
        "--fps",
        type=values.rate,
        help="frame rate of streams without time stamps: 15, 29.97, 30000/1001 (25); of snapshots (1); asked of a V4L2 "
        "device",
    )
    time.add_argument("--start", type=values.time, metavar="TIME", help="start there: seconds or [h:]m:s")
    time.add_argument("--duration", type=values.length, metavar="TIME", help="restore that much: seconds or [h:]m:s")
    time.add_argument("--frames", type=values.positive, metavar="N", help="stop after that many packets")

    output = parser.add_argument_group("output")
    output.add_argument("-c", "--codec", help="h264, hevc, av1, vp9, ffv1, mjpeg, or an encoder by FFmpeg's name")
    output.add_argument("--crf", type=float, help="the encoder's constant quality; lower is better (20 for H.264)")
    output.add_argument("--preset", help="the encoder's preset; a slower one makes smaller files (superfast)")
    output.add_argument(
        "--range", choices=("full", "limited"), default=OF_THE_OUTPUT["range"], help="of the samples (%(default)s)"
    )
    output.add_argument(
        "-e",
        "--encoder-option",
        type=values.pair,
        action="append",
        default=OF_THE_OUTPUT["encoder_option"],
        metavar="KEY=VALUE",
        help="passed to FFmpeg",
    )
    output.add_argument(
        "--image-format",
        choices=("png", "jpeg"),
        default=OF_THE_OUTPUT["image_format"],
        help="of a folder (%(default)s)",
    )
    output.add_argument(
        "--pixel-format",
        choices=get_args(PixelFormat),
        default=OF_THE_OUTPUT["pixel_format"],
        help="of raw: (%(default)s)",
    )
    output.add_argument("--audio-track", type=values.sound, metavar="N|all", help="which sound of several (1)")
    output.add_argument("--no-audio", action="store_true", help="leave the sound out")
    output.add_argument(
        "--segment", type=values.segment, metavar="TIME|SIZE", help="a new file each 10m, 1h, ... or 500MB, 1GB, ..."
    )
    output.add_argument(
        "--on-resize",
        choices=("scale", "letterbox", "new-file"),
        default=OF_THE_OUTPUT["on_resize"],
        help="pictures of another size than the first (%(default)s)",
    )
    output.add_argument("-y", "--overwrite", action="store_true", help="replace an output that exists")

    run_group = parser.add_argument_group("run")
    run_group.add_argument(
        "--on-corrupt", choices=get_args(OnCorrupt), help="damaged pictures (repair; of files of their own: pass)"
    )
    run_group.add_argument("--log-format", choices=("text", "json"), default="text", help="of messages (%(default)s)")
    run_group.add_argument("-q", "--quiet", action="store_true", help="errors only")
    run_group.add_argument("--json", action="store_true", help="print a report as JSON at the end")
    add("--version", action=_Version)


def _add_live_options(add: Callable[..., object]) -> None:
    add("--live", action="store_true", help="standard input or a named pipe is a camera: stamp pictures as they arrive")
    add("--drop", choices=get_args(Drop), help="which of the pictures that wait for the network are dropped (oldest)")
    add(
        "--max-latency", type=values.period, metavar="TIME", help="a waiting picture older than that is dropped (200ms)"
    )
    add(
        "--stall-timeout",
        type=values.period,
        metavar="TIME",
        help="connect again after that long without a picture (10s)",
    )
    add(
        "--give-up",
        type=values.period,
        metavar="TIME",
        help="end after that long without a picture, exit code 3 (never)",
    )
    add("--on-stall", choices=get_args(OnStall), help="what is written while no picture comes (gap)")
    add("--size", type=values.size, metavar="WxH", help="ask a V4L2 device for it; the true size of an RTSP camera")
    add("--rtsp-transport", choices=get_args(RtspTransport), help="of RTSP cameras (tcp)")
    add("--insecure", action="store_true", help="do not verify the certificate of an https camera")


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
        if path.exists() and not options.overwrite:
            parser.error(f"--candidates: {path} exists; -y replaces it")


def candidate(output: Path, number: int) -> Path:
    """The file of one of several candidates, from 1: out-1.png."""
    return output.with_name(f"{output.stem}-{number}{output.suffix}")
