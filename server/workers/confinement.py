"""Limits of a worker process that handles untrusted input."""

import os
import resource
import signal
import time

from server.workers.parent_death import end_with_parent


def confine(*, memory_bytes: int, open_files: int, niceness: int) -> None:
    """Limit this process irrevocably: memory, file descriptors, priority.

    `memory_bytes` is address space in addition to the present use. `open_files` bounds the numbers
    of new file descriptors; open ones stay.

    Ctrl-C and the end of a terminal reach all its processes and are ignored: a worker ends when
    the server has drained, or with the server. SIGTERM ends it at once, even inside a library,
    where no Python handler would run. The output of libraries is discarded: it may contain
    untrusted text.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    os.nice(niceness)
    _discard_stderr()
    _limit(resource.RLIMIT_AS, _read_address_space() + memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, open_files)


def limit_cpu(cpu_s: int) -> None:
    """Have the kernel kill this process (SIGXCPU) after `cpu_s` more seconds of CPU time."""
    spent = int(time.process_time()) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = spent + cpu_s if hard == resource.RLIM_INFINITY else min(spent + cpu_s, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _discard_stderr() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def _limit(resource_id: int, value: int) -> None:
    """Lower a limit irrevocably; one that is lower already stays."""
    _, hard = resource.getrlimit(resource_id)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(resource_id, (value, value))


def _read_address_space() -> int:
    """Return the address space of this process in bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()
