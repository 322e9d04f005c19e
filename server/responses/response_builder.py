"""Builds response objects: the request's fields, status, output and usage."""

import time
from typing import Any

from server.errors import ApiError
from server.generation.sampling import SamplingDefaults, value_or_default
from server.protocol.formats import TextFormat
from server.protocol.responses.request import ResponsesRequest
from server.protocol.responses.response import (
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    ResponseFailure,
    ResponseObject,
    ResponseUsage,
)
from server.protocol.responses.text import ResponseTextConfig
from server.responses.output_writer import OutputWriter
from server.telemetry.request_record import RequestRecord


class ResponseBuilder:
    """Builds the response object of one request for each status."""

    def __init__(
        self, request: ResponsesRequest, record: RequestRecord, defaults: SamplingDefaults
    ) -> None:
        """`defaults` fill in sampling parameters that the request leaves out."""
        self._record = record
        text = request.text or ResponseTextConfig()
        self._in_progress = ResponseObject(
            id=record.request_id,
            created_at=int(time.time()),
            status="in_progress",
            instructions=request.instructions,
            max_output_tokens=request.max_output_tokens,
            model=request.model,
            output=[],
            parallel_tool_calls=request.parallel_tool_calls is not False,
            prompt_cache_key=request.prompt_cache_key,
            safety_identifier=request.safety_identifier,
            temperature=value_or_default(request.temperature, defaults.temperature),
            text=ResponseTextConfig(
                format=text.format or TextFormat(type="text"), verbosity="medium"
            ),
            tool_choice=request.tool_choice or "auto",
            tools=request.tools or [],
            top_logprobs=request.top_logprobs or 0,
            top_p=value_or_default(request.top_p, defaults.top_p),
            user=request.user,
            metadata=request.metadata or {},
        )

    def build_in_progress(self) -> ResponseObject:
        """Return the response without output."""
        return self._in_progress

    def build_finished(self, output: OutputWriter) -> ResponseObject:
        """Return the response with its complete output and usage."""
        fields: dict[str, Any] = {"status": "completed", "completed_at": int(time.time())}
        if output.finish_reason == "length":
            details = IncompleteDetails(reason="max_output_tokens")
            fields = {"status": "incomplete", "incomplete_details": details}
        return self._in_progress.model_copy(
            update={**fields, "output": output.items, "usage": _build_usage(self._record)}
        )

    def build_failed(self, output: OutputWriter, error: ApiError) -> ResponseObject:
        """Return the response with the error and the items that ended before it."""
        failure = ResponseFailure(code="server_error", message=error.message)
        return self._in_progress.model_copy(
            update={"status": "failed", "error": failure, "output": output.items}
        )


def _build_usage(record: RequestRecord) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=record.prompt_tokens,
        input_tokens_details=InputTokensDetails(
            cached_tokens=record.cached_tokens, image_tokens=record.image_tokens
        ),
        output_tokens=record.completion_tokens,
        output_tokens_details=OutputTokensDetails(),
        total_tokens=record.prompt_tokens + record.completion_tokens,
    )
