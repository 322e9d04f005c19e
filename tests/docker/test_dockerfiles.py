"""The Dockerfiles agree with each other, the server and the documentation."""

import re
from pathlib import Path

import pytest

from server import __version__
from tests.docker.dockerfile import DOCKERFILES, ROOT, read_instruction, read_words

pytestmark = pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)


def test_an_init_runs_the_server(dockerfile: Path) -> None:
    words = read_words(dockerfile, "ENTRYPOINT")
    assert words[:2] == ["tini", "--"]
    assert words[3:] == ["-m", "server"]
    assert read_instruction(dockerfile, "STOPSIGNAL") == "SIGTERM"


def test_variables_decide(dockerfile: Path) -> None:
    """An option of the image would win over the variables of whoever runs it."""
    assert read_words(dockerfile, "CMD") == []
    assert "LLAVA_HOST=0.0.0.0" in read_instruction(dockerfile, "ENV").split()


def test_the_user_is_a_number(dockerfile: Path) -> None:
    """Kubernetes checks runAsNonRoot only for these."""
    assert read_instruction(dockerfile, "USER") == "10001"


def test_the_version_is_the_servers(dockerfile: Path) -> None:
    label = 'org.opencontainers.image.version="([^"]+)"'
    assert re.findall(label, dockerfile.read_text()) == [__version__]


def test_the_base_is_labelled(dockerfile: Path) -> None:
    label = 'org.opencontainers.image.base.name="docker.io/(?:library/)?([^"]+)"'
    assert re.findall(label, dockerfile.read_text()) == [read_instruction(dockerfile, "FROM")]


def test_all_that_is_written_goes_to_the_cache(dockerfile: Path) -> None:
    folders = re.findall(r"[A-Z_]+=(/\S+)", read_instruction(dockerfile, "ENV").split("PATH=")[-1])
    assert [path for path in folders if not re.match(r"/cache\b|/opt/llava/bin", path)] == []
    assert read_instruction(dockerfile, "VOLUME") == "/cache"


def test_copied_files_are_in_the_context(dockerfile: Path) -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    text = dockerfile.read_text().replace("\\\n", " ")
    for files in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M):
        for file in files.split():
            assert (ROOT / file).exists()
            assert {file, file.partition("/")[0]} & allowed
