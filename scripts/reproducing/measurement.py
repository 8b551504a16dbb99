"""Scores of restored pictures, measured once for each network, set and quality."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from measuring import pictures, text_file
from measuring.machine import machine
from measuring.pictures import TITLES, Kind, Plane
from measuring.scores import judge, samples, statistics, unnaturalness
from numpy.typing import NDArray

from mjpeg_restore.errors import SourceError, reason_of
from mjpeg_restore.frames import CodedPicture
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing.networks import Networks


@dataclass(frozen=True, slots=True)
class Score:
    """Means over a set of pictures; None for a figure that a paper does not give."""

    psnr: float
    psnr_b: float | None = None
    ssim: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took."""

    seconds: float
    load: float
    """Load average of the machine at the time: above a few tenths, it took longer than it need."""


class Kept:
    """Measured values by what they are of, in a JSON file from run to run, or in memory only."""

    def __init__(self, path: Path | None) -> None:
        """Read the file if there is one.

        Raises:
            SourceError: it holds something else.
        """
        self._path = path
        self._values: dict[str, tuple[Any, ...]] = {}
        if path and path.is_file():
            self._values = _read(path)

    def get(self, what: str) -> tuple[Any, ...] | None:
        """The values, or None if they have not been measured."""
        return self._values.get(what)

    def put(self, what: str, values: tuple[Any, ...]) -> None:
        """Keep values.

        Raises:
            SinkError: the file cannot be written.
        """
        self._values[what] = values
        if self._path:
            text_file.write(self._path, json.dumps(self._values, indent=0) + "\n")


def _read(path: Path) -> dict[str, tuple[Any, ...]]:
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict) or not all(map(_are_figures, found.values())):
            raise ValueError("not figures by what they are of")
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: no scores of an earlier run ({reason_of(error)}); delete it") from error
    return {what: tuple(values) for what, values in found.items()}


