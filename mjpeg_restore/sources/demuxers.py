"""Which of FFmpeg's demuxers and protocols may touch what a user gives: those that read this one file alone."""

from __future__ import annotations

from types import MappingProxyType

# Scripts and playlists (concat, hls, sdp, ...), numbered pictures, devices and subtitles with a companion are missing
# on purpose: an input of that kind names other files, and FFmpeg would open them. A positive list, for FFmpeg gains new
# ones; beside what can hold Motion-JPEG it has what is often taken for it, so that the error names the codec.
_DEMUXERS = (
    *("avi", "mov", "matroska", "nut", "mxf", "asf", "asf_o", "mpegts", "mpeg", "flv", "live_flv", "kux", "ogg"),
    *("smjpeg", "gxf", "dv", "rm", "wtv", "swf", "nuv", "nsv", "dhav", "ivf", "mxg", "lmlm4", "pva", "ty", "vivo"),
    *("mods", "moflex", "cine", "h264", "hevc", "vvc", "m4v", "mpegvideo", "vc1", "av1", "obu", "h261", "h263"),
    *("wav", "w64", "aiff", "caf", "au", "mp3", "aac", "ac3", "eac3", "flac", "amr", "ape", "tta", "wv", "dsf", "dts"),
)

OPTIONS = MappingProxyType(
    {
        "format_whitelist": ",".join(_DEMUXERS),
        "enable_drefs": "0",  # MOV: samples in other files
        "use_absolute_path": "0",
    }
)
"""Container options for every input. The protocols that are allowed come on top: `PATH` or `FILE_OBJECT`."""

PATH = "file"
FILE_OBJECT = "none"
"""Values of `protocol_whitelist`: a path needs one; of a file object nothing else is opened, whatever it names."""
