"""`POST /tokenize` and `POST /detokenize`."""

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from server.api.admit import admit
from server.api.auth import CurrentTenant
from server.api.disconnect import cancel_on_disconnect
from server.api.ignored_parameters import build_ignored_header
from server.api.openapi import ERRORS, describe_request_body
from server.api.runtime import Runtime
from server.protocol.tokenize import (
    DetokenizeRequest,
    DetokenizeResponse,
    TokenizeChatRequest,
    TokenizeRequest,
    TokenizeResponse,
    TokenizeTextRequest,
    parse_detokenize_request,
    parse_tokenize_request,
)
from server.protocol.wire import RequestBody

router = APIRouter()

TOKENIZE_EXAMPLES: Final = {
    "text": {"model": "llava-tiny", "prompt": "A red circle", "return_token_strs": True},
    "a conversation": {
        "model": "llava-tiny",
        "messages": [{"role": "user", "content": "How many shapes are there?"}],
    },
}
DETOKENIZE_EXAMPLES: Final = {"token ids": {"model": "llava-tiny", "tokens": [0, 40, 41]}}


@router.post(
    "/tokenize",
    response_model=TokenizeResponse,
    responses=ERRORS,
    openapi_extra=describe_request_body(
        TOKENIZE_EXAMPLES, TokenizeTextRequest, TokenizeChatRequest
    ),
)
async def tokenize(request: Request, tenant: CurrentTenant) -> Response:
    """Return the token ids of a text, or of a conversation as the model would see it."""
    runtime: Runtime = request.app.state.runtime
    async with admit(request, tenant, parse_tokenize_request) as body:
        tokenizing = _tokenize(runtime, body, tenant.cache_partition)
        response = await cancel_on_disconnect(request.receive, tokenizing)
    return _respond(response, body)


@router.post(
    "/detokenize",
    response_model=DetokenizeResponse,
    responses=ERRORS,
    openapi_extra=describe_request_body(DETOKENIZE_EXAMPLES, DetokenizeRequest),
)
async def detokenize(request: Request, tenant: CurrentTenant) -> Response:
    """Return the text of token ids."""
    runtime: Runtime = request.app.state.runtime
    async with admit(request, tenant, parse_detokenize_request) as body:
        pipeline = runtime.require_pipeline()
        pipeline.check_model(body.model or runtime.model_name)
        text = await pipeline.text_tokenizer.detokenize(body.tokens)
    return _respond(DetokenizeResponse(prompt=text), body)


def _respond(response: BaseModel, body: RequestBody) -> Response:
    headers = build_ignored_header(body.ignored_parameters)
    return Response(response.model_dump_json(), 200, headers, "application/json")


async def _tokenize(
    runtime: Runtime, body: TokenizeRequest, cache_partition: str
) -> TokenizeResponse:
    pipeline = runtime.require_pipeline()
    tokenizer = pipeline.text_tokenizer
    if isinstance(body, TokenizeChatRequest):
        chat = body.to_chat_request(runtime.model_name)
        prompt = await pipeline.build_prompt(chat, cache_partition)
        token_ids = prompt.token_ids
    else:
        pipeline.check_model(body.model or runtime.model_name)
        token_ids = await tokenizer.tokenize(body.prompt, special_tokens=body.add_special_tokens)
    token_strs = None
    if body.return_token_strs:
        token_strs = await tokenizer.convert_ids_to_tokens(token_ids)
    return TokenizeResponse(
        count=len(token_ids),
        max_model_len=runtime.max_model_len,
        tokens=token_ids,
        token_strs=token_strs,
    )