def _are_figures(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


class Bench:
    """The sets of pictures, the networks, and the scores.

    A set is a folder of pictures, "live1"; with a side, "live1/128", it consists of the squares of that side that its
    pictures are cut into.
    """

    def __init__(self, data: Path, most: int | None, networks: Networks, scores: Path | None = None) -> None:
        """Prepare the measurements.

        Args:
            data: folder with one subfolder per set of pictures.
            most: maximum number of pictures per set; None for all.
            networks: supplies the networks.
            scores: file that keeps scores and times from run to run.

        Raises:
            SourceError: that file holds something else.
        """
        self.data, self.most = data, most
        self.networks = networks
        self.decode = networks.plain()
        self._pictures: dict[tuple[str, int], list[Plane]] = {}
        self._natural: dict[str, NDArray[np.float64]] = {}
        self._kept = Kept(scores)

    def pictures(self, name: str, shrink: int = 1) -> list[Plane]:
        """The pictures of a set: uint8 `[height, width, 3]` each.

        Raises:
            SourceNotFound: the set is missing.
        """
        if (name, shrink) not in self._pictures:
            folder, _, side = name.partition("/")
            found = [pictures.load(path, shrink) for path in self._files(folder)]
            self._pictures[name, shrink] = [s for p in found for s in pictures.squares(p, int(side))] if side else found
        return self._pictures[name, shrink]

    def picture(self, name: str, stem: str) -> tuple[str, Plane]:
        """A picture of a set, by its file's name, with that name; the set's first picture if there is no such file."""
        files = self._files(name)
        path = next((path for path in files if path.stem == stem), files[0])
        return path.stem, pictures.load(path)

    def _files(self, folder: str) -> list[Path]:
        return pictures.files(self.data / folder)[: self.most]

    def whole(self, name: str) -> bool:
        """Whether all pictures of a set are used."""
        return self.most is None or len(pictures.files(self.data / name.partition("/")[0])) <= self.most

    def title(self, name: str) -> str:
        """A set in tables: "LIVE1", or "CID22, 128x128"."""
        folder, _, side = name.partition("/")
        return TITLES.get(folder, folder) + (f", {side}x{side}" if side else "")

    def described(self, name: str) -> str:
        """The used pictures of a set in words: "all 29 pictures of LIVE1"."""
        of_set = f"{len(self.pictures(name))} pictures of {self.title(name)}"
        return f"all {of_set}" if self.whole(name) else f"the first {of_set}"

    def coded(self, name: str, quality: int, kind: Kind, shrink: int = 1) -> Iterator[tuple[CodedPicture, Plane]]:
        """A set's pictures as JPEGs, each with its original."""
        for picture in self.pictures(name, shrink):
            original = pictures.original(picture, kind)
            yield read(pictures.encode(original, quality)), original

    def example(self, name: str, quality: int, kind: Kind, side: int) -> tuple[CodedPicture, Plane]:
        """The middle of a set's first picture as a JPEG, with its original: for a page to show."""
        original = pictures.middle(pictures.original(self.pictures(name)[0], kind), side)
        return read(pictures.encode(original, quality)), original

    def score(self, restorer: Restorer, name: str, quality: int, kind: Kind, shrink: int = 1) -> Score:
        """Mean scores of a network over a set at one JPEG quality."""
        network = self.networks.identity(restorer, quality)
        key = f"{network} {name} {self.most or 'all'} Q{quality} {kind} 1/{shrink}"
        if values := self._kept.get(key):
            return Score(*values)
        log(f"{restorer.model.name}: {self.title(name)}, Q{quality}, {kind}")
        found = [judge(samples(restorer, coded), o) for coded, o in self.coded(name, quality, kind, shrink)]
        score = Score(*np.mean(found, axis=0).tolist())
        self._kept.put(key, astuple(score))
        return score

    def gain(self, restorer: Restorer, name: str, quality: int, kind: Kind, shrink: int = 1) -> float:
        """PSNR gain over the plain decode, in dB."""
        what = (name, quality, kind, shrink)
        return self.score(restorer, *what).psnr - self.score(self.decode, *what).psnr

    def values(
        self, restorer: Restorer, quality: int, what: str, measure: Callable[[], tuple[float, ...]]
    ) -> tuple[float, ...]:
        """Further figures of a network, kept like its scores.

        Args:
            restorer: of the network.
            quality: of the JPEGs.
            what: names what is measured, with the pictures.
            measure: measures it.
        """
        key = f"{self.networks.identity(restorer, quality)} Q{quality} {what}"
        if values := self._kept.get(key):
            return values
        log(f"{restorer.model.name}: {what}, Q{quality}")
        found = measure()
        self._kept.put(key, found)
        return found

    def unnaturalness(self, restorer: Restorer, name: str, quality: int) -> float | None:
        """Distance of a set's restored luma from the scene statistics of its originals; None if they are too few."""

        def measure() -> tuple[float, ...]:
            if name not in self._natural:
                planes = (pictures.original(picture, "luma") for picture in self.pictures(name))
                self._natural[name] = statistics(planes)
            restored = (samples(restorer, coded) for coded, _ in self.coded(name, quality, "luma"))
            found = unnaturalness(restored, self._natural[name])
            return () if found is None else (found,)

        found = self.values(restorer, quality, f"unnaturalness, {self.described(name)}", measure)
        return found[0] if found else None

    def timing(self, restorer: Restorer, quality: int, what: str, measure: Callable[[], float]) -> Timing:
        """How long a network takes.

        Args:
            restorer: of the network.
            quality: of the JPEGs.
            what: names what is measured.
            measure: measures it, in seconds.
        """

        def measured() -> tuple[float, float]:
            load = machine().load
            return measure(), load

        return Timing(*self.values(restorer, quality, what, measured))

    def set_timing(self, restorer: Restorer, name: str, quality: int, kind: Kind) -> Timing:
        """How long decoding and restoring a whole set takes, from JPEGs in memory, after one warm-up picture."""

        def measure() -> float:
            files = [pictures.encode(pictures.original(p, kind), quality) for p in self.pictures(name)]
            restorer.restore(read(files[0]))
            begun = perf_counter()
            for data in files:
                restorer.restore(read(data))
            return perf_counter() - begun

        return self.timing(restorer, quality, f"seconds for {self.described(name)}, {kind}", measure)


def log(message: str) -> None:
    """Print a progress message to standard error."""
    print(f"reproduce: {message}", file=sys.stderr)
