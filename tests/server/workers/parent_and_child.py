"""A program with a child process that ends with it; both wait for a signal."""

import multiprocessing
import signal

from server.workers.parent_death import end_with_parent


def run_child() -> None:
    """Report that the child is ready, then wait."""
    end_with_parent()
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=run_child).start()
    signal.pause()
