"""A program with children: each burns CPU time, then waits for its input to end.

Arguments: MiB that it holds, CPU seconds that each burns, and what each child calls itself. It
prints a line when all have burnt theirs, and gives the memory back at the first line it reads.
"""

import subprocess
import sys
import time

MIB = 1024 * 1024


def burn(seconds: float) -> None:
    """Spend this much CPU time."""
    while time.process_time() < seconds:
        pass


def be_parent(held_mib: int, seconds: float, names: list[str]) -> None:
    """Start the children, and end them with it."""
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
    held = b"\1" * (held_mib * MIB)
    print(len(held), flush=True)
    sys.stdin.readline()
    del held
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
        be_parent(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
