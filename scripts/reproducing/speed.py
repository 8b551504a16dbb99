"""QGAC, appendix B.5: frames per second and gain of each network."""

from __future__ import annotations

from measuring.machine import machine
from measuring.pictures import encode, filled
from measuring.reading import median_ms

from mjpeg_restore import catalogue
from mjpeg_restore.jpeg import read
from mjpeg_restore.restorer import Restorer
from reproducing import figures
from reproducing.measurement import Bench
from reproducing.page import Page

SIZE = (1280, 720)
SECONDS = 5.0
"""Time for each network; a network that is slower than that per frame restores two frames."""


def show(bench: Bench, page: Page) -> None:
    """Time every shipped network, and fill the section."""
    page.heading("Appendix B.5, figure 8: speed")
    data = encode(filled(bench.pictures("live1")[0], *SIZE), 10)
    found: dict[str, tuple[float, float]] = {}
    cells: list[list[str | float]] = []
    loads: list[float] = []
    plain = bench.score(bench.decode, "live1", 10, "colour").ssim
    for name, model in catalogue.shipped().items():
        network = bench.networks.shipped(name)
        if not network or not model.parameters:
            continue

        def measure(network: Restorer = network) -> float:
            network.restore(read(data))  # loads, too
            return median_ms(lambda: network.restore(read(data)), SECONDS) / 1000

        similar = bench.score(network, "live1", 10, "colour").ssim
        assert similar is not None and plain is not None
        timing = bench.timing(network, 10, "seconds for 1280x720, colour", measure)
        loads.append(timing.load)
        found[name] = 1 / timing.seconds, similar - plain
        cells.append([name, *found[name], model.macs_per_pixel / 1000])
    if not found:
        return
    here = machine()
    page.text(
        f"The speed is that of restoring a colour frame of {SIZE[0]}x{SIZE[1]} at 4:2:0, Q10, from JPEG in memory"
        f" to planes, on {here.cpu}, {here.cores} cores, at a load of up to {max(loads):.1f}; the SSIM gain is that on"
        " LIVE1 at Q10 in colour. In the paper's figure 8, QGAC in its full size restores less than 5 frames a second"
        " on a Pascal GPU, and gains 0.064 (table 1). Networks trained on grey pictures restore Y, Cb and Cr"
        " independently, or luma only."
    )
    page.table("speed", ("network", "frames/s", "SSIM gain", "kMAC/pixel"), cells)
    across = "frames per second of 1280x720 (logarithmic)"
    figure = figures.points(found, across, "SSIM gain over JPEG, LIVE1 Q10", logarithmic=True)
    page.figure(figure, "speed", "SSIM gain and speed of each network")
