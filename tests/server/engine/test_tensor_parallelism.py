"""Two processes that share a language model answer as one does, and end with the server."""

import signal
from pathlib import Path

import psutil
import pytest

from server.checkpoint.config import Checkpoint, read_checkpoint
from server.engine.vllm.start import share_cores
from tests.server.engine.answering import read_answers, run_answer_program, started_answer_program
from tests.server.engine.checkpoints import LLAMA, llava_next, write_checkpoint


@pytest.fixture
def four_heads(tmp_path: Path) -> Checkpoint:
    """Write a LLaVA-NeXT whose language model has four heads."""
    return read_checkpoint(write_checkpoint(tmp_path, llava_next(LLAMA)))


@pytest.mark.skipif(len(psutil.Process().cpu_affinity()) < 2, reason="needs two CPU cores")
def test_answers_equal_those_of_one_process(four_heads: Checkpoint) -> None:
    alone = run_answer_program(four_heads, enforce_eager=True)
    with started_answer_program(four_heads, enforce_eager=True, tensor_parallel_size=2) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "answered\n"
        processes = psutil.Process(program.pid).children(recursive=True)
        assert sum("Worker" in each.name() for each in processes) == 2
        program.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []
    shared = read_answers(four_heads)
    assert [answer.tokens for answer in shared] == [answer.tokens for answer in alone]
    assert len({tuple(answer.tokens) for answer in shared}) == len(shared)


@pytest.mark.parametrize(
    ("cores", "processes", "shares"),
    [
        ([0, 1], 2, [[0], [1]]),
        (list(range(8)), 2, [[0, 1, 2], [3, 4, 5]]),
        (list(range(9)), 2, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ([2, 3, 5, 7], 3, [[2], [3], [5]]),
    ],
)
def test_each_process_has_cores_of_its_own(
    cores: list[int], processes: int, shares: list[list[int]]
) -> None:
    assert share_cores(cores, processes) == shares
