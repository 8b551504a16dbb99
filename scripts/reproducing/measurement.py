"""Scores of restored pictures, measured once for each network, set and quality."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from measuring import pictures
from measuring.pictures import TITLES, Kind, Plane
from measuring.scores import judge, samples

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


class Bench:
    """The sets of pictures, the networks, and a cache of the scores."""

    def __init__(self, data: Path, most: int | None, networks: Networks) -> None:
        """Prepare the measurements.

        Args:
            data: folder with one subfolder per set of pictures.
            most: maximum number of pictures per set; None for all.
            networks: supplies the networks.
        """
        self.data, self.most = data, most
        self.networks = networks
        self.decode = networks.plain()
        self._pictures: dict[tuple[str, int], list[Plane]] = {}
        self._scores: dict[tuple[Restorer, str, int, Kind, int], Score] = {}

    def pictures(self, name: str, shrink: int = 1) -> list[Plane]:
        """The pictures of a set: uint8 `[height, width, 3]` each.

        Raises:
            SourceNotFound: the set is missing.
        """
        if (name, shrink) not in self._pictures:
            files = pictures.files(self.data / name)[: self.most]
            self._pictures[name, shrink] = [pictures.load(path, shrink) for path in files]
        return self._pictures[name, shrink]

    def whole(self, name: str) -> bool:
        """Whether all pictures of a set are used."""
        return self.most is None or len(pictures.files(self.data / name)) <= self.most

    def described(self, name: str) -> str:
        """The used pictures of a set in words: "all 29 pictures of LIVE1"."""
        of_set = f"{len(self.pictures(name))} pictures of {TITLES.get(name, name)}"
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
        key = (restorer, name, quality, kind, shrink)
        if key not in self._scores:
            log(f"{restorer.model.name}: {TITLES.get(name, name)}, Q{quality}, {kind}")
            found = [judge(samples(restorer, coded), o) for coded, o in self.coded(name, quality, kind, shrink)]
            self._scores[key] = Score(*np.mean(found, axis=0).tolist())
        return self._scores[key]

    def gain(self, restorer: Restorer, name: str, quality: int, kind: Kind, shrink: int = 1) -> float:
        """PSNR gain over the plain decode, in dB."""
        what = (name, quality, kind, shrink)
        return self.score(restorer, *what).psnr - self.score(self.decode, *what).psnr

    def seconds(self, restorer: Restorer, name: str, quality: int, kind: Kind) -> float:
        """Seconds to decode and restore a whole set from JPEGs in memory, after one warm-up picture."""
        files = [pictures.encode(pictures.original(p, kind), quality) for p in self.pictures(name)]
        restorer.restore(read(files[0]))
        begun = perf_counter()
        for data in files:
            restorer.restore(read(data))
        return perf_counter() - begun


def log(message: str) -> None:
    """Print a progress message to standard error."""
    print(f"reproduce: {message}", file=sys.stderr)
