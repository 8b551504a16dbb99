"""Speed and memory of the whole command, and of FFmpeg's decoder with the same encoder settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, process_time

from measuring import clips
from measuring.clips import Size
from measuring.processes import isolated, own_peak_mb, restore

RUNS = 3
PROBE = 40
"""Pictures of the run that estimates how many pictures a run of the requested duration needs."""

TARGETS = {
    ("stream", (640, 480)): 30.0,
    ("stream-lite", (640, 480)): 90.0,
    ("stream-lite", (1280, 720)): 30.0,
    ("stream-lite", (1920, 1080)): 15.0,
}
"""Frames per second, on two cores with AVX-512."""
NEAR_FFMPEG = 0.9
"""Minimum speed of `decode` relative to FFmpeg's decoder."""
MOST_MEMORY_MB = 700.0


@dataclass(frozen=True, slots=True)
class Row:
    """Results of a model, or of FFmpeg, at a size: medians of `RUNS` runs."""

    model: str
    size: Size
    frames: int
    """Pictures in the clip."""
    fps: float
    """Frames per second from the first packet to the finished file, loading the network included."""
    start_up: float
    """Further seconds of the command: Python, imports, arguments."""
    cpu_ms: float
    """CPU time of all threads per frame, ms."""
    peak_mb: float
    """Peak resident memory of the process."""
    runtime: str
    target: float | None
    """Target in frames per second; None if there is none."""


@dataclass(frozen=True, slots=True)
class Length:
    """Peak memory of a run of some length."""

    model: str
    size: Size
    frames: int
    peak_mb: float


def measure(
    models: list[str], sizes: list[Size], folder: Path, quality: int, seconds: float, device: str
) -> Iterator[Row]:
    """Run each model at each size, and FFmpeg's decoder with our encoder settings before `decode`.

    Args:
        models: names from the catalogue.
        sizes: of the pictures.
        folder: for the clips.
        quality: of the clips' JPEGs.
        seconds: minimum duration of a run.
        device: runtime of the command.
    """
    for size in sizes:
        drawn = isolated(clips.draw, folder, size, quality, "measured")
        reference: float | None = None
        for model in models:
            # Twice, since a first run with cold caches is slow.
            probes = [restore(clips.clip(drawn, size, PROBE), folder / "out.mp4", model, device)[0] for _ in range(2)]
            count = max(PROBE, round(1.3 * seconds * max(report["fps"] for report in probes)))
            clip = clips.clip(drawn, size, count)
            if model == "decode":
                row = ffmpeg_row(clip, folder / "out.mp4", size, count)
                reference = NEAR_FFMPEG * row.fps
                yield row
            target = reference if model == "decode" else TARGETS.get((model, size))
            yield command_row(clip, folder / "out.mp4", model, size, device, target)


def command_row(clip: Path, out: Path, model: str, size: Size, device: str, target: float | None) -> Row:
    """Run the installed command several times."""
    runs = [restore(clip, out, model, device) for _ in range(RUNS)]
    report = runs[0][0]
    return Row(
        model=model,
        size=size,
        frames=report["frames"],
        fps=median(report["fps"] for report, _ in runs),
        start_up=median(ended.seconds - report["seconds"] for report, ended in runs),
        cpu_ms=median(1000 * ended.cpu_seconds / report["frames"] for report, ended in runs),
        peak_mb=max(ended.peak_mb for _, ended in runs),
        runtime=report["runtime"],
        target=target,
    )


def ffmpeg_row(clip: Path, out: Path, size: Size, count: int) -> Row:
    """Run FFmpeg's decoder and the encoder several times, each in its own process."""
    runs = [isolated(transcode, clip, out) for _ in range(RUNS)]
    return Row(
        model="FFmpeg",
        size=size,
        frames=count,
        fps=median(count / seconds for seconds, _, _ in runs),
        start_up=0.0,
        cpu_ms=median(1000 * cpu / count for _, cpu, _ in runs),
        peak_mb=max(peak for _, _, peak in runs),
        runtime="FFmpeg's own decoder",
        target=None,
    )


def transcode(clip: Path, out: Path) -> tuple[float, float, float]:
    """Decode with FFmpeg and encode like the command; returns seconds, CPU seconds and peak memory in 10^6 bytes."""
    import av

    from mjpeg_restore.sinks.encoder import find_encoder

    encoder = find_encoder("h264")
    begun, cpu = monotonic(), process_time()
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        stream = target.add_stream(encoder.name, rate=clips.FPS, width=video.width, height=video.height)
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuvj420p"  # as the decoder gives it: no conversion
        stream.thread_type = "AUTO"
        stream.options = dict(encoder.options)
        for frame in source.decode(video):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return monotonic() - begun, process_time() - cpu, own_peak_mb()


def growth(folder: Path, long: int, quality: int, device: str) -> Iterator[Length]:
    """Peak memory for 10 pictures and for `long` pictures."""
    model, size = "stream-lite", (320, 240)
    drawn = isolated(clips.draw, folder, size, quality, "small")
    for count in (10, long):
        _, ended = restore(clips.clip(drawn, size, count), folder / "out.mp4", model, device)
        yield Length(model, size, count, ended.peak_mb)
