"""What the elements upstream state of a stream: in caps, tags and queries."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mjpeg_restore.frames import FieldLayout
from mjpeg_restore.gstreamer.bindings import Gst
from mjpeg_restore.sources import SourceInfo

NANOSECOND = Fraction(1, 10**9)

_ROTATIONS = {"rotate-90": 270, "rotate-180": 180, "rotate-270": 90}
"""Degrees anticlockwise, by the tag `image-orientation`. Its other values come from EXIF, as the pictures' own do."""

_FIELDS = {"top-field-first": FieldLayout("top", "top"), "bottom-field-first": FieldLayout("bottom", "bottom")}
"""By the field `field-order` of caps."""


def stream_info(name: str, pad: Any) -> SourceInfo:
    """What a sink pad has received of a stream before its first buffer.

    Args:
        name: the source's name in messages.
        pad: a `Gst.Pad` with caps.
    """
    caps = pad.get_current_caps().get_structure(0)
    known, height = caps.get_int("height")
    return SourceInfo(
        *(name, "JPEG", "container", NANOSECOND),
        live=is_live(pad),
        height=height if known else None,
        fields=_FIELDS.get(caps.get_string("field-order")),
        rotation=_ROTATIONS.get(orientation(pad), 0),
    )


def is_live(pad: Any) -> bool:
    """Whether what comes to a sink pad does not wait: a camera."""
    query = Gst.Query.new_latency()
    return pad.peer_query(query) and query.parse_latency().live


def orientation(pad: Any) -> str:
    """The tag `image-orientation` that came to a sink pad; empty without one."""
    found, index = "", 0
    while event := pad.get_sticky_event(Gst.EventType.TAG, index):
        _, value = event.parse_tag().get_string(Gst.TAG_IMAGE_ORIENTATION)
        found, index = value or found, index + 1
    return found


def upright_tags() -> Any:
    """Tags that say that pictures are upright."""
    tags = Gst.TagList.new_empty()
    tags.add_value(Gst.TagMergeMode.REPLACE, Gst.TAG_IMAGE_ORIENTATION, "rotate-0")
    return tags
