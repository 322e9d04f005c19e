"""Checks an image: `python -m docker.check ROOT INSPECTION`, as root.

ROOT is where the image is mounted, INSPECTION the output of `buildah inspect --type image`.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from docker.check.container import Container, read_name
from docker.check.image import Image

CLIENT: Final = (Path(__file__).parent / "client.py").read_text()
STOP_LIMIT_S: Final = 60
# Whether bytecode belongs to its source still, by the time that it holds of it: layers keep times.
STALE: Final = """
import importlib.util, os
source = importlib.util.find_spec("torch").origin
with open(importlib.util.cache_from_source(source), "rb") as bytecode:
    written = int.from_bytes(bytecode.read(12)[8:], "little")
print("stale" if written != int(os.stat(source).st_mtime) else "fresh")
"""


def report(check: str, found: object, *, ok: bool) -> None:
    """Print what a check found; end the program if it failed."""
    print(f"{'ok' if ok else 'FAILED'}: {check}: {found}", flush=True)
    if not ok:
        sys.exit(1)


def ask(container: Container, what: str) -> str:
    """Run the client in the container; return what it prints."""
    done = container.execute("python", "-", what, script=CLIENT)
    return done.stdout.strip() or f"no answer: {done.stderr}"


def check_process(container: Container, user: str) -> None:
    """Check whose process the server is, and what it may do."""
    lines = Path(f"/proc/{container.server}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    report("first process", read_name(container.init), ok=read_name(container.init) == "tini")
    report("user", status["Uid"], ok=set(status["Uid"]) == {user})
    capabilities = {name: int(status[f"Cap{name}"][0], 16) for name in ("Prm", "Eff", "Bnd")}
    report("capabilities", capabilities, ok=not any(capabilities.values()))
    report("no new privileges", *status["NoNewPrivs"], ok=status["NoNewPrivs"] == ["1"])


def check_files(container: Container) -> None:
    """Check that nothing can be written but where it should."""
    for folder, ok in (("/", False), ("/opt/llava", False), ("/cache", True), ("/tmp", True)):  # noqa: S108
        done = container.execute("touch", f"{folder}/written")
        report(f"may write to {folder}", done.returncode == 0, ok=(done.returncode == 0) is ok)
    bytecode = container.execute("python", "-c", STALE).stdout.strip()
    report("bytecode", bytecode, ok=bytecode == "fresh")


def check_answers(container: Container) -> None:
    """Check that the server becomes ready and sees."""
    ready = ask(container, "wait")
    report("ready after", ready, ok=ready.endswith(" s"))
    answer = ask(container, "ask")
    report("answer", answer, ok="red circle" in answer)


def check_health(container: Container, image: Image) -> None:
    """Check the health check of a server that answers, then of one that hangs."""
    done = container.execute(*image.health_check)
    report("health check", done.stdout.strip(), ok=done.returncode == 0)
    container.suspend_server()
    codes = [container.execute(*image.health_check).returncode for _ in range(3)]
    # The third may end with the container.
    report("health checks of a server that hangs", codes, ok=codes[:2] == [1, 1])
    code = container.wait(STOP_LIMIT_S)
    report("exit code of a server that hung", code, ok=code == 137)


def check_drain(container: Container) -> None:
    """Check that a stream ends as it should after the stop signal."""
    with container.start("python", "-", "stream", script=CLIENT) as stream:
        assert stream.stdout is not None
        report("stream", stream.stdout.readline().strip(), ok=True)
        container.stop()
        refused = ask(container, "refused")
        report("status of a request during the drain", refused, ok=refused == "503")
        rest = stream.stdout.read().strip()
        report("chunks and end of the stream", rest, ok=rest.endswith("[DONE]"))
    code = container.wait(STOP_LIMIT_S)
    report("exit code after the drain", code, ok=code == 0)


def report_size(root: Path) -> None:
    """Print the size of the image, and of its largest packages."""
    total = subprocess.run(["du", "-sm", str(root)], check=True, capture_output=True, text=True)
    report("size of the image in MiB", total.stdout.split()[0], ok=True)
    packages = root.glob("opt/llava/lib/python3*/site-packages/*")
    listing = subprocess.run(
        ["du", "-sm", *map(str, packages)], check=True, capture_output=True, text=True
    )
    sizes = sorted((line.split() for line in listing.stdout.splitlines()), key=lambda f: -int(f[0]))
    print("   ", ", ".join(f"{Path(path).name} {size}" for size, path in sizes[:12]))


def main(root: Path, inspection: Path) -> None:
    """Run all checks."""
    image = Image.read(root, inspection)
    report_size(root)
    with TemporaryDirectory(dir=inspection.parent) as folder:
        cache = Path(folder)
        shutil.chown(cache, int(image.user), int(image.group))
        with Container(image, cache) as container:
            check_answers(container)
            check_process(container, image.user)
            check_files(container)
            check_health(container, image)
        with Container(image, cache) as container:  # as the restart policy would
            check_answers(container)
            check_drain(container)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
