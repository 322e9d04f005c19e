"""The response object around its output: what was asked, how it stands, what it cost."""

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
from server.responses.output_reader import OutputReader
from server.telemetry.request_record import RequestRecord


class ResponseBuilder:
    """Makes the response object of one request at each point of its life."""

    def __init__(
        self, request: ResponsesRequest, record: RequestRecord, defaults: SamplingDefaults
    ) -> None:
        """`defaults` hold where the request wishes nothing."""
        self._record = record
        text = request.text or ResponseTextConfig()
        self._begun = ResponseObject(
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

    def begun(self) -> ResponseObject:
        """Return the response without any output."""
        return self._begun

    def ended(self, output: OutputReader) -> ResponseObject:
        """Return the response with all of its output."""
        fields: dict[str, Any] = {"status": "completed", "completed_at": int(time.time())}
        if output.finish_reason == "length":
            details = IncompleteDetails(reason="max_output_tokens")
            fields = {"status": "incomplete", "incomplete_details": details}
        return self._begun.model_copy(
            update={**fields, "output": output.items, "usage": _usage(self._record)}
        )

    def failed(self, output: OutputReader, error: ApiError) -> ResponseObject:
        """Return the response with those items that were whole before an error."""
        failure = ResponseFailure(code="server_error", message=error.message)
        return self._begun.model_copy(
            update={"status": "failed", "error": failure, "output": output.items}
        )


def _usage(record: RequestRecord) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=record.prompt_tokens,
        input_tokens_details=InputTokensDetails(
            cached_tokens=record.cached_tokens, image_tokens=record.image_tokens
        ),
        output_tokens=record.completion_tokens,
        output_tokens_details=OutputTokensDetails(),
        total_tokens=record.prompt_tokens + record.completion_tokens,
    )
