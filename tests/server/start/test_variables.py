"""`LLAVA_*` variables that are mistakes, and those that are not."""

import re
from pathlib import Path

import pytest

from server.scale.options import SCALE_OPTIONS
from server.settings.options import list_options
from server.start.variables import OTHER_VARIABLES, SERVICE_LINK, find_variable_mistakes

IN_KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LLAVA_MODLE": "x"}, "LLAVA_MODLE: no such setting; did you mean LLAVA_MODEL?"),
        ({"llava_prt": "x"}, "llava_prt: no such setting; did you mean LLAVA_PORT?"),
        ({"LLAVA_XYZZY": "x"}, "LLAVA_XYZZY: no such setting"),
        ({"LLAVA_PORT": ""}, "LLAVA_PORT: is empty; unset it, or give it a value"),
        (
            {"LLAVA_PORT": "tcp://10.0.0.1:80", **IN_KUBERNETES},
            "LLAVA_PORT=tcp://10.0.0.1:80: Kubernetes sets it for the Service of that name; rename"
            " the Service, or set enableServiceLinks: false in the pod's spec",
        ),
    ],
)
def test_mistakes(environ: dict[str, str], said: str) -> None:
    assert [str(mistake) for mistake in find_variable_mistakes(environ)] == [said]


@pytest.mark.parametrize(
    "environ",
    [
        {"LLAVA_PORT": "80", "llava_model": "x", "PATH": "/bin"},
        dict.fromkeys(OTHER_VARIABLES, "x"),
        {
            **IN_KUBERNETES,
            "LLAVA_SERVICE_HOST": "10.0.0.1",
            "LLAVA_SERVICE_PORT_HTTP": "80",
            "LLAVA_PORT_8000_TCP_ADDR": "10.0.0.1",
            "LLAVA_SERVER_PORT": "tcp://10.0.0.1:80",
        },
    ],
)
def test_no_mistakes(environ: dict[str, str]) -> None:
    assert list(find_variable_mistakes(environ)) == []


def test_kubernetes_variables_are_mistakes_elsewhere() -> None:
    [mistake] = find_variable_mistakes({"LLAVA_SERVICE_HOST": "10.0.0.1"})
    assert mistake.written == "LLAVA_SERVICE_HOST"


def test_every_variable_of_the_repository_is_known() -> None:
    """In what users and containers read: docs, Dockerfiles, scripts."""
    options = [*list_options(), *SCALE_OPTIONS]
    known = {option.variable for option in options} | {*OTHER_VARIABLES}
    files = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("Dockerfile"),
        *(path for path in ROOT.glob("docker/**/*") if path.suffix != ".pyc" and path.is_file()),
        *ROOT.glob("scripts/*.sh"),
    ]
    named = {
        name
        for file in files
        if file.name != "CHANGELOG.md"
        for name in re.findall(r"\bLLAVA_[A-Z_]+[A-Z]\b", file.read_text())
    }
    assert {name for name in named - known if not SERVICE_LINK.fullmatch(name)} == set()
