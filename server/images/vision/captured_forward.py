"""A forward pass captured as CUDA graphs, one for each padded number of views."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

Run = Callable[[], None]
# cuBLAS and cuDNN choose kernels and allocate their workspaces in the first runs.
NUM_WARM_UPS: Final = 2


class CapturedForward:
    """Runs a forward pass on the first views of a fixed input by replaying a graph.

    A graph fixes addresses and shapes: fewer views run padded to the next power of two, with
    whatever the rest of the input holds. A view's embeddings do not depend on other views.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], views: Tensor) -> None:
        """Capture `forward` for powers of two up to the length of `views`, and for that."""
        self._outputs: dict[int, Tensor] = {}
        self._replays: dict[int, Run] = {}
        capture = GraphCapture(views.device)
        # The largest first: the others then find room in its memory.
        for size in reversed(choose_sizes(len(views))):
            self._capture(forward, views[:size], capture)

    def __call__(self, num_views: int) -> Tensor:
        """Return the embeddings (num_views, tokens, hidden), valid until the next call."""
        size = min(size for size in self._replays if size >= num_views)
        self._replays[size]()
        return self._outputs[size][:num_views]

    def _capture(
        self, forward: Callable[[Tensor], Tensor], views: Tensor, capture: "GraphCapture"
    ) -> None:
        size = len(views)
        output = forward(views)
        self._outputs[size] = torch.empty_like(output)

        def run() -> None:
            self._outputs[size].copy_(forward(views))

        self._replays[size] = capture(run)


class GraphCapture:
    """Captures functions as CUDA graphs that share memory; on a CPU they run as they are."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def __call__(self, run: Run) -> Run:
        """Return what replays the function."""
        if self._device.type != "cuda":
            return run
        with torch.cuda.device(self._device):
            return self._capture(run)

    def _capture(self, run: Run) -> Run:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(NUM_WARM_UPS):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use CUDA meanwhile: metrics read the GPU's memory.
        with torch.cuda.graph(graph, self._pool, stream, capture_error_mode="thread_local"):
            run()
        return graph.replay


def choose_sizes(max_views: int) -> list[int]:
    """Return the powers of two below `max_views`, and that, in ascending order."""
    return [*(2**power for power in range((max_views - 1).bit_length())), max_views]
