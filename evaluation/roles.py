"""Command-line options of the candidate's, the judge's and the reference's endpoint."""

from typing import ClassVar, Final

from asking.option_groups import Role
from asking.options import EndpointOptions, SampledEndpointOptions

# How a judge and a reference are asked, where nothing else is said.
WRITER_FIELDS: Final = {"max_tokens": 1024, "temperature": 0.0}


class CandidateOptions(SampledEndpointOptions):
    """The endpoint of the model that is measured, and the sampling of its answers."""

    role: ClassVar = Role(
        "The model that is measured",
        "EVALUATION",
        {"base_url": "its endpoint, such as http://127.0.0.1:8000/v1"},
    )


class JudgeOptions(EndpointOptions):
    """The judge's endpoint."""

    role: ClassVar = Role("The judge", "EVALUATION_JUDGE", {}, "judge-")


class ReferenceOptions(EndpointOptions):
    """The reference's endpoint."""

    role: ClassVar = Role(
        "The reference",
        "EVALUATION_REFERENCE",
        {"base_url": "its endpoint: text only, it sees captions and boxes"},
        "reference-",
    )
