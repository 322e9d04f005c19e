"""The real stages of a small random checkpoint, with video if it supports it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from server.checkpoint.config import Checkpoint, read_checkpoint
from server.images.decode.decode import DecodeOptions
from server.images.decode.video.faults import VideoOptions
from server.images.decode.workers import DecodeWorkers
from server.images.fetch.fetcher import Fetcher
from server.images.video_loader import VideoLoader
from server.images.vision.batcher import VisionBatcher
from server.images.vision.runner import EagerRunner
from server.images.vision.weights import load_vision_model
from server.structured_outputs.validator import GrammarValidator
from server.telemetry.metrics import Metrics
from tests.server.images.open_loader import build_loader, open_workers
from tests.server.loopback import build_loopback_options
from tests.server.pipeline.stages import MAX_PIXELS, Stages

VIDEO_FORMATS = ("mp4", "matroska", "mjpeg", "gif")


@contextmanager
def open_family_stages(path: Path) -> Iterator[Stages]:
    """Return the stages of a checkpoint, and close them at the end of the block."""
    checkpoint, metrics = read_checkpoint(path), Metrics()
    image = checkpoint.image
    options = DecodeOptions(
        *(image.size, image.aspect_ratio, 1_000_000, image.grid_pinpoints, image.pad_color)
    )
    model = load_vision_model(checkpoint, torch.device("cpu"), torch.float32)
    vision = VisionBatcher(EagerRunner(model), max_views=4, metrics=metrics)
    grammars = GrammarValidator(checkpoint.path)
    with open_workers(metrics=metrics) as workers:
        loader = build_loader(workers, options, max_bytes=1_000_000, metrics=metrics)
        videos = _connect_videos(checkpoint, workers, metrics)
        yield Stages(checkpoint, loader, vision, metrics, grammars, videos)
    grammars.close()
    vision.close()


def _connect_videos(
    checkpoint: Checkpoint, workers: DecodeWorkers, metrics: Metrics
) -> VideoLoader | None:
    if checkpoint.video is None:
        return None
    size, crop = checkpoint.image.size, checkpoint.video.crop
    return VideoLoader(
        Fetcher(build_loopback_options(max_bytes=1_000_000, timeout_s=20, frame_lists=True)),
        VideoOptions(size, crop, MAX_PIXELS, 1000, 100, VIDEO_FORMATS, 10**9),
        workers,
        variant="video",
        metrics=metrics,
    )
