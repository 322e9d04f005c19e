"""Videos that FFmpeg reads: their timing first, then the frames that are wanted."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from llava_spec.anyres import Size
from server.images.decode.image_processor import Pixels
from server.images.decode.video.containers import CODECS
from server.images.decode.video.faults import VideoFault, VideoOptions, VideoRefusal
from server.images.decode.video.reader import (
    find_video_stream,
    open_video,
    read_frames,
)
from server.images.decode.video.sampling import FrameSampling, choose_frames
from server.images.decode.video.timing import FrameTable, Target, scan_packets
from server.images.decode.video.upright import convert_to_image, measure_upright
from server.images.decode.video.views import make_views, stack_views


def decode_streams(
    data: bytes, demuxer: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[Pixels, Size, int]:
    """Return the sampled frames as views, their (width, height), and the number of all frames.

    Raises `VideoRefusal`, or `av.FFmpegError` where the file is damaged.
    """
    with open_video(data, demuxer) as container:
        table, duration_s = _read_table(container, options)
    targets = table.find(choose_frames(len(table), duration_s, sampling))
    video = _Video(data, demuxer, options, table.has_times)
    views, frame_size, times = video.read_views(targets)
    if late := _find_late(targets, times):
        earlier = [targets[number].start_earlier() for number in late]
        with suppress(av.FFmpegError):  # then what was found must do
            better, better_size, _ = video.read_views(earlier)
            frame_size = frame_size if views else better_size
            found = dict(enumerate(views)) | dict(zip(late, better, strict=False))
            views = [found[number] for number in sorted(found)]
    return stack_views(views, len(targets)), frame_size, len(table)


def _find_late(targets: Sequence[Target], times: Sequence[int | None]) -> list[int]:
    """Return the targets, by their numbers, for which the codec has shown a later frame or none.

    H.264 with intra refresh marks as key frames those with which a picture only begins to form.
    """
    return [
        number
        for number, (target, time) in enumerate(zip_longest(targets, times))
        if time != target.time and target.earlier_packet < target.first_packet
    ]


@dataclass(frozen=True, slots=True)
class _Video:
    """A video whose frames are looked up by their times, or without them by their numbers."""

    data: bytes
    demuxer: str
    options: VideoOptions
    has_times: bool

    def read_views(self, targets: Sequence[Target]) -> tuple[list[Pixels], Size, list[int | None]]:
        """Return the targets' frames as views, their (width, height), and when each is shown.

        Ends early where the video does.
        """
        times: list[int | None] = []

        def convert(frame: VideoFrame) -> Image.Image:
            times.append(frame.pts)
            self.options.check_frame_size(measure_upright(frame))
            return convert_to_image(frame)

        with open_video(self.data, self.demuxer) as container:
            stream = _find_stream(container, self.options)
            frames = read_frames(container, stream, targets, has_times=self.has_times)
            views, frame_size = make_views(map(convert, frames), self.options)
        return views, frame_size, times


def _read_table(container: InputContainer, options: VideoOptions) -> tuple[FrameTable, float]:
    """Return a video's frames and its duration in seconds, from its packets."""
    stream = _find_stream(container, options)
    packets = scan_packets(container, stream, options.max_frames)
    if len(packets) > options.max_frames:
        raise VideoRefusal(VideoFault.FRAMES)
    # An AVI has the order of decoding only.
    is_unsure = container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
    table = FrameTable(packets, trusts_times=not is_unsure)
    if not len(table) or _is_cut(container, stream, len(packets)):
        raise VideoRefusal(VideoFault.CORRUPT)
    duration_s = _measure_duration(table, container, stream)
    if duration_s > options.max_s:
        raise VideoRefusal(VideoFault.SECONDS)
    return table, duration_s


def _is_cut(container: InputContainer, stream: VideoStream, num_packets: int) -> bool:
    """Whether a file has fewer packets than its index."""
    # Only this container's index has all of them, without those that an edit list cuts off.
    if container.format.name != "mov" or num_packets >= len(stream.index_entries):
        return False
    # An empty one repeats the frame before it, and is not read.
    return num_packets < sum(entry.size > 0 for entry in stream.index_entries)


def _find_stream(container: InputContainer, options: VideoOptions) -> VideoStream:
    stream = find_video_stream(container)
    if stream is None:
        raise VideoRefusal(VideoFault.NO_VIDEO)
    context: VideoCodecContext | None = stream.codec_context  # None: FFmpeg has no decoder
    codec = "unknown" if context is None else context.codec.canonical_name
    if codec not in CODECS:
        raise VideoRefusal(VideoFault.CODEC, codec=codec)
    # A stream that begins amid a group of frames has no size yet: its frames are checked.
    if stream.width and stream.height:
        options.check_frame_size((stream.width, stream.height))
    return stream


def _measure_duration(table: FrameTable, container: InputContainer, stream: VideoStream) -> float:
    """Return the seconds that the frames last, the last of them as long as the others."""
    if table.has_times and len(table) > 1 and stream.time_base:
        return float(table.span * stream.time_base * Fraction(len(table), len(table) - 1))
    if stream.average_rate:
        return float(len(table) / stream.average_rate)
    return (container.duration or 0) / av.time_base
