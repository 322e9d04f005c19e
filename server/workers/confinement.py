"""What a worker process that handles strangers' input may use."""

import os
import resource
import signal
import time

from server.workers.parent_death import end_with_parent


def confine(*, memory_bytes: int, open_files: int, niceness: int) -> None:
    """Limit this process for good: address space on top of what it has, file numbers, priority.

    Ctrl-C reaches all processes of a terminal; a worker ends when the server has drained, or with
    it. SIGTERM ends it at once, also inside of a library, where no Python handler would run.
    What libraries print goes nowhere: it is strangers' text.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    os.nice(niceness)
    _silence()
    _limit(resource.RLIMIT_AS, _address_space() + memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, open_files)


def limit_cpu(cpu_s: int) -> None:
    """Have the kernel kill this process (SIGXCPU) once it takes so much more CPU time."""
    spent = int(time.process_time()) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + cpu_s, hard))


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _limit(what: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(what, (value, value))


def _address_space() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
