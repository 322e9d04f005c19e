"""Command-line options of the candidate's, the judge's and the reference's endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from asking.endpoint import EndpointConfig
from asking.options import MODEL_HELP, REQUEST_HELP, AskingOptions

_CANDIDATE: Final = "The model that is measured"
_JUDGE: Final = "The judge"
_REFERENCE: Final = "The reference"
# How a judge and a reference are asked, where nothing else is said.
WRITER_FIELDS: Final = {"max_tokens": 1024, "temperature": 0.0}


@dataclass(frozen=True, slots=True)
class CandidateOptions:
    """The endpoint of the model that is measured, and the sampling of its answers."""

    base_url: Annotated[
        str,
        typer.Option(
            envvar="EVALUATION_BASE_URL",
            help="its endpoint, such as http://127.0.0.1:8000/v1",
            rich_help_panel=_CANDIDATE,
        ),
    ] = ""
    api_key: Annotated[
        str, typer.Option(envvar="EVALUATION_API_KEY", help="its key", rich_help_panel=_CANDIDATE)
    ] = ""
    model: Annotated[
        str, typer.Option(envvar="EVALUATION_MODEL", help=MODEL_HELP, rich_help_panel=_CANDIDATE)
    ] = ""
    max_tokens: Annotated[
        int, typer.Option(min=1, help="tokens an answer may have", rich_help_panel=_CANDIDATE)
    ] = 1024
    temperature: Annotated[
        float, typer.Option(min=0, help="of its answers; 0 is greedy", rich_help_panel=_CANDIDATE)
    ] = 0.0
    request: Annotated[str, typer.Option(help=REQUEST_HELP, rich_help_panel=_CANDIDATE)] = ""

    def build_config(self, asking: AskingOptions) -> EndpointConfig:
        """Build the endpoint's configuration. Raises `typer.BadParameter`."""
        fields = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        return asking.build_endpoint_config(
            "", self.base_url, self.api_key, self.model, self.request, fields
        )


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """The judge's endpoint."""

    judge_base_url: Annotated[
        str,
        typer.Option(
            envvar="EVALUATION_JUDGE_BASE_URL", help="its endpoint", rich_help_panel=_JUDGE
        ),
    ] = ""
    judge_api_key: Annotated[
        str, typer.Option(envvar="EVALUATION_JUDGE_API_KEY", help="its key", rich_help_panel=_JUDGE)
    ] = ""
    judge_model: Annotated[
        str, typer.Option(envvar="EVALUATION_JUDGE_MODEL", help=MODEL_HELP, rich_help_panel=_JUDGE)
    ] = ""
    judge_request: Annotated[str, typer.Option(help=REQUEST_HELP, rich_help_panel=_JUDGE)] = ""

    def build_config(
        self, asking: AskingOptions, fields: Mapping[str, Any] = WRITER_FIELDS
    ) -> EndpointConfig:
        """Build the endpoint's configuration. Raises `typer.BadParameter`."""
        return asking.build_endpoint_config(
            "judge-",
            self.judge_base_url,
            self.judge_api_key,
            self.judge_model,
            self.judge_request,
            fields,
        )


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """The reference's endpoint."""

    reference_base_url: Annotated[
        str,
        typer.Option(
            envvar="EVALUATION_REFERENCE_BASE_URL",
            help="its endpoint: text only, it sees captions and boxes",
            rich_help_panel=_REFERENCE,
        ),
    ] = ""
    reference_api_key: Annotated[
        str,
        typer.Option(
            envvar="EVALUATION_REFERENCE_API_KEY", help="its key", rich_help_panel=_REFERENCE
        ),
    ] = ""
    reference_model: Annotated[
        str,
        typer.Option(
            envvar="EVALUATION_REFERENCE_MODEL", help=MODEL_HELP, rich_help_panel=_REFERENCE
        ),
    ] = ""
    reference_request: Annotated[
        str, typer.Option(help=REQUEST_HELP, rich_help_panel=_REFERENCE)
    ] = ""

    def build_config(self, asking: AskingOptions) -> EndpointConfig:
        """Build the endpoint's configuration. Raises `typer.BadParameter`."""
        return asking.build_endpoint_config(
            "reference-",
            self.reference_base_url,
            self.reference_api_key,
            self.reference_model,
            self.reference_request,
            WRITER_FIELDS,
        )
