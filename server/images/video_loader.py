"""Loads videos: fetching, a content key, and decoding sampled frames in a worker process."""

import signal
import time
from collections.abc import Mapping
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final

from pebble import ProcessExpired

from server.errors import (
    VideoCorrupt,
    VideoError,
    VideoFetchFailed,
    VideoFormatUnsupported,
    VideoTooLarge,
    VideoUrlForbidden,
    VideoUrlInvalid,
)
from server.images.decode.video.containers import detect_container
from server.images.decode.video.decode import DecodedVideo
from server.images.decode.video.faults import VideoFailure, VideoFault, VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.errors import (
    DataTooLarge,
    FetchError,
    FetchFailed,
    UrlForbidden,
    UrlInvalid,
)
from server.images.fetch.fetcher import Fetcher
from server.images.source import MediaSource
from server.telemetry.metrics import Metrics
from server.telemetry.timeline import annotate

TOO_SLOW: Final = "The video's frames could not be decoded within"
REMEDY: Final = "send smaller or fewer frames, or a part of the video"
ENCODE_ANEW: Final = "encode it anew, as H.264 in MP4 for example"

FETCH_ERRORS: Final[Mapping[type[FetchError], type[VideoError]]] = {
    UrlInvalid: VideoUrlInvalid,
    UrlForbidden: VideoUrlForbidden,
    FetchFailed: VideoFetchFailed,
    DataTooLarge: VideoTooLarge,
}

REFUSALS: Final[Mapping[VideoFault, type[VideoError]]] = {
    VideoFault.FORMAT: VideoFormatUnsupported,
    VideoFault.CODEC: VideoFormatUnsupported,
    VideoFault.NO_VIDEO: VideoFormatUnsupported,
    VideoFault.CORRUPT: VideoCorrupt,
    VideoFault.PIXELS: VideoTooLarge,
    VideoFault.TOTAL: VideoTooLarge,
    VideoFault.SHAPE: VideoTooLarge,
    VideoFault.FRAMES: VideoTooLarge,
    VideoFault.SECONDS: VideoTooLarge,
    VideoFault.MEMORY: VideoTooLarge,
}


@dataclass(frozen=True, slots=True)
class LoadedVideo:
    """A video's encoded bytes, its content key and which frames are needed of it."""

    data: bytes
    key: str
    sampling: FrameSampling


class VideoLoader:
    """Fetches and decodes videos. Concurrent loads of one URL share a fetch."""

    def __init__(
        self,
        fetcher: Fetcher,
        options: VideoOptions,
        workers: DecodeWorkers,
        *,
        variant: str,
        metrics: Metrics,
    ) -> None:
        """The workers are those of images."""
        self._source = MediaSource(fetcher, variant, FETCH_ERRORS, metrics)
        self._options = options
        self._workers = workers
        self._metrics = metrics

    async def load(
        self,
        url: str,
        cache_partition: str,
        sampling: FrameSampling,
        *,
        deadline: float | None = None,
    ) -> LoadedVideo:
        """Return a video's encoded bytes and its content key. Raises `VideoError`.

        Fetches and keys are shared only within a `cache_partition`. `deadline` is when fetching
        ends, on the event loop's clock.
        """
        with self._metrics.stage("load"):
            data = await self._source.fetch(url, cache_partition, deadline)
            self._metrics.videos.bytes.observe(len(data))
            annotate("llava.video.bytes", len(data))
            # Before it queues for a worker behind other videos.
            if detect_container(data, self._options.formats) is None:
                raise self._build_error(VideoFailure(VideoFault.FORMAT))
            key = await self._source.derive_key(data, cache_partition, repr(sampling))
            return LoadedVideo(data, key, sampling)

    async def decode(self, video: LoadedVideo) -> DecodedVideo:
        """Decode and preprocess a video's sampled frames in a worker. Raises `VideoError`."""
        try:
            result = await self._workers.run_video(video.data, self._options, video.sampling)
        except TimeoutError:
            limit_s = self._workers.limits.wall_s
            raise VideoTooLarge(f"{TOO_SLOW} {limit_s:g} seconds; {REMEDY}.") from None
        except (ProcessExpired, BrokenProcessPool) as error:
            if getattr(error, "exitcode", 0) != -signal.SIGXCPU:
                raise VideoCorrupt(f"Decoding the video failed; {ENCODE_ANEW}.") from None
            cpu_s = self._workers.limits.cpu_s
            raise VideoTooLarge(f"{TOO_SLOW} {cpu_s} seconds of CPU time; {REMEDY}.") from None
        if isinstance(result, VideoFailure):
            raise self._build_error(result)
        self._observe(result)
        return result

    def _observe(self, decoded: DecodedVideo) -> None:
        now = time.perf_counter()
        self._metrics.record_stage("decode", now - decoded.decode_s, now)
        annotate("llava.video.format", decoded.format)
        annotate("llava.video.frames", decoded.num_frames)
        metrics = self._metrics.videos
        metrics.decoded.labels(decoded.format).inc()
        metrics.frames.observe(decoded.num_frames)
        metrics.decode_s.observe(decoded.decode_s)

    def _build_error(self, failure: VideoFailure) -> VideoError:
        return REFUSALS[failure.fault](_describe(failure, self._options))


def _describe(failure: VideoFailure, options: VideoOptions) -> str:
    """Return what a client is told about a refused video."""
    size = f"{failure.size[0]}x{failure.size[1]}"
    formats = ", ".join(options.formats)
    return {
        VideoFault.FORMAT: f"The data is not a video of a supported container ({formats}).",
        VideoFault.CODEC: f"Videos of the codec {failure.codec} are not accepted; {ENCODE_ANEW}.",
        VideoFault.NO_VIDEO: "The file holds no video: sound or pictures only. Send pictures as"
        " image_url.",
        VideoFault.CORRUPT: f"The video is damaged or cut short; {ENCODE_ANEW}.",
        VideoFault.PIXELS: f"A frame has {size} pixels, of at most {options.max_pixels} in all;"
        f" {REMEDY}.",
        VideoFault.TOTAL: f"The frames that are to be used have {size} pixels each, which is more"
        f" than {options.max_total_pixels} together; ask for fewer frames, or send a smaller"
        " video.",
        VideoFault.SHAPE: f"The video is too oblong: {size} pixels; crop it.",
        VideoFault.FRAMES: f"The video has more than {options.max_frames} frames; {REMEDY}.",
        VideoFault.SECONDS: f"The video lasts more than {options.max_s:g} seconds; send a part.",
        VideoFault.MEMORY: f"Decoding the video takes more memory than allowed; {REMEDY}.",
    }[failure.fault]
