"""Command-line options for endpoints, and the entry point of the commands that use them."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

import typer

from asking.endpoint import EndpointConfig
from asking.errors import RunError
from asking.option_groups import Role
from asking.retry import RetryPolicy

MODEL_HELP: Final = "the model to ask; may be left out where the endpoint lists only one"
REQUEST_HELP: Final = "JSON object of further request fields; null leaves one of the defaults out"

_ASKING: Final = "Asking"
Json = Annotated[bool, typer.Option("--json", help="print the results as one JSON object")]


@dataclass(frozen=True, slots=True)
class AskingOptions:
    """How questions are asked, of all endpoints of a command."""

    concurrency: Annotated[
        int, typer.Option(min=1, help="questions asked at a time", rich_help_panel=_ASKING)
    ] = 8
    timeout_s: Annotated[
        float, typer.Option(min=0.001, help="seconds for one request", rich_help_panel=_ASKING)
    ] = 120.0
    attempts: Annotated[
        int, typer.Option(min=1, help="attempts at one question", rich_help_panel=_ASKING)
    ] = 6
    backoff_s: Annotated[
        float,
        typer.Option(
            min=0,
            help="seconds before the second attempt, doubled for each further one; "
            "a Retry-After of the endpoint comes first",
            rich_help_panel=_ASKING,
        ),
    ] = 0.5
    allow_failures: Annotated[
        bool,
        typer.Option(
            "--allow-failures",
            help="report results although some questions have no answer",
            rich_help_panel=_ASKING,
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """An endpoint; a subclass says whose it is."""

    role: ClassVar[Role]

    base_url: Annotated[str, typer.Option(envvar="BASE_URL", help="its endpoint")] = ""
    api_key: Annotated[str, typer.Option(envvar="API_KEY", help="its key")] = ""
    model: Annotated[str, typer.Option(envvar="MODEL", help=MODEL_HELP)] = ""
    request: Annotated[str, typer.Option(help=REQUEST_HELP)] = ""

    def build_config(self, asking: AskingOptions, fields: Mapping[str, Any]) -> EndpointConfig:
        """Build the endpoint's configuration; `fields` are those of requests by default.

        Raises `typer.BadParameter`.
        """
        prefix = self.role.prefix
        if not self.base_url:
            raise typer.BadParameter(
                "it is needed, as in http://127.0.0.1:8000/v1, where `make serve` and"
                " `llava-server serve` answer",
                param_hint=f"--{prefix}base-url",
            )
        return EndpointConfig(
            self.base_url,
            parse_api_key(self.api_key, f"--{prefix}api-key"),
            self.model,
            {**fields, **parse_request_fields(self.request, f"--{prefix}request")},
            asking.concurrency,
            asking.timeout_s,
            RetryPolicy(asking.attempts, asking.backoff_s),
            prefix,
        )


@dataclass(frozen=True, slots=True)
class SampledEndpointOptions(EndpointOptions):
    """An endpoint, and the sampling of its answers."""

    max_tokens: Annotated[int, typer.Option(min=1, help="tokens an answer may have")] = 1024
    temperature: Annotated[float, typer.Option(min=0, help="of its answers; 0 is greedy")] = 0.0

    @property
    def sampling(self) -> dict[str, Any]:
        """The request fields of the sampling."""
        return {"max_tokens": self.max_tokens, "temperature": self.temperature}


def parse_api_key(text: str, option: str) -> str:
    """Return a key without whitespace around it, such as a file's last newline.

    Raises `typer.BadParameter`, which does not show the key.
    """
    key = text.strip()
    if not (key.isascii() and key.isprintable()):
        raise typer.BadParameter(
            "it holds characters that no HTTP header can carry", param_hint=option
        )
    return key


def parse_request_fields(text: str, option: str) -> dict[str, Any]:
    """Parse an option that holds a JSON object. Raises `typer.BadParameter`."""
    try:
        fields = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"it is not JSON: {error}", param_hint=option) from None
    if not isinstance(fields, dict):
        raise typer.BadParameter("it is not a JSON object", param_hint=option)
    return fields


def run_app(app: typer.Typer, name: str, words: Sequence[str] | None = None) -> None:
    """Run a command line, by default the process's.

    A `RunError` or `OSError` is printed and ends with exit code 1.
    """
    try:
        app(args=words, prog_name=name)
    except (RunError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
