"""A process with children; each burns CPU time, then waits for EOF on stdin.

Arguments: MiB that it allocates, CPU seconds of each process, and a name for each child. It
prints a line when all CPU time is spent, and frees the memory at the first line on stdin.
"""

import subprocess
import sys
import time

MIB = 1024 * 1024


def burn(seconds: float) -> None:
    """Spend this much CPU time."""
    while time.process_time() < seconds:
        pass


def run_parent(allocated_mib: int, seconds: float, names: list[str]) -> None:
    """Start the children; they end with this process."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.process_tree", "child", str(seconds), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    burn(seconds)
    for child in children:
        assert child.stdout
        child.stdout.readline()
    memory = b"\1" * (allocated_mib * MIB)
    print(len(memory), flush=True)
    sys.stdin.readline()
    del memory
    print("freed", flush=True)
    sys.stdin.read()
    for child in children:
        child.communicate()


if __name__ == "__main__":
    if sys.argv[1] == "child":
        burn(float(sys.argv[2]))
        print("burnt", flush=True)
        sys.stdin.read()
    else:
        run_parent(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
