"""An input may name other files: none of them is opened. Other codecs are named in the error."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path

import av
import pytest

from mjpeg_restore.errors import NotMjpeg, SourceError
from mjpeg_restore.sources import open_source
from tests.sources.clips import MuxClip, add_encoder, pipe

SCRIPTS = {
    "ffconcat": "ffconcat version 1.0\nfile {}\n",
    "concat": "file '{}'\n",
    "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "master playlist": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{}\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{}</BaseURL></MPD>',
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n",
    "redirection": "RTSPtextRTSP://127.0.0.1/{}\n",
}


@pytest.mark.parametrize("name", ["x.avi", "x.m3u8", "x.ffconcat", "x", "x%02d.jpg", "x.mjpeg"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_and_playlists_are_refused(
    mux: MuxClip, monkeypatch: pytest.MonkeyPatch, script: str, name: str
) -> None:
    other = mux("other.avi")
    monkeypatch.chdir(other.parent)
    for named in ("other.avi", str(other), other.as_uri(), f"file:{other}"):
        data = SCRIPTS[script].format(named).encode() + b"\0"  # a NUL, so that it is not taken for text
        path = other.with_name(name)
        path.write_bytes(data)
        for spec in (path, data, io.BytesIO(data), pipe(data)):
            with pytest.raises(NotMjpeg, match="holds no JPEG picture and is no recording") as caught:
                open_source(spec)
            assert "\n" not in str(caught.value)


def test_a_script_after_id3_tags_is_refused(mux: MuxClip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mux("other.avi").parent)
    tags = b"ID3\x04\x00\x00\x00\x00\x00\x00"
    with pytest.raises(SourceError, match="cannot open"):
        open_source(tags + b"ffconcat version 1.0\nfile other.avi\n\0")


def alias(path: str) -> bytes:
    """An entry of a MOV's `dref` that names another file: a Macintosh alias record with an absolute path."""
    colons = path.replace("/", ":").encode()
    colons += b"\0" * (len(colons) % 2)
    levels = struct.pack(">HH", 1, 1)
    record = bytes(10 + 28 + 12 + 64 + 16) + levels + bytes(16) + struct.pack(">HH", 2, len(colons)) + colons
    record += b"\xff\xff\0\0"
    return struct.pack(">I4sI", len(record) + 12, b"alis", 0) + record


def with_alias(movie: bytes, path: str) -> bytes:
    """A movie with its index at the end, whose pictures are zeroed and referred to in another file."""
    entry = alias(path)
    place = movie.index(b"dref") + 12
    own = struct.unpack_from(">I", movie, place)[0]
    data = bytearray(movie[:place] + entry + movie[place + own :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = data.rindex(name, 0, place + 8) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(entry) - own)
    start = data.index(b"mdat") + 4
    data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
    return bytes(data)


def test_samples_in_another_file_are_not_read(mux: MuxClip) -> None:
    whole = mux("clip.mov")
    other = whole.with_name("other.mov")
    shutil.copy(whole, other)
    whole.write_bytes(with_alias(whole.read_bytes(), "/volume/other.mov"))
    with av.open(str(whole), container_options={"enable_drefs": "1"}) as container:  # the record is valid
        assert any(packet.size for packet in container.demux(video=0))
    with open_source(whole) as source, pytest.raises(SourceError):
        list(source)


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4", "nut", "mxf", "asf", "ts", "flv"])
def test_other_codecs_in_containers_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    with av.open(str(path), "w") as container:
        stream = add_encoder(container, {"flv": "flv", "mxf": "mpeg2video"}.get(suffix, "mpeg4"))
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(NotMjpeg, match="not Motion-JPEG"):
        open_source(path)


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "asf", "nut"])
def test_containers_that_can_hold_motion_jpeg_are_read(mux: MuxClip, jpegs: list[bytes], suffix: str) -> None:
    with open_source(mux(f"clip.{suffix}")) as source:
        assert [packet.data for packet in source] == jpegs
