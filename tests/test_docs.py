"""The reference lists all settings, metrics, endpoints and errors, and nothing else."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from server import errors
from server.api.routes import (
    chat,
    completions,
    health,
    messages,
    metrics,
    models,
    page,
    responses,
    tokenize,
)
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.completions.request import CompletionRequest
from server.protocol.ignored_values import IGNORED_VALUES
from server.protocol.messages.errors import TYPES
from server.protocol.messages.request import MessagesRequest
from server.protocol.responses.request import ResponsesRequest
from server.protocol.tokenize import (
    DetokenizeRequest,
    TokenizeChatRequest,
    TokenizeResponse,
    TokenizeTextRequest,
)
from server.settings import Settings
from server.telemetry.metrics import Metrics

REFERENCE = (Path(__file__).parent.parent / "docs" / "reference.md").read_text()


def section(title: str) -> str:
    """Return the text below a heading."""
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(title: str) -> set[str]:
    """Return the code words in the first column of a section's table."""
    rows = [row.split("|")[1] for row in section(title).splitlines() if row.startswith("| `")]
    return {word for cell in rows for word in re.findall(r"`([^`]+)`", cell)}


def subclasses(kind: type[errors.ApiError]) -> set[type[errors.ApiError]]:
    """Return an error class and all below it."""
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_settings() -> None:
    options = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    assert first_column("Settings") == options


def test_settings_are_grouped_as_in_the_code() -> None:
    groups = section("Settings").split("\n### ")[1:]
    documented = [set(re.findall(r"^\| `--([\w-]+)`", group, re.M)) for group in groups]
    assert documented == [
        {name.replace("_", "-") for name in group.model_fields}
        for group in reversed(Settings.__bases__)
        if issubclass(group, BaseModel)
    ]


def test_metrics() -> None:
    families = Metrics().registry.collect()
    expected = {f.name + ("_total" if f.type == "counter" else "") for f in families}
    assert {name.partition("{")[0] for name in first_column("Metrics")} == expected


MODULES = (chat, completions, health, messages, metrics, models, page, responses, tokenize)


def test_endpoints() -> None:
    expected = {
        f"{method} {route.path}".replace("{model_id:path}", "{id}")
        for module in MODULES
        for route in module.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert first_column("Endpoints") == expected | {"GET /docs", "GET /openapi.json"}


# A base whose code nothing is raised with.
ABSTRACT = {errors.ImageError, errors.VideoError}


def test_errors() -> None:
    kinds = subclasses(errors.ApiError) - ABSTRACT
    assert first_column("Errors") == {kind.code for kind in kinds}
    for kind in kinds:
        assert f"| `{kind.code}` | {kind.status} |" in section("Errors")


def test_the_error_tree_is_drawn_as_it_is() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"[A-Z]\w+(?=  |$)", errors.__doc__, re.M))
    assert drawn == {kind.__name__ for kind in subclasses(errors.ApiError)}
    for kind in subclasses(errors.ApiError) - ABSTRACT:
        assert re.search(rf"{kind.__name__} .*{kind.code}", errors.__doc__)


BODIES: dict[str, tuple[type[BaseModel], ...]] = {
    "Chat requests": (ChatCompletionRequest,),
    "Text completions": (CompletionRequest,),
    "Tokenizing": (
        TokenizeTextRequest,
        TokenizeChatRequest,
        DetokenizeRequest,
        TokenizeResponse,
    ),
    "Responses": (ResponsesRequest,),
    "Messages": (MessagesRequest,),
}


@pytest.mark.parametrize(
    ("title", "name"),
    [
        (title, name)
        for title, models_ in BODIES.items()
        for name in sorted({name for model in models_ for name in model.model_fields})
    ],
)
def test_request_fields(title: str, name: str) -> None:
    assert re.search(rf"`{name}\b", section(title))


def test_fields_that_change_nothing() -> None:
    text = section("Chat requests").split("\n### Fields that change nothing\n")[1]
    names = {name for name in IGNORED_VALUES if "." not in name}
    assert {name for name in names if not re.search(rf"`{name}\b", text)} == set()


@pytest.mark.parametrize(("status", "kind"), TYPES.items())
def test_error_types_of_messages(status: int, kind: str) -> None:
    assert re.search(rf"{status}\b[^|]*\| `{kind}`", section("Messages"))
