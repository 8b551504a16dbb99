"""Bytes to coefficients: the marker walk, the coefficient reader, tables, the DCT, damage and repair."""

from mjpeg_restore.jpeg.coefficients import read, reader_name
from mjpeg_restore.jpeg.continuity import jump
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.packets import HeaderWalk, Part, Parts
from mjpeg_restore.jpeg.repair import repair
from mjpeg_restore.jpeg.segments import known_tables
from mjpeg_restore.jpeg.splitter import Splitter, is_scrap, is_tables, split
from mjpeg_restore.jpeg.tables import estimate_quality

__all__ = [
    "HeaderWalk",
    "JpegHeader",
    "Part",
    "Parts",
    "Splitter",
    "estimate_quality",
    "is_scrap",
    "is_tables",
    "jump",
    "known_tables",
    "read",
    "reader_name",
    "repair",
    "scan",
    "split",
]
