"""Pictures as the bytes of PNG and JPEG files, through FFmpeg's encoders (without Pillow)."""

# PyAV's stubs leave the parameter of Packet open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from fractions import Fraction

import av

from mjpeg_restore import colour
from mjpeg_restore.frames import Picture
from mjpeg_restore.sinks import pixels
from mjpeg_restore.sinks.base import ImageFormat, OutputSettings
from mjpeg_restore.sinks.encoder import find_encoder

BEST_JPEG = 2
"""Default quality of JPEG on FFmpeg's scale: 1 (best) to 31."""


class PictureEncoder:
    """Encodes each picture as a PNG or JPEG file; several threads may use it at the same time.

    *PNG* stores RGB, or grey for a grey picture.

    *JPEG* stores the planes in full range, at the stream's chroma subsampling, with three exceptions: 4:4:0 and 4:1:1
    become the nearest finer subsampling, grey gets neutral chroma, and interlaced 4:2:0 becomes 4:2:2, because JPEG
    decoders would mix the chroma of the two fields (quirk S6).
    """

    def __init__(self, format: ImageFormat, settings: OutputSettings | None = None) -> None:
        """Choose the encoder.

        Args:
            format: of the files.
            settings: `crf` of JPEG on FFmpeg's scale, 1 (best) to 31; `BEST_JPEG` if None.
        """
        self._png = format == "png"
        crf = settings.crf if settings else None
        quality = OutputSettings(crf=BEST_JPEG if crf is None else crf)
        self._encoder = find_encoder("png") if self._png else find_encoder("mjpeg", quality)

    def encode(self, picture: Picture) -> bytes:
        """The bytes of the file.

        Raises:
            FFmpegError: the encoder refuses the picture, such as one of more than 65,500 pixels across.
        """
        if self._png:
            frame = _rgb_frame(picture)
        else:
            wanted = pixels.sampling_to_code(self._encoder.codec, picture)
            if picture.field_order:
                wanted = pixels.full_chroma_lines(wanted)  # S6
            sampling, pix_fmt = pixels.choose_format(self._encoder.codec, wanted)
            converted = pixels.convert(picture, sampling, full_range=True)
            frame = pixels.to_frame(converted, pix_fmt, picture.width, picture.height)
        frame.pts = 0
        frame.time_base = Fraction(1, 25)
        context = self._open(frame)
        return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])

    def _open(self, frame: av.VideoFrame) -> av.VideoCodecContext:
        """An encoder for a single picture, since every file has its own header and tables."""
        context = av.VideoCodecContext.create(self._encoder.codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base = Fraction(1, 25)
        context.sample_aspect_ratio = Fraction(1)  # makes FFmpeg write a JFIF header
        # On one thread FFmpeg optimises the Huffman tables: a quarter fewer bytes in less time.
        context.thread_count = 1
        if not self._png:
            pixels.tag(context, full_range=True)
        context.options = dict(self._encoder.options)
        context.open()
        return context


def _rgb_frame(picture: Picture) -> av.VideoFrame:
    if len(picture.planes) == 1:
        return av.VideoFrame.from_ndarray(colour.to_range(picture, full=True).planes[0], format="gray")
    return av.VideoFrame.from_ndarray(picture.to_ndarray("rgb"), format="rgb24")
