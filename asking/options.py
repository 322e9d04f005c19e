"""Command-line options for endpoints, and the entry point of the commands that use them."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from asking.endpoint import EndpointConfig
from asking.errors import RunError
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

    def build_endpoint_config(
        self,
        role: str,
        base_url: str,
        api_key: str,
        model: str,
        request: str,
        fields: Mapping[str, Any],
    ) -> EndpointConfig:
        """Build the configuration of the endpoint whose options start with `role`.

        Raises `typer.BadParameter`.
        """
        if not base_url:
            raise typer.BadParameter(
                "it is needed, as in http://127.0.0.1:8000/v1, where `make serve` and"
                " `llava-server serve` answer",
                param_hint=f"--{role}base-url",
            )
        return EndpointConfig(
            base_url,
            parse_api_key(api_key, f"--{role}api-key"),
            model,
            {**fields, **parse_request_fields(request, f"--{role}request")},
            self.concurrency,
            self.timeout_s,
            RetryPolicy(self.attempts, self.backoff_s),
            role,
        )


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
