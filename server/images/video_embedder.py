"""Turns a request's videos into embeddings, or only counts their video tokens."""

from collections.abc import Sequence

from torch import Tensor

from server.checkpoint.video import VideoConfig
from server.concurrency import gather_or_cancel
from server.images.budget import Charge, MediaBudget
from server.images.decode.video.sampling import FrameSampling
from server.images.embedding import CachedEmbedding
from server.images.media_kind import VIDEO
from server.images.source import LoadedMedia
from server.images.video_loader import VideoLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import EncodedMedia, ImageEmbedsCache
from server.protocol.chat.request import VideoReference
from server.protocol.video import VideoIoKwargs, is_frame_list
from server.telemetry.metrics import Metrics


class VideoEmbedder:
    """Loads and encodes videos, through a cache of their embeddings.

    Videos are shared only within a `cache_partition`, and are counted against the request's
    `budget`.
    """

    def __init__(
        self,
        loader: VideoLoader,
        vision: VisionBatcher,
        video: VideoConfig,
        cache: ImageEmbedsCache,
        metrics: Metrics,
        *,
        sampling: FrameSampling,
    ) -> None:
        """`sampling` is that of requests that ask for no other."""
        self._loader = loader
        self._vision = vision
        self._video = video
        self._embedding = CachedEmbedding(VIDEO, cache, metrics.videos.refusals)
        self._sampling = sampling

    async def embed(
        self,
        references: Sequence[VideoReference],
        options: VideoIoKwargs | None,
        cache_partition: str,
        budget: MediaBudget,
    ) -> list[tuple[str, Tensor]]:
        """Return each video's content key and its embeddings (num_video_tokens, hidden).

        Raises `VideoError`, `ContextLengthExceeded` before a video is encoded that cannot fit, or
        `TooManyRequests` where the key has no image tokens left.
        """
        budget.check_context(len(references) * self._video.count_tokens(1))
        return await gather_or_cancel(
            self._embed(reference, options, cache_partition, budget) for reference in references
        )

    async def count_tokens(
        self,
        references: Sequence[VideoReference],
        options: VideoIoKwargs | None,
        cache_partition: str,
        budget: MediaBudget,
    ) -> list[int]:
        """Return each video's number of video tokens. Raises `VideoError`."""
        return await gather_or_cancel(
            self._count_tokens(reference, options, cache_partition, budget)
            for reference in references
        )

    async def _embed(
        self,
        reference: VideoReference,
        options: VideoIoKwargs | None,
        cache_partition: str,
        budget: MediaBudget,
    ) -> tuple[str, Tensor]:
        sampling = choose_sampling(self._sampling, options, reference.url)
        return await self._embedding.embed(
            self._load(reference, sampling, cache_partition, budget),
            lambda data, charge: self._encode(data, sampling, charge),
            reference.param,
            budget,
        )

    async def _count_tokens(
        self,
        reference: VideoReference,
        options: VideoIoKwargs | None,
        cache_partition: str,
        budget: MediaBudget,
    ) -> int:
        sampling = choose_sampling(self._sampling, options, reference.url)
        with self._embedding.attribute_errors(reference.param):
            video = await self._load(reference, sampling, cache_partition, budget)
            measure = await self._loader.measure(video.data, sampling)
            budget.spend_pixels(measure.pixels, VIDEO)
        return self._video.count_tokens(measure.num_frames)

    async def _load(
        self,
        reference: VideoReference,
        sampling: FrameSampling,
        cache_partition: str,
        budget: MediaBudget,
    ) -> LoadedMedia:
        return await self._loader.load(
            reference.url, cache_partition, sampling, deadline=budget.deadline
        )

    async def _encode(self, data: bytes, sampling: FrameSampling, charge: Charge) -> EncodedMedia:
        decoded = await self._loader.decode(data, sampling)
        charge.make(decoded, self._video.count_tokens(decoded.num_frames))
        embeds = await self._vision.encode_video(decoded.views)
        return EncodedMedia.build(embeds, decoded)


def choose_sampling(
    default: FrameSampling, options: VideoIoKwargs | None, url: str
) -> FrameSampling:
    """Return what a request asks for, else the server's own; never more than its `max_frames`.

    Frames that the client has chosen itself are all taken, unless it asks for fewer.
    """
    if options is None or not options.asks_for_frames:
        return FrameSampling(None, None, default.max_frames) if is_frame_list(url) else default
    num_frames = None if options.num_frames == -1 else options.num_frames
    return FrameSampling(num_frames, options.fps, default.max_frames)
