"""Videos that FFmpeg reads: their timing first, then the frames that are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from llava_spec.anyres import Size
from server.images.decode.image_processor import Pixels
from server.images.decode.video.containers import CODECS
from server.images.decode.video.faults import VideoFault, VideoOptions, VideoRefusal
from server.images.decode.video.reader import (
    ShownFrame,
    UnorderedTimesError,
    find_video_stream,
    open_video,
    read_frames,
)
from server.images.decode.video.sampling import FrameSampling, choose_frames
from server.images.decode.video.timing import FrameTable, Target, scan_packets
from server.images.decode.video.upright import convert_to_image, measure_upright
from server.images.decode.video.views import make_view, stack_views


def decode_streams(
    data: bytes, demuxer: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[Pixels, Size, int]:
    """Return the sampled frames as views, their (width, height), and the number of all frames.

    Raises `VideoRefusal`, or `av.FFmpegError` where the file is damaged.
    """
    table, duration_s, _, indices = _choose_frames(data, demuxer, options, sampling)
    video = _Video(data, demuxer, options)
    try:
        frames = video.read_all(table, indices)
    except UnorderedTimesError:
        table = table.without_times()
        indices = choose_frames(len(table), duration_s, sampling)
        frames = video.read_all(table, indices)
    frame_size = frames[0].frame_size if frames else (0, 0)
    return stack_views([each.view for each in frames], len(indices)), frame_size, len(table)


def measure_streams(
    data: bytes, demuxer: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[int, Size]:
    """Return the number of sampled frames and their stored (width, height), from the packets.

    It is the number that `decode_streams` returns: frames that are counted for want of times are as
    many. The size is (0, 0) where only the frames tell. Raises what `decode_streams` does.
    """
    _, _, stored_size, indices = _choose_frames(data, demuxer, options, sampling)
    return len(indices), stored_size


def _choose_frames(
    data: bytes, demuxer: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[FrameTable, float, Size, list[int]]:
    """Return what `_read_table` does, and the indices of the frames to take."""
    with open_video(data, demuxer) as container:
        table, duration_s, stored_size = _read_table(container, options)
    indices = choose_frames(len(table), duration_s, sampling)
    options.check_total(stored_size, len(indices))
    return table, duration_s, stored_size, indices


@dataclass(frozen=True, slots=True)
class _Frame:
    """A target's frame as a view, and the upright (width, height) that it had."""

    view: Pixels
    frame_size: Size
    is_late: bool


@dataclass(frozen=True, slots=True)
class _Video:
    """A video whose frames are looked up by their times, or without them by their numbers."""

    data: bytes
    demuxer: str
    options: VideoOptions

    def read_all(self, table: FrameTable, indices: Sequence[int]) -> list[_Frame]:
        """Return frames by their indices. Ends early where the video does.

        H.264 with intra refresh marks as key frames those with which a picture only begins to
        form. Where the first picture is a later one, decoding begins earlier and earlier.
        Raises `UnorderedTimesError`.
        """
        found: dict[int, _Frame] = {}
        missing: Sequence[int] = range(len(indices))
        keys_earlier = 0
        while missing:
            targets = table.find([indices[number] for number in missing], keys_earlier)
            try:
                frames = self.read(table, targets)
            except av.FFmpegError:
                if not found:
                    raise
                break  # what was found must do
            found |= zip(missing, frames, strict=False)
            missing = [
                number
                for number, target, frame in zip_longest(missing, targets, frames)
                if (frame is None or frame.is_late) and target.can_start_earlier
            ]
            keys_earlier = max(1, 2 * keys_earlier)
        return [found[number] for number in sorted(found)]

    def read(self, table: FrameTable, targets: Sequence[Target]) -> list[_Frame]:
        """Return the targets' frames. Ends early where the video does."""
        with open_video(self.data, self.demuxer) as container:
            stream = _find_stream(container, self.options)
            frames = read_frames(
                container,
                stream,
                targets,
                has_times=table.has_times,
                checks_times=table.needs_check,
            )
            # In this order: times are checked after the last frame, too.
            pairs = zip(frames, targets, strict=False)
            return [self._prepare(shown, target) for shown, target in pairs]

    def _prepare(self, shown: ShownFrame, target: Target) -> _Frame:
        frame_size = measure_upright(shown.frame)
        self.options.check_frame_size(frame_size)
        view = make_view(convert_to_image(shown.frame), self.options.size, crop=self.options.crop)
        is_late = shown.is_first and shown.frame.pts != target.time
        return _Frame(view, frame_size, is_late)


def _read_table(container: InputContainer, options: VideoOptions) -> tuple[FrameTable, float, Size]:
    """Return a video's frames, its duration in seconds and its frames' size, from its packets.

    The size is (0, 0) where only the frames tell.
    """
    stream = _find_stream(container, options)
    packets = scan_packets(container, stream, options.max_frames)
    if len(packets) > options.max_frames:
        raise VideoRefusal(VideoFault.FRAMES)
    table = FrameTable(packets)
    if not len(table) or _is_cut(container, stream, len(packets)):
        raise VideoRefusal(VideoFault.CORRUPT)
    duration_s = _measure_duration(table, container, stream)
    if duration_s > options.max_s:
        raise VideoRefusal(VideoFault.SECONDS)
    return table, duration_s, (stream.width, stream.height)


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
