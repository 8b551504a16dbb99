"""Measure shipped networks on pictures with known originals, and compare them with published tables.

    python scripts/evaluate.py --data DATA/eval/live1 --quality 10 20 30 40
    python scripts/evaluate.py --data DATA/eval/live1 --peers DATA/peers     # AR-CNN and DnCNN-3, run here, too

Luma is measured as in the tables: limited-range BT.601 luma, compressed as a grey JPEG. RGB is measured on colour JPEGs
at 4:2:0. Gains are over the plain decode of the same files. "worse" is the share of pictures whose luma or RGB PSNR
fell. "unnatural" is the distance of luma's scene statistics from the originals', 0 for equal ones: it shows blur and
invented texture, which PSNR does not. "consistent" is, for networks that guarantee it, the share of coefficients of the
float output, luma and chroma, that quantise back to those of the file.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from installed import needed
from measuring.consistency import Consistency
from measuring.metrics import psnr
from measuring.pictures import Kind, Plane, encode, files, limited_luma, load, original
from measuring.scores import judge, samples, statistics, unnaturalness
from numpy.typing import NDArray

from mjpeg_restore import catalogue
from mjpeg_restore.cli.wording import worded
from mjpeg_restore.errors import MjpegRestoreError
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer

PUBLISHED = {
    "live1": {
        "JPEG": (27.77, 30.07, 31.41, 32.35),
        "AR-CNN (4 models, 107 kMAC)": (28.96, 31.29, 32.67, 33.61),
        "DnCNN-3 (667 kMAC)": (29.19, 31.59, 32.98, 33.96),
        "QGAC": (29.51, 31.83, 33.20, 34.16),
        "FBCNN (2780 kMAC)": (29.75, 32.13, 33.54, 34.53),
    },
    "bsds500-test": {
        "JPEG": (27.80, 30.05, 31.37, 32.30),
        "AR-CNN (4 models, 107 kMAC)": (29.10, 31.28, 32.67, 33.55),
        "DnCNN-3 (667 kMAC)": (29.21, 31.53, 32.90, 33.85),
        "QGAC": (29.46, 31.73, 33.07, 34.01),
        "FBCNN (2780 kMAC)": (29.67, 32.00, 33.37, 34.33),
    },
}
"""Luma PSNR in dB at Q10, Q20, Q30 and Q40, by folder name."""

TEXTURED = " --texture 1"
"""Suffix of a model's name: with the weights that were trained for texture."""

Choose = Callable[[int], Restorer]
"""Returns the network for a quality."""


@dataclass(frozen=True, slots=True)
class Row:
    """Means over a data set at one quality, those in dB over the pictures that have a finite value.

    PSNR is infinite where a picture is restored exactly, as one of a single colour. None: it is of every picture.
    """

    luma_psnr: float | None
    luma_psnr_b: float | None
    luma_ssim: float
    luma_gain: float | None
    rgb_psnr: float | None
    rgb_gain: float | None
    luma_worse: float
    rgb_worse: float
    unnatural: float | None
    """Distance of luma's scene statistics from the originals' (`measuring.naturalness`); None for small pictures."""
    consistent: float | None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="folder of pictures")
    parser.add_argument("--quality", nargs="+", type=_quality, default=[10, 20, 30, 40], help="1 to 100")
    parser.add_argument("--model", nargs="+", help="networks to measure (all that are shipped)")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="weights of AR-CNN and DnCNN-3: measure them too")
    parser.add_argument("--device", default="onnxruntime", help="the runtime (onnxruntime)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write-manifest", action="store_true", help="write the results to engines/manifest.json")
    return parser.parse_args()


def _quality(word: str) -> int:
    if not word.isdecimal() or not 1 <= int(word) <= 100:
        raise argparse.ArgumentTypeError(f"{word!r} is not 1 to 100")
    return int(word)


def shipped(model: str, device: str, texture: float = 0.0) -> Choose:
    """A model of the catalogue, which selects the variant for a quality itself."""
    restorer = Restorer(model, device, texture=texture)
    return lambda quality: restorer


