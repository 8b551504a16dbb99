"""The page about a paper: Markdown, the same numbers as JSON, and PNG figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measuring.pictures import Kind

from mjpeg_restore import catalogue
from mjpeg_restore.catalogue import Model
from mjpeg_restore.restorer import Restorer
from reproducing.figures import Figure, save
from reproducing.measurement import Bench, Score
from reproducing.networks import command

PLAIN = "JPEG"
"""The baseline of all gains."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method on one set at one quality: our measurement and the published one; None for an unknown figure."""

    set: str
    quality: int
    method: str
    ours: Score | None
    published: Score | None
    gain: float | None
    """Ours over our JPEG, in dB."""
    published_gain: float | None
    """The paper's over its own JPEG, in dB."""
    whole: bool
    """Whether all pictures of the set were measured."""

    @property
    def difference(self) -> float | None:
        """Our gain minus the published one, in dB; None if only a part of the set was measured."""
        if not self.whole or self.gain is None or self.published_gain is None:
            return None
        return self.gain - self.published_gain


def rows(
    title: str, quality: int, ours: Mapping[str, Score | None], published: Mapping[str, Score | None], whole: bool
) -> list[Row]:
    """Our scores and the published ones, row by row; both include `PLAIN`."""
    found: list[Row] = []
    here, there = ours.get(PLAIN), published.get(PLAIN)
    for method in {**published, **ours}:
        own, theirs = ours.get(method), published.get(method)
        if own or theirs:
            gain, published_gain = (None, None) if method == PLAIN else (_gain(own, here), _gain(theirs, there))
            found.append(Row(title, quality, method, own, theirs, gain, published_gain, whole))
    return found


def _gain(score: Score | None, plain: Score | None) -> float | None:
    return score.psnr - plain.psnr if score and plain else None


def compared(
    bench: Bench,
    name: str,
    kind: Kind,
    published: Mapping[int, Mapping[str, Score | None]],
    networks: Callable[[int], Mapping[str, Restorer | None]],
) -> list[Row]:
    """Measure networks and the plain decode on a set at each published quality, next to the published scores.

    Args:
        bench: does the measuring.
        name: folder of the set.
        kind: the part of each picture that is compressed and measured.
        published: scores by quality and method.
        networks: maps a quality to its networks by method; None for one that is not shipped.
    """
    found: list[Row] = []
    for quality, theirs in published.items():
        ours = {PLAIN: bench.decode, **networks(quality)}
        scores = {method: bench.score(network, name, quality, kind) for method, network in ours.items() if network}
        found += rows(bench.title(name), quality, scores, theirs, bench.whole(name))
    return found


