"""The tokens that a request has cost so far, in OpenAI's shape."""

from server.protocol.usage import CompletionTokensDetails, PromptTokensDetails, Usage
from server.telemetry.request_record import RequestRecord


def build_usage(record: RequestRecord) -> Usage:
    """Return the usage that a request's record has counted so far."""
    return Usage(
        prompt_tokens=record.prompt_tokens,
        completion_tokens=record.completion_tokens,
        total_tokens=record.prompt_tokens + record.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=record.cached_tokens, image_tokens=record.image_tokens
        ),
        completion_tokens_details=CompletionTokensDetails(),
    )
