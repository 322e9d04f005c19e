"""Limits of a worker under those of whoever started the server."""

import multiprocessing
import resource

from server.workers.confinement import limit_cpu


def _limit_below(hard_s: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (hard_s, hard_s))
    limit_cpu(hard_s + 10)
    assert resource.getrlimit(resource.RLIMIT_CPU) == (hard_s, hard_s)


def test_a_lower_limit_of_cpu_time_stays() -> None:
    process = multiprocessing.get_context("spawn").Process(target=_limit_below, args=(60,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
