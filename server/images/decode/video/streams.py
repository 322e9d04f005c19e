"""Videos that FFmpeg reads: their timing first, then the frames that are wanted."""

from fractions import Fraction

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from llava_spec.anyres import Size
from server.images.decode.image_processor import Pixels
from server.images.decode.video.containers import CODECS
from server.images.decode.video.faults import VideoFault, VideoOptions, VideoRefusal
from server.images.decode.video.reader import (
    find_video_stream,
    limit_codec,
    open_video,
    read_frames,
)
from server.images.decode.video.sampling import FrameSampling, choose_frames
from server.images.decode.video.timing import FrameTable, scan_packets
from server.images.decode.video.views import make_views


def decode_streams(
    data: bytes, demuxer: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[Pixels, Size, int]:
    """Return the sampled frames as views, their (width, height), and the number of all frames.

    Raises `VideoRefusal`, or `av.FFmpegError` where the file is damaged.
    """
    with open_video(data, demuxer) as container:
        table, duration_s = _read_table(container, options)
    targets = table.find(choose_frames(len(table), duration_s, sampling))
    with open_video(data, demuxer) as container:
        stream = _find_stream(container, options)
        limit_codec(stream, options.max_pixels)
        frames = read_frames(container, stream, targets, has_times=table.has_times)
        views, frame_size = make_views(map(_convert_to_image, frames), options)
    if len(views) < len(targets):
        raise VideoRefusal(VideoFault.CORRUPT)
    return views, frame_size, len(table)


def _read_table(container: InputContainer, options: VideoOptions) -> tuple[FrameTable, float]:
    """Return a video's frames and its duration in seconds, from its packets."""
    stream = _find_stream(container, options)
    packets = scan_packets(container, stream, options.max_frames)
    if len(packets) > options.max_frames:
        raise VideoRefusal(VideoFault.FRAMES)
    # An AVI has the order of decoding only.
    is_unsure = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
    table = FrameTable(packets, trusts_times=not is_unsure)
    # This container tells how many packets there must be.
    is_cut = container.format.name.startswith("mov,") and len(packets) < stream.frames
    if not len(table) or is_cut:
        raise VideoRefusal(VideoFault.CORRUPT)
    duration_s = _measure_duration(table, container, stream)
    if duration_s > options.max_s:
        raise VideoRefusal(VideoFault.SECONDS)
    return table, duration_s


def _find_stream(container: InputContainer, options: VideoOptions) -> VideoStream:
    stream = find_video_stream(container)
    if stream is None:
        raise VideoRefusal(VideoFault.NO_VIDEO)
    codec = stream.codec_context.codec.canonical_name
    if codec not in CODECS:
        raise VideoRefusal(VideoFault.CODEC, codec=codec)
    options.check_frame_size((stream.width, stream.height))
    return stream


def _measure_duration(table: FrameTable, container: InputContainer, stream: VideoStream) -> float:
    """Return the seconds that the frames last, the last of them as long as the others."""
    if table.has_times and len(table) > 1 and stream.time_base:
        return float(table.span * stream.time_base * Fraction(len(table), len(table) - 1))
    if stream.average_rate:
        return float(len(table) / stream.average_rate)
    return (container.duration or 0) / av.time_base


def _convert_to_image(frame: VideoFrame) -> Image.Image:
    """Return an upright RGB image."""
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
