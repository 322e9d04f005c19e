"""Connects the stages of images and videos: fetchers, loaders, vision model, caches."""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from server.checkpoint.config import Checkpoint
from server.checkpoint.image_memory import compute_image_cache_bytes
from server.checkpoint.video import VideoConfig
from server.checkpoint.vision import ImageConfig
from server.images.decode.decode import DecodeOptions
from server.images.decode.formats import FORMATS
from server.images.decode.sandbox import DecodeLimits
from server.images.decode.video.faults import VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.images.decode.workers import DecodeWorkers
from server.images.embedder import ImageEmbedder
from server.images.fetch.fetcher import Fetcher
from server.images.fetch.http_cache import MemoryStorage
from server.images.fetch.options import FetchOptions
from server.images.loader import ImageLoader
from server.images.video_embedder import VideoEmbedder
from server.images.video_loader import VideoLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.cache import ImageEmbedsCache
from server.images.vision.runner import VisionRunner
from server.process.machine import count_decode_workers
from server.settings import Settings
from server.telemetry.metrics import Metrics


def connect_media(
    settings: Settings,
    checkpoint: Checkpoint,
    metrics: Metrics,
    runner: VisionRunner,
    stack: AsyncExitStack,
) -> tuple[ImageEmbedder, VideoEmbedder | None]:
    """Return the embedders of images and, if the model supports it, of video.

    They share decode workers, vision model and caches. `stack` closes what was opened.
    """
    batcher = VisionBatcher(runner, max_views=settings.vision_batch_size, metrics=metrics)
    stack.callback(batcher.close)
    workers = _start_workers(settings, metrics)
    stack.callback(workers.close)
    fetch_cache = MemoryStorage(settings.fetch_cache_bytes) if settings.fetch_cache_bytes else None
    cache = ImageEmbedsCache(compute_image_cache_bytes(settings, checkpoint), metrics)

    options = build_decode_options(settings, checkpoint.image)
    fetcher = Fetcher(_build_fetch_options(settings), cache=fetch_cache)
    stack.push_async_callback(fetcher.close)
    variant = _describe_variant(checkpoint, options)
    loader = ImageLoader(fetcher, options, workers, variant=variant, metrics=metrics)
    images = ImageEmbedder(loader, batcher, cache, metrics)
    if checkpoint.video is None:
        return images, None

    video_options = build_video_options(settings, checkpoint.image.size, checkpoint.video)
    fetcher = Fetcher(_build_video_fetch_options(settings), cache=fetch_cache)
    stack.push_async_callback(fetcher.close)
    variant = _describe_variant(checkpoint, video_options)
    videos = VideoEmbedder(
        VideoLoader(fetcher, video_options, workers, variant=variant, metrics=metrics),
        batcher,
        checkpoint.video,
        cache,
        metrics,
        sampling=FrameSampling(
            settings.video_frames, settings.video_fps, settings.max_video_frames
        ),
    )
    return images, videos


def _start_workers(settings: Settings, metrics: Metrics) -> DecodeWorkers:
    limits = DecodeLimits(
        memory_bytes=settings.decode_memory_bytes,
        cpu_s=settings.decode_cpu_s,
        wall_s=settings.decode_timeout_s,
    )
    count = settings.decode_workers or count_decode_workers()
    return DecodeWorkers(count=count, limits=limits, metrics=metrics)


def _describe_variant(checkpoint: Checkpoint, options: DecodeOptions | VideoOptions) -> str:
    # Without its folder, so that replicas on other machines derive the same keys.
    return f"{replace(checkpoint, path=Path())!r} {options!r}"


def _build_fetch_options(settings: Settings) -> FetchOptions:
    return FetchOptions(
        max_bytes=settings.max_image_bytes,
        timeout_s=settings.fetch_timeout_s,
        connect_timeout_s=settings.fetch_connect_timeout_s,
        read_timeout_s=settings.fetch_read_timeout_s,
        allow_networks=settings.fetch_allow_networks,
        allow_ports=settings.fetch_allow_ports,
        allow_domains=settings.fetch_allow_domains,
        deny_domains=settings.fetch_deny_domains,
        allow_userinfo=settings.fetch_allow_userinfo,
        connections_per_host=settings.fetch_connections_per_host,
        folders=settings.image_folders,
        proxy_env=settings.fetch_proxy_env,
    )


def _build_video_fetch_options(settings: Settings) -> FetchOptions:
    return replace(
        _build_fetch_options(settings),
        max_bytes=settings.max_video_bytes,
        timeout_s=settings.video_fetch_timeout_s,
        accept="video/*,image/*",
        frame_lists=True,
    )


def build_decode_options(settings: Settings, image: ImageConfig) -> DecodeOptions:
    """Return how images are decoded, from the settings and the checkpoint."""
    return DecodeOptions(
        size=image.size,
        aspect_ratio=image.aspect_ratio,
        max_pixels=settings.max_image_pixels,
        grid_pinpoints=image.grid_pinpoints,
        pad_color=image.pad_color,
        fast_jpeg=settings.fast_jpeg,
        alpha_color=settings.alpha_rgb,
        color_management=settings.color_management == "srgb",
        orientation=settings.orientation == "exif",
        max_frames=settings.max_image_frames,
        animated_images=settings.animated_images,
        formats=tuple(each for each in FORMATS if each.lower() in settings.image_formats),
    )


def build_video_options(settings: Settings, size: int, video: VideoConfig) -> VideoOptions:
    """Return how videos are decoded, to views of (size, size)."""
    return VideoOptions(
        size=size,
        crop=video.crop,
        max_pixels=settings.max_video_pixels,
        max_frames=settings.max_video_file_frames,
        max_s=settings.max_video_s,
        formats=settings.video_formats,
        max_total_pixels=settings.max_request_pixels,
        alpha_color=settings.alpha_rgb,
        color_management=settings.color_management == "srgb",
    )
