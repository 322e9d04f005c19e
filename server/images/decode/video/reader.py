"""Opens a video in memory, and decodes only the frames that are wanted and what they need."""

import importlib
import io
import pkgutil
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from server.images.decode.video.containers import CODECS
from server.images.decode.video.timing import Target, iterate_packets


def _is_accepted(decoder: str) -> bool:
    try:
        return av.Codec(decoder, "r").canonical_name in CODECS
    except ValueError:  # an encoder
        return False


# FFmpeg's decoders of the codecs that are accepted. It opens decoders to learn about streams, too.
DECODERS: Final = tuple(filter(_is_accepted, sorted(av.codecs_available)))
# No demuxer may open a further file. The worker could not, either.
OPTIONS: Final = {
    "protocol_whitelist": "none",
    "enable_drefs": "0",
    "codec_whitelist": ",".join(DECODERS),
}
# Codecs reorder at most 16 frames: so far behind one that is shown later another may be decoded.
MAX_REORDERED: Final = 17


def load_libraries() -> None:
    """Import all of PyAV, which otherwise imports parts of itself late; a confined process cannot.

    With them come FFmpeg's libraries.
    """
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


@contextmanager
def open_video(data: bytes, demuxer: str) -> Iterator[InputContainer]:
    """Open a file's content. Raises `av.FFmpegError` where it is damaged."""
    with av.open(io.BytesIO(data), "r", format=demuxer, options=OPTIONS) as container:
        yield container


def find_video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first stream of video that is no picture of a cover; the others are not read."""
    found = None
    for stream in container.streams:
        is_cover = bool(stream.disposition & Disposition.attached_pic)
        if found is None and isinstance(stream, VideoStream) and not is_cover:
            found = stream
        else:
            stream.discard = Discard.all
    return found


class UnorderedTimesError(Exception):
    """The packets' times are not the presentation times of their frames."""


class ShownFrame(NamedTuple):
    """A frame, and whether it is the first that the codec shows after decoding began anew."""

    frame: VideoFrame
    is_first: bool


def read_frames(
    container: InputContainer,
    stream: VideoStream,
    targets: Sequence[Target],
    *,
    has_times: bool,
    checks_times: bool,
) -> Iterator[ShownFrame]:
    """Yield the frame of each target.

    Packets between one target and the key frame before the next are not decoded. A frame that the
    codec does not show is replaced by the one after it, or at the end before it. Without
    `has_times`, frames are counted. Ends early, or raises `av.FFmpegError`, where the video is
    damaged. With `checks_times` it raises `UnorderedTimesError` if the codec shows frames in
    another order around one of them.
    """
    codec = stream.codec_context
    codec.thread_count = 1
    num_checked = None
    if checks_times:
        num_checked = MAX_REORDERED if codec.has_b_frames else 0
    finder = _FrameFinder(targets, has_times=has_times, num_checked=num_checked)
    is_decoding = False
    for number, packet in enumerate(iterate_packets(container, stream)):
        if finder.is_done:
            return
        if not is_decoding and number >= finder.pending[0].first_packet:
            codec.flush_buffers()
            finder.restart()
            is_decoding = True
        if is_decoding:
            yield from finder.match(codec.decode(packet))
            is_decoding = finder.needs(number + 1)
    if is_decoding:
        yield from finder.match(codec.decode(None))
        yield from finder.finish()


class _FrameFinder:
    """Finds the frames of targets among those decoded."""

    def __init__(
        self, targets: Sequence[Target], *, has_times: bool, num_checked: int | None
    ) -> None:
        """Check the order of frames up to `num_checked` frames after each target, None: not."""
        self.pending = deque(targets)
        self._has_times = has_times
        self._num_checked = num_checked
        self._num_left_to_check = 0
        self._num_decoded = 0
        self._last: VideoFrame | None = None

    @property
    def is_done(self) -> bool:
        """Whether all targets were found."""
        return not self.pending and not self._num_left_to_check

    def needs(self, number: int) -> bool:
        """Whether decoding goes on with a packet."""
        if self._num_left_to_check:
            return True
        return not self.pending or self.pending[0].first_packet <= number

    def restart(self) -> None:
        """Note that the next frames do not follow the last one."""
        self._last = None

    def match(self, frames: Sequence[VideoFrame]) -> Iterator[ShownFrame]:
        """Yield these frames, each as often as it is a target's."""
        for frame in frames:
            self._check_order(frame)
            time = frame.pts if self._has_times else self._num_decoded
            is_first = self._last is None
            self._num_decoded += 1
            self._last = frame
            while self.pending and time is not None and time >= self.pending[0].time:
                self.pending.popleft()
                self._num_left_to_check = self._num_checked or 0
                yield ShownFrame(frame, is_first)

    def finish(self) -> Iterator[ShownFrame]:
        """Yield the last frame for the targets that are left."""
        while self.pending and self._last is not None:
            self.pending.popleft()
            yield ShownFrame(self._last, is_first=False)

    def _check_order(self, frame: VideoFrame) -> None:
        self._num_left_to_check = max(0, self._num_left_to_check - 1)
        if self._num_checked is None or self._last is None:
            return
        if frame.pts is not None and self._last.pts is not None and frame.pts < self._last.pts:
            raise UnorderedTimesError
