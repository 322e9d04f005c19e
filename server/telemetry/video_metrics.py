"""Metrics of videos: what was decoded, and how many frames the model got."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

FRAMES_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
SECONDS_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
BYTES_BUCKETS: Final = tuple(4**power for power in range(5, 16))  # 1 KiB to 1 GiB


class VideoMetrics:
    """Counters and histograms of videos."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decoded = Counter(
            "llava:videos_decoded", "Videos decoded, by container.", ["format"], registry=registry
        )
        self.refusals = Counter(
            "llava:video_refusals", "Videos refused, by error code.", ["code"], registry=registry
        )
        self.bytes = Histogram(
            "llava:video_bytes",
            "Encoded size of each video, in bytes.",
            buckets=BYTES_BUCKETS,
            registry=registry,
        )
        self.frames = Histogram(
            "llava:video_frames_used",
            "Frames of each decoded video that the model got.",
            buckets=FRAMES_BUCKETS,
            registry=registry,
        )
        self.decode_s = Histogram(
            "llava:video_decode_seconds",
            "Time a decode worker spent on one video.",
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
