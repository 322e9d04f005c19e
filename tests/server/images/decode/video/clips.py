"""Videos made by PyAV in tests: of frames whose grey level tells their index, or of others."""

import io
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from server.images.decode.image_processor import Pixels
from tests.server.pictures import encode_image

STEP: Final = 6
SIZE: Final = (64, 48)


def make_grey(level: int, size: tuple[int, int] = SIZE) -> Pixels:
    """Return a frame of one level, (height, width, 3)."""
    return np.full((size[1], size[0], 3), level, np.uint8)


def make_steps(count: int, size: tuple[int, int] = SIZE) -> list[Pixels]:
    """Return frames whose level tells their index."""
    return [make_grey(STEP * index % 256, size) for index in range(count)]


def read_index(view: Pixels) -> int:
    """Return the index of a frame of `make_steps`."""
    side = len(view) // 2
    return round(float(view[side - 4 : side + 4, side - 4 : side + 4].mean()) / STEP)


def encode_clip(
    frames: Iterable[Pixels],
    container: str = "matroska",
    codec: str = "ffv1",
    pixel_format: str = "bgr0",
    *,
    rate: int = 10,
    key_interval: int = 12,
    times: Sequence[int] | None = None,
    rotation: int | None = None,
    sound: bool = False,
    fast_start_file: Path | None = None,
    codec_options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> bytes:
    """Return a video; `times` are those of its frames, in units of 1/`rate` seconds.

    An MP4's index is last, unless there is a file to rewrite the video in.
    """
    frames = list(frames)
    buffer = io.BytesIO()
    options = dict(container_options or {})
    if fast_start_file is not None:
        options["movflags"] = "faststart"
    target = fast_start_file or buffer
    with av.open(target, "w", format=container, container_options=options) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=dict(codec_options or {}))
        voice = output.add_stream("pcm_s16le", rate=8000, layout="mono") if sound else None
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.gop_size = key_interval
        if codec != "libsvtav1":
            stream.bit_rate = 4_000_000
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if voice is not None:
            add_silence(output, voice)
        for index, pixels in enumerate(frames):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index if times is None else times[index]
            frame.time_base = Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return buffer.getvalue() if fast_start_file is None else fast_start_file.read_bytes()


def add_silence(output: Any, stream: Any) -> None:
    """Write a second of silence."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
    frame.sample_rate, frame.pts = 8000, 0
    output.mux(stream.encode(frame))
    output.mux(stream.encode())


def encode_sound() -> bytes:
    """Return a Matroska file without video."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        add_silence(output, output.add_stream("pcm_s16le", rate=8000, layout="mono"))
    return buffer.getvalue()


def mux_pictures(pictures: Iterable[Image.Image]) -> bytes:
    """Return a Matroska file of JPEGs, which may differ in size from the first."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream: Any = output.add_stream("mjpeg", rate=1)
        stream.pix_fmt = "yuvj420p"
        for index, picture in enumerate(pictures):
            if not index:
                stream.width, stream.height = picture.size
            packet = av.Packet(encode_image(picture, "JPEG"))
            packet.pts = packet.dts = index
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1), stream, True
            output.mux(packet)
    return buffer.getvalue()


def encode_animation(
    frames: Iterable[Pixels], image_format: str, duration_ms: int | Sequence[int] = 100
) -> bytes:
    """Return an animated GIF, WebP or PNG."""
    first, *others = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if image_format == "WEBP" else {}
    first.save(
        buffer,
        image_format,
        save_all=True,
        append_images=others,
        duration=duration_ms,
        **options,
    )
    return buffer.getvalue()


def repeat_packets(num_frames: int, *, rate: int = 25, key_interval: int = 250) -> bytes:
    """Return a long MP4 that repeats one group of frames, made without encoding them all."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream: Any = output.add_stream("mpeg4", rate=rate)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = key_interval
        group: list[bytes] = []
        for index in range(key_interval):
            frame = VideoFrame.from_ndarray(make_grey(index % 256), format="rgb24")
            group += map(bytes, stream.encode(frame))
        group += map(bytes, stream.encode())
        for index in range(num_frames):
            packet = av.Packet(group[index % key_interval])
            packet.pts = packet.dts = index
            packet.time_base, packet.stream = Fraction(1, rate), stream
            packet.is_keyframe = index % key_interval == 0
            output.mux(packet)
    return buffer.getvalue()