def peers(weights: Path, graphs: Path, device: str) -> dict[str, Choose]:
    """AR-CNN, with a network per quality, and DnCNN-3, exported to the folder `graphs` under our contract."""
    from measuring.peers import load_ar_cnn, load_dn_cnn, publish

    def ar_cnn(quality: int) -> Restorer:
        return Restorer(publish(f"AR-CNN-{quality}", load_ar_cnn(weights, quality), graphs), device)

    dn_cnn = Restorer(publish("DnCNN-3", load_dn_cnn(weights), graphs), device)
    return {
        "AR-CNN": cache(ar_cnn),
        "DnCNN-3": lambda quality: dn_cnn,
    }


@dataclass(frozen=True, slots=True)
class Compared:
    """Restored pictures of one kind at one quality, with scores and gains over the plain decode."""

    restored: list[Plane]
    scores: NDArray[np.float64]
    """PSNR, PSNR-B and SSIM of each picture, `[pictures, 3]`."""
    gains: NDArray[np.float64]
    """PSNR gain of each picture in dB, `[pictures]`; not finite where a picture is exact, restored or decoded."""


def compare(
    restorer: Restorer, decoder: Restorer, pictures: list[Plane], quality: int, kind: Kind, cell: Consistency
) -> Compared:
    """Compress, restore and measure pictures, and count consistent coefficients in `cell`."""
    restored, scores, gains = [], [], []
    for picture in pictures:
        truth = original(picture, kind)
        coded = read(encode(truth, quality))
        cell.add(coded)
        restored.append(samples(restorer, coded))
        scores.append(judge(restored[-1], truth))
        gains.append(scores[-1][0] - psnr(samples(decoder, coded), truth))
    return Compared(restored, np.array(scores), np.array(gains))


def mean(values: Iterable[float]) -> float | None:
    """The mean of those that are finite, to three digits; None if none is."""
    finite = [value for value in values if math.isfinite(value)]
    return round(float(np.mean(finite)), 3) if finite else None


def measure(restorer: Restorer, pictures: list[Plane], natural: NDArray[np.float64], quality: int) -> Row:
    """Means over the pictures at one quality; `natural` holds the statistics of the originals' luma."""
    cell, decoder = Consistency(restorer), Restorer(catalogue.DECODE, "onnxruntime")
    luma, rgb = (compare(restorer, decoder, pictures, quality, kind, cell) for kind in ("luma", "colour"))
    unnatural = unnaturalness(luma.restored, natural)
    return Row(
        luma_psnr=mean(luma.scores[:, 0]),
        luma_psnr_b=mean(luma.scores[:, 1]),
        luma_ssim=round(float(luma.scores[:, 2].mean()), 4),
        luma_gain=mean(luma.gains),
        rgb_psnr=mean(rgb.scores[:, 0]),
        rgb_gain=mean(rgb.gains),
        luma_worse=float(np.mean(luma.gains < 0)),
        rgb_worse=float(np.mean(rgb.gains < 0)),
        unnatural=None if unnatural is None else round(unnatural, 2),
        consistent=cell.share,
    )


def table(model: str, rows: dict[int, Row]) -> list[str]:
    lines = [
        f"\n{model}",
        "   Q   luma PSNR  PSNR-B    SSIM    gain  worse    RGB PSNR    gain  worse  unnatural  consistent",
    ]
    for quality, row in rows.items():
        consistent = shown(row.consistent and 100 * row.consistent, ".4f", " %")
        lines.append(
            f"  {quality:2}     {shown(row.luma_psnr):>7} {shown(row.luma_psnr_b):>7}  {row.luma_ssim:.4f}"
            f"  {shown(row.luma_gain, '+.2f'):>5}  {100 * row.luma_worse:3.0f} %     {shown(row.rgb_psnr):>7}"
            f"   {shown(row.rgb_gain, '+.2f'):>5}  {100 * row.rgb_worse:3.0f} %  {shown(row.unnatural):>9}"
            f"  {consistent:>10}"
        )
    return lines


