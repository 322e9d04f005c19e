"""A program whose child process is tied to it; both wait for their end."""

import multiprocessing
import signal

from server.workers.parent_death import end_with_parent


def live() -> None:
    """Be the child."""
    end_with_parent()
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=live).start()
    signal.pause()
