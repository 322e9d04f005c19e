"""Command-line options of the candidate's, the judge's and the reference's endpoint."""

from typing import Annotated

import typer

from asking.options import MODEL_HELP, REQUEST_HELP

_CANDIDATE, _JUDGE, _REFERENCE = "The model that is measured", "The judge", "The reference"

BaseUrl = Annotated[
    str,
    typer.Option(
        envvar="EVALUATION_BASE_URL",
        help="its endpoint, such as http://127.0.0.1:8000/v1",
        rich_help_panel=_CANDIDATE,
    ),
]
ApiKey = Annotated[
    str, typer.Option(envvar="EVALUATION_API_KEY", help="its key", rich_help_panel=_CANDIDATE)
]
Model = Annotated[
    str, typer.Option(envvar="EVALUATION_MODEL", help=MODEL_HELP, rich_help_panel=_CANDIDATE)
]
MaxTokens = Annotated[
    int, typer.Option(min=1, help="tokens an answer may have", rich_help_panel=_CANDIDATE)
]
Temperature = Annotated[float, typer.Option(min=0, rich_help_panel=_CANDIDATE)]
Request = Annotated[str, typer.Option(help=REQUEST_HELP, rich_help_panel=_CANDIDATE)]

JudgeBaseUrl = Annotated[
    str,
    typer.Option(envvar="EVALUATION_JUDGE_BASE_URL", help="its endpoint", rich_help_panel=_JUDGE),
]
JudgeApiKey = Annotated[
    str, typer.Option(envvar="EVALUATION_JUDGE_API_KEY", help="its key", rich_help_panel=_JUDGE)
]
JudgeModel = Annotated[
    str, typer.Option(envvar="EVALUATION_JUDGE_MODEL", help=MODEL_HELP, rich_help_panel=_JUDGE)
]
JudgeRequest = Annotated[str, typer.Option(help=REQUEST_HELP, rich_help_panel=_JUDGE)]

ReferenceBaseUrl = Annotated[
    str,
    typer.Option(
        envvar="EVALUATION_REFERENCE_BASE_URL",
        help="its endpoint: text only, it sees captions and boxes",
        rich_help_panel=_REFERENCE,
    ),
]
ReferenceApiKey = Annotated[
    str,
    typer.Option(envvar="EVALUATION_REFERENCE_API_KEY", help="its key", rich_help_panel=_REFERENCE),
]
ReferenceModel = Annotated[
    str,
    typer.Option(envvar="EVALUATION_REFERENCE_MODEL", help=MODEL_HELP, rich_help_panel=_REFERENCE),
]
ReferenceRequest = Annotated[str, typer.Option(help=REQUEST_HELP, rich_help_panel=_REFERENCE)]
