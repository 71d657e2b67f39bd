"""H.264 of one camera: the live encoder and the decoder that reads its packets back.

Access units are Annex B without B-frames, and every keyframe is an IDR that carries its own parameter
sets, so decoding can start at any keyframe and packets can be remuxed into datasets unchanged.
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from recorders.yuv import YuvConverter
from teleop_app.core.errors import DeviceError, EpisodeError

MAX_SIDE_PX = 4096
"""Largest width or height accepted from a file before anything is decoded."""

Image = NDArray[np.uint8]

CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "x264": (
        "libx264",
        {
            "preset": "{preset}",
            "tune": "zerolatency",
            "crf": "{crf}",
            "forced-idr": "1",
            "x264-params": "scenecut=0:sliced-threads=0:repeat-headers=1:annexb=1:cabac=0",
        },
    ),
    "nvenc": (
        "h264_nvenc",
        {
            "preset": "p3",
            "tune": "ull",
            "rc": "vbr",
            "cq": "{crf}",
            "b": "0",
            "bf": "0",
            "delay": "0",
            "zerolatency": "1",
            "rc-lookahead": "0",
            "no-scenecut": "1",
            "forced-idr": "1",
        },
    ),
    "vaapi": ("h264_vaapi", {"rc_mode": "CQP", "qp": "{crf}", "bf": "0", "async_depth": "1"}),
}
"""FFmpeg's encoder and its options, by name in the station file. Parameter sets come with every IDR since no
global header is asked for."""


class H264Encoder:
    """Encodes RGB frames one by one, with no delay: every call returns that frame's access unit.

    Args:
        width: [px], even.
        height: [px], even.
        fps: Frame grid rate.
        preset: x264 preset; hardware has one of its own.
        crf: Quality, lower is better and larger; hardware takes it as its constant quality.
        keyframe_frames: Largest distance between keyframes [frames].
        codec: One of `CODECS`.

    Raises:
        DeviceError: The codec is missing or refuses the settings.
    """

    def __init__(
        self,
        width: int,
        height: int,
        fps: int,
        preset: str = "superfast",
        crf: int = 23,
        keyframe_frames: int = 10,
        codec: str = "x264",
    ) -> None:
        self.width = width
        self.height = height
        library, options = CODECS[codec]
        self.name = (
            f"{library} {preset} crf {crf} gop {keyframe_frames}"
            if codec == "x264"
            else (f"{library} cq {crf} gop {keyframe_frames}")
        )
        self._count = 0
        try:
            context = cast("av.VideoCodecContext", av.CodecContext.create(library, "w"))
            context.width = width
            context.height = height
            context.pix_fmt = "yuv420p"
            context.framerate = Fraction(fps)
            context.time_base = Fraction(1, fps)
            context.thread_count = 1
            context.gop_size = keyframe_frames
            context.max_b_frames = 0
            context.colorspace = Colorspace.SMPTE170M
            context.color_range = ColorRange.MPEG
            context.options = {key: value.format(preset=preset, crf=crf) for key, value in options.items()}
            context.open()
        except (FFmpegError, ValueError) as error:
            why = (error.strerror if isinstance(error, FFmpegError) else None) or str(error)
            raise DeviceError(
                f"The H.264 encoder {library} cannot start for {width}x{height} at {fps} fps", why=why
            ) from error
        self._context: av.VideoCodecContext | None = context
        self._converter = YuvConverter(width, height)

    def encode(self, rgb: Image, force_keyframe: bool = False) -> bytes:
        """The access unit of one frame; `is_keyframe` tells whether it is an IDR.

        Args:
            rgb: Shape (height, width, 3), uint8.
            force_keyframe: Make this frame an IDR.

        Raises:
            DeviceError: The frame has another size, or the encoder refuses it.
        """
        if rgb.shape != (self.height, self.width, 3) or rgb.dtype != np.uint8:
            raise DeviceError(
                f"A frame of shape {rgb.shape} {rgb.dtype} cannot be encoded",
                why=f"the encoder was opened for ({self.height}, {self.width}, 3) uint8",
            )
        if self._context is None:
            raise DeviceError("The H.264 encoder is closed")
        frame = self._converter.convert(np.ascontiguousarray(rgb))
        frame.pts = self._count
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        self._count += 1
        try:
            packets = self._context.encode(frame)
        except FFmpegError as error:
            raise DeviceError("The H.264 encoder refused a frame", why=str(error)) from error
        if len(packets) != 1:
            raise DeviceError(
                f"The H.264 encoder returned {len(packets)} packets for one frame",
                why="it was opened without delay and must return one",
            )
        return bytes(packets[0])

    def close(self) -> None:
        """Release the encoder. Idempotent."""
        context, self._context = self._context, None
        if context is not None:
            context.encode(None)  # nothing is held back; this ends the codec's stream


class H264Decoder:
    """Decodes access units of one camera in order, starting at a keyframe.

    Args:
        width: Expected [px]; a stream of another size is refused before its pixels are allocated.
        height: Expected [px].

    Raises:
        EpisodeError: The size is out of range.
    """

    def __init__(self, width: int, height: int) -> None:
        if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
            raise EpisodeError(
                f"Video of {width}x{height} is not read", why=f"the limit is {MAX_SIDE_PX} px a side"
            )
        self._size = (width, height)
        self._reformatter = VideoReformatter()
        self._context = av.CodecContext.create("h264", "r")
        self._context.thread_count = 1
        self._context.flags |= Flags.low_delay
        self._context.options = {"max_pixels": str((width + 16) * (height + 16))}

    def restart(self) -> None:
        """Forget what was decoded: the next access unit is a keyframe. The memory of its pictures is kept."""
        self._context.flush_buffers()

    def decode(self, payload: bytes) -> Image:
        """RGB of the next access unit, shape (height, width, 3), uint8.

        Raises:
            EpisodeError: The bytes are not one frame of the expected size.
        """
        return self.to_rgb(self.decode_frame(payload))

    def decode_frame(self, payload: bytes) -> av.VideoFrame:
        """The next access unit as a YUV frame, for callers that skip it (`to_rgb` converts).

        Raises:
            EpisodeError: As `decode`.
        """
        if not payload:
            raise EpisodeError("A video packet is empty")
        try:
            frames = self._context.decode(av.Packet(payload))
        except (FFmpegError, ValueError) as error:
            raise EpisodeError("A video packet cannot be decoded", why=str(error)) from error
        if len(frames) != 1:
            raise EpisodeError(f"A video packet gave {len(frames)} frames where one was expected")
        frame = frames[0]
        if (frame.width, frame.height) != self._size:
            raise EpisodeError(
                f"A video frame is {frame.width}x{frame.height} where {self._size[0]}x{self._size[1]} was "
                "expected"
            )
        if frame.is_corrupt:
            raise EpisodeError("A video packet is damaged")
        return frame

    def to_rgb(self, frame: av.VideoFrame, size: tuple[int, int] | None = None) -> Image:
        """RGB of a decoded frame, shape (height, width, 3), uint8.

        Args:
            frame: From `decode_frame`.
            size: Width and height [px] to scale to, averaging over areas; None keeps its own.
        """
        width, height = size or self._size
        scaling = Interpolation.AREA if (width, height) != self._size else None
        # One converter for all frames, without threads: a tenth of a millisecond instead of half of one.
        rgb = self._reformatter.reformat(
            frame, width, height, format="rgb24", interpolation=scaling, threads=1
        )
        return np.asarray(rgb.to_ndarray(), np.uint8)


def is_keyframe(payload: bytes) -> bool:
    """Whether an Annex B access unit holds an IDR slice (NAL unit type 5, ITU-T H.264 table 7-1)."""
    at = payload.find(b"\x00\x00\x01")
    while at >= 0 and at + 3 < len(payload):
        kind = payload[at + 3] & 0x1F
        if kind in (1, 5):  # the first slice settles it: the slices of an IDR picture are all IDR
            return kind == 5
        at = payload.find(b"\x00\x00\x01", at + 3)
    return False
