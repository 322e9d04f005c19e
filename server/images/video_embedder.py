"""Turns a request's videos into embeddings, or only counts their video tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from llava_spec.anyres import Size
from server.checkpoint.video import VideoConfig
from server.concurrency import gather_or_cancel
from server.errors import VideoError
from server.images.budget import Charge, MediaBudget
from server.images.decode.video.sampling import FrameSampling
from server.images.source import attribute_errors
from server.images.video_loader import LoadedVideo, VideoLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.protocol.chat.request import VideoReference
from server.protocol.video import VideoIoKwargs, is_frame_list
from server.telemetry.metrics import Metrics
from server.telemetry.stages import Span


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """A video's embeddings (num_video_tokens, hidden), and the facts that its budget needs.

    `frame_size` is the upright frames' (width, height); `num_frames` of `total_frames` are used.
    """

    embeds: Tensor
    frame_size: Size
    num_frames: int
    total_frames: int

    @property
    def pixels(self) -> int:
        """Pixels of the frames that are used."""
        return self.frame_size[0] * self.frame_size[1] * self.num_frames

    @property
    def nbytes(self) -> int:
        """Bytes of the embeddings."""
        return self.embeds.nbytes


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
        cache: ImageEmbedsCache[EncodedVideo],
        metrics: Metrics,
        *,
        sampling: FrameSampling,
    ) -> None:
        """`sampling` is that of requests that ask for no other."""
        self._loader = loader
        self._vision = vision
        self._video = video
        self._cache = cache
        self._metrics = metrics
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
        with (
            Span("video"),
            attribute_errors(VideoError, reference.param, self._metrics.videos.refusals),
        ):
            video = await self._load(reference, options, cache_partition, budget)
            charge = Charge(budget, reference.param)
            encoded = await self._cache.get_or_compute(
                video.key, lambda: self._encode(video, charge), budget.meter.key_name
            )
            charge.make_video(encoded, len(encoded.embeds))
        return video.key, encoded.embeds

    async def _count_tokens(
        self,
        reference: VideoReference,
        options: VideoIoKwargs | None,
        cache_partition: str,
        budget: MediaBudget,
    ) -> int:
        with attribute_errors(VideoError, reference.param, self._metrics.videos.refusals):
            video = await self._load(reference, options, cache_partition, budget)
            decoded = await self._loader.decode(video)
            budget.spend_video(decoded, reference.param)
        return self._video.count_tokens(decoded.num_frames)

    async def _load(
        self,
        reference: VideoReference,
        options: VideoIoKwargs | None,
        cache_partition: str,
        budget: MediaBudget,
    ) -> LoadedVideo:
        sampling = choose_sampling(self._sampling, options, reference.url)
        return await self._loader.load(
            reference.url, cache_partition, sampling, deadline=budget.deadline
        )

    async def _encode(self, video: LoadedVideo, charge: Charge) -> EncodedVideo:
        decoded = await self._loader.decode(video)
        charge.make_video(decoded, self._video.count_tokens(decoded.num_frames))
        embeds = await self._vision.encode_video(decoded.views)
        return EncodedVideo(embeds, decoded.frame_size, decoded.num_frames, decoded.total_frames)


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
