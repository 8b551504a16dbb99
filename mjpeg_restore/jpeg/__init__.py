"""Bytes to coefficients: markers, packets, the coefficient readers, damage and repair, tables, the DCT."""

from mjpeg_restore.jpeg.coefficients import read, reader_name
from mjpeg_restore.jpeg.continuity import find_dc_jump
from mjpeg_restore.jpeg.header import JpegHeader
from mjpeg_restore.jpeg.markers import scan
from mjpeg_restore.jpeg.packets import HeaderWalk, Part, Parts, is_fragment, is_tables_only
from mjpeg_restore.jpeg.repair import repair
from mjpeg_restore.jpeg.segments import known_tables
from mjpeg_restore.jpeg.splitter import Splitter, split
from mjpeg_restore.jpeg.tables import estimate_quality

__all__ = [
    "HeaderWalk",
    "JpegHeader",
    "Part",
    "Parts",
    "Splitter",
    "estimate_quality",
    "find_dc_jump",
    "is_fragment",
    "is_tables_only",
    "known_tables",
    "read",
    "reader_name",
    "repair",
    "scan",
    "split",
]