class Page:
    """Collects the page about a paper, in the order of the measurements."""

    def __init__(self, name: str, title: str, folder: Path) -> None:
        """Start an empty page.

        Args:
            name: stem of the page's files.
            title: of the page.
            folder: for the files.
        """
        self.name, self.folder = name, folder
        self._lines = [f"# {title}", ""]
        self._figures: dict[str, Any] = {"paper": name}
        self._missing: dict[str, str] = {}
        self._not_made: dict[str, str] = {}

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs."""
        for paragraph in paragraphs:
            self._lines += [paragraph, ""]

    def heading(self, title: str) -> None:
        """Begin a section."""
        self.text(f"## {title}")

    def note(self, key: str, value: Any) -> None:
        """Keep a measured value in the JSON."""
        self._figures[key] = value

    def missing(self, what: str, model: str, stage: str | None = None, *, ablation: bool = False) -> None:
        """Note that a result is left out; `left_out` writes the commands that would make its network."""
        self.text(f"*{what} is left out: see the end of this page.*")
        self._missing[what] = command(model, stage, ablation=ablation)

    def not_made(self, what: str, why: str) -> None:
        """Note that a figure or row of the paper is not made; `left_out` says why.

        Args:
            what: of the paper: "Figures 1 to 3".
            why: the rest of the sentence: "are drawings of the method".
        """
        self._not_made[what] = why

    def table(self, key: str, header: Sequence[str], cells: Sequence[Sequence[str | float]]) -> None:
        """Add a table: text aligned left, numbers aligned right with three decimals."""
        left = [all(isinstance(row[column], str) for row in cells) for column in range(len(header))]
        self._lines.append(f"| {' | '.join(header)} |")
        self._lines.append(f"|{'|'.join('---' if words else '---:' for words in left)}|")
        self._lines += [f"| {' | '.join(c if isinstance(c, str) else f'{c:z.3f}' for c in row)} |" for row in cells]
        self._lines.append("")
        self.note(key, [dict(zip(header, row, strict=True)) for row in cells])

    def comparison(self, key: str, found: Sequence[Row]) -> None:
        """Add a table of our scores, the published ones and the difference of the gains."""
        names = {"psnr": "PSNR", "psnr_b": "PSNR-B", "ssim": "SSIM"}
        wanted = [name for name in names if any(getattr(row.published or row.ours, name) for row in found)]
        header = ["set", "Q", "method"]
        header += [word for name in wanted for word in (names[name], "published")]
        header += ["gain", "published", "difference"]
        self._lines.append(f"| {' | '.join(header)} |")
        self._lines.append(f"|---|---:|---|{'---:|' * (len(header) - 3)}")
        for row in found:
            cells = [row.set, str(row.quality), row.method]
            for name in wanted:
                digits = 4 if name == "ssim" else 2
                cells += [
                    _number(getattr(score, name) if score else None, digits) for score in (row.ours, row.published)
                ]
            cells += [_number(row.gain, 2, "+"), _number(row.published_gain, 2, "+")]
            difference = _number(row.difference, 2, "+")
            cells.append(f"**{difference}**" if difference != "-" else difference)
            self._lines.append(f"| {' | '.join(cells)} |")
        self._lines.append("")
        self.note(key, [asdict(row) | {"difference": row.difference} for row in found])

    def figure(self, figure: Figure, stem: str, caption: str) -> None:
        """Save a figure to a file, and include it with its caption."""
        path = self.folder / f"{self.name}-{stem}.png"
        save(figure, path)
        self.text(f"![{caption}]({path.name})", f"*{caption}*")

    def networks(self, used: Sequence[Model]) -> None:
        """Add a table of the measured networks and their training."""
        cells: dict[tuple[str, ...], list[str | float]] = {}
        known = list(catalogue.shipped())
        for model in sorted(used, key=lambda model: known.index(model.name) if model.name in known else len(known)):
            for variant in sorted(model.variants, key=lambda variant: variant.qualities or (1, 100)):
                records = variant.training
                distinct = {str(record): kind for kind, record in records.items()}
                for kind in distinct.values():
                    record = records[kind]
                    cells[model.name, variant.name, kind] = [
                        model.name,
                        variant.name if len(distinct) == 1 else f"{variant.name}, {kind}",
                        f"{model.parameters:,}",
                        f"{model.macs_per_pixel / 1000:.1f}"
                        + ("" if model.per_component or len(records) > 1 else " (grey)"),
                        catalogue.training_time(record),
                        f"{record['steps']:,}",
                        f"{record['megapixels']:,}",
                    ]
        if cells:
            self.heading("The networks")
            self.table(
                "networks",
                (
                    *("model", "for", "parameters", "kMAC/pixel", "trained for"),
                    *("batches of the last stage", "megapixels of all stages"),
                ),
                list(cells.values()),
            )

    def left_out(self) -> None:
        """Say what of the paper is not made, and add the commands that would make the missing networks."""
        self.note("not_made", self._not_made)
        if self._not_made:
            self.heading("Not made")
            self.text("\n".join(f"- {what} {why}." for what, why in self._not_made.items()))
        self.note("left_out", self._missing)
        if self._missing:
            self.heading("Left out")
            self.text("These networks are not shipped. The commands that would train and export them:")
            self.text("\n".join(f"- {what}: {how}" for what, how in self._missing.items()))

    def write(self) -> Path:
        """Write the Markdown and the JSON file; returns the path of the Markdown."""
        path = self.folder / f"{self.name}.md"
        path.write_text("\n".join(self._lines).rstrip() + "\n")
        (self.folder / f"{self.name}.json").write_text(json.dumps(self._figures, indent=2) + "\n")
        return path


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}z.{digits}f}"
