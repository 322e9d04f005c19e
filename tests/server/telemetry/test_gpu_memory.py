"""The memory of GPUs in the metrics, also of one that has failed."""

from math import isnan

import pytest
import torch

from server.telemetry.gpu_memory import watch_gpu_memory
from server.telemetry.metrics import Metrics
from tests.server.samples import sample


class NVMLError(Exception):
    """Derives from nothing but `Exception`, as pynvml's does."""


@pytest.mark.parametrize("error", [NVMLError("GPU is lost"), RuntimeError("CUDA error")])
def test_a_gpu_that_has_failed_leaves_the_other_metrics(
    monkeypatch: pytest.MonkeyPatch, metrics: Metrics, error: Exception
) -> None:
    def fail(_: int) -> int:
        raise error

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_memory_used", fail)
    monkeypatch.setattr(torch.cuda, "get_device_properties", fail)
    watch_gpu_memory(metrics, torch.device("cuda"), 2)
    assert isnan(sample(metrics, "gpu_memory_used_bytes", device="cuda:1"))
    assert isnan(sample(metrics, "gpu_memory_total_bytes", device="cuda:1"))
    assert b"llava:requests_total" in metrics.exposition()
