"""`POST /v1/messages` and `POST /v1/messages/count_tokens`, in Anthropic's shapes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request, Response

from server.api.admit import admit
from server.api.auth import CurrentTenant
from server.api.disconnect import cancel_on_disconnect
from server.api.ignored_parameters import build_ignored_header
from server.api.openapi import (
    MESSAGES_ERRORS,
    describe_event_stream,
    describe_request_body,
)
from server.api.respond import respond
from server.api.runtime import Runtime
from server.errors import ApiError
from server.example_image import EXAMPLE_IMAGE_URL
from server.generation.generation import Generation
from server.messages.message_builder import MessageBuilder
from server.messages.streaming import collect_message, stream_message
from server.messages.translation import (
    TranslatedMessagesRequest,
    parse_and_translate,
    parse_and_translate_token_count,
    translate_error,
)
from server.pipeline import OnEncoded, Pipeline
from server.protocol.chat.request import ChatCompletionRequest
from server.protocol.messages.events import MessageStreamEvent
from server.protocol.messages.request import MessagesRequest, TokenCountRequest
from server.protocol.messages.response import ResponseMessage, TokenCount
from server.telemetry.request_record import RequestRecord

router = APIRouter()

CONVERSATION: Final = {
    "model": "llava-tiny",
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "source": {
                        "type": "base64",
                        "media_type": "image/png",
                        "data": EXAMPLE_IMAGE_URL.partition(",")[2],
                    },
                },
                {"type": "text", "text": "Describe the image."},
            ],
        }
    ],
}


@router.post(
    "/v1/messages",
    response_model=ResponseMessage,
    responses=MESSAGES_ERRORS | describe_event_stream(MessageStreamEvent),
    openapi_extra=describe_request_body(
        {"a picture": {**CONVERSATION, "max_tokens": 100}}, MessagesRequest
    ),
)
async def create_message(request: Request) -> Response:
    """Answer a conversation with or without images, as one body or as server-sent events."""
    return await respond(
        request, "msg_", lambda *body: _MessagesRequest(parse_and_translate(*body))
    )


@router.post(
    "/v1/messages/count_tokens",
    response_model=TokenCount,
    responses=MESSAGES_ERRORS,
    openapi_extra=describe_request_body({"a picture": CONVERSATION}, TokenCountRequest),
)
async def count_tokens(request: Request, tenant: CurrentTenant) -> Response:
    """Count the tokens of a conversation as the model would see it."""
    runtime: Runtime = request.app.state.runtime
    async with admit(request, tenant, parse_and_translate_token_count) as body:
        counting = _count_tokens(runtime.require_pipeline(), body, tenant.cache_partition)
        count = await cancel_on_disconnect(request.receive, counting)
    headers = build_ignored_header(body.ignored_parameters)
    return Response(count.model_dump_json(), 200, headers, "application/json")


async def _count_tokens(
    pipeline: Pipeline, translated: TranslatedMessagesRequest, cache_partition: str
) -> TokenCount:
    try:
        prompt = await pipeline.build_prompt(translated.chat, cache_partition)
    except ApiError as error:
        raise translate_error(error, translated.origins) from None
    return TokenCount(input_tokens=len(prompt.token_ids))


@dataclass(frozen=True, slots=True)
class _MessagesRequest:
    translated: TranslatedMessagesRequest

    @property
    def request(self) -> ChatCompletionRequest:
        return self.translated.chat

    @property
    def ignored_parameters(self) -> Sequence[str]:
        return self.translated.ignored_parameters

    def drop_media(self) -> None:
        self.request.drop_media()

    async def submit(
        self,
        pipeline: Pipeline,
        record: RequestRecord,
        on_encoded: OnEncoded,
    ) -> "_MessagesResponse":
        try:
            generation = await pipeline.generate(self.request, record, on_encoded)
        except ApiError as error:
            raise translate_error(error, self.translated.origins) from None
        return _MessagesResponse(generation, MessageBuilder(self.request, record), record)


@dataclass(frozen=True, slots=True)
class _MessagesResponse:
    generation: Generation
    builder: MessageBuilder
    record: RequestRecord

    async def response(self) -> ResponseMessage:
        return await collect_message(self.generation, self.builder, self.record)

    def events(self) -> AsyncIterator[bytes]:
        return stream_message(self.generation, self.builder, self.record)

    async def aclose(self) -> None:
        await self.generation.aclose()