def shown(value: float | None, form: str = ".2f", unit: str = "") -> str:
    """A figure of a table; "-" for none."""
    return "-" if value is None else f"{value:{form}}{unit}"


def comparison(data: str, results: dict[str, dict[int, Row]]) -> list[str]:
    """Our luma PSNR and published ones, with gains over the JPEG of the same table."""
    published = PUBLISHED.get(data)
    common = [quality for quality in (10, 20, 30, 40) if all(quality in rows for rows in results.values())]
    if not published or not common:
        return []
    lines = [
        "\nluma PSNR in dB, and gain over the JPEG of the same table",
        " " * 32 + "".join(f"{f'Q{q}':>16}" for q in common),
    ]
    base = published["JPEG"]
    for name, values in published.items():
        cells = [(values[q // 10 - 1], values[q // 10 - 1] - base[q // 10 - 1]) for q in common]
        lines.append(f"{'published: ' + name:44}"[:44] + "".join(f"{a:8.2f} ({b:+.2f})" for a, b in cells))
    for name, rows in results.items():
        who = "ours: " if name.split()[0] in catalogue.shipped() else "run here: "
        lines.append(
            f"{who + name:44}"
            + "".join(f"{shown(rows[q].luma_psnr):>8} ({shown(rows[q].luma_gain, '+.2f'):>5})" for q in common)
        )
    return lines


def write_manifest(data: str, results: dict[str, dict[int, Row]]) -> None:
    """Write the results to the manifest; earlier results at other qualities stay."""
    path = catalogue.shipped_folder() / "manifest.json"
    manifest = json.loads(path.read_text())
    entries = dict(manifest["models"])
    entries |= {name + TEXTURED: entry["texture"] for name, entry in manifest["models"].items() if entry["texture"]}
    for name, rows in results.items():
        if name not in entries:  # a peer
            continue
        quality = entries[name].setdefault("quality", {})
        noted = {int(q): row for q, row in quality.get(data, {}).items()} | {q: asdict(row) for q, row in rows.items()}
        quality[data] = {str(q): noted[q] for q in sorted(noted)}
    catalogue.write_manifest(path.parent, manifest["models"])


def evaluate(options: argparse.Namespace) -> None:
    """Measure, print, and write to the manifest if that is wanted.

    Raises:
        MjpegRestoreError: something cannot be read, or a network does not run.
        OSError: the manifest cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="mjpeg-restore-") as graphs:
        import onnx  # noqa: F401, a missing package is reported before the first network is measured

        pictures = [load(path) for path in files(options.data)]
        networks = {name: shipped(name, options.device) for name in options.model or catalogue.shipped()}
        for name in [name for name in networks if catalogue.find(name).texture]:
            networks[name + TEXTURED] = shipped(name, options.device, texture=1.0)
        if options.peers:
            networks |= peers(options.peers, Path(graphs), options.device)
        natural = statistics(map(limited_luma, pictures))
        results = {
            name: {quality: measure(choose(quality), pictures, natural, quality) for quality in options.quality}
            for name, choose in networks.items()
        }
    data = options.data.resolve().name
    if options.json:
        figures = {name: {q: asdict(row) for q, row in rows.items()} for name, rows in results.items()}
        print(json.dumps({"data": data, "pictures": len(pictures), "device": options.device, "models": figures}))
    else:
        print(f"{data}: {len(pictures)} pictures, {options.device}")
        for name, rows in results.items():
            print("\n".join(table(name, rows)))
        print("\n".join(comparison(data, results)))
    if options.write_manifest:
        write_manifest(data, results)


def main() -> int:
    options = arguments()
    try:
        with needed("Evaluating"):
            evaluate(options)
    except (MjpegRestoreError, OSError) as error:
        sys.exit(f"evaluate: {worded(error)}")
    except KeyboardInterrupt:
        print("evaluate: stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
