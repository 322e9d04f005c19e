"""`POST /tokenize` and `POST /detokenize`."""

from typing import Final

from fastapi import APIRouter, Request, Response

from server.api.disconnect import cancel_on_disconnect
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
async def tokenize(request: Request) -> Response:
    """Return the token ids of a text, or of a conversation as the model would see it."""
    runtime: Runtime = request.app.state.runtime
    tenant = runtime.access.tenant(request.headers.get("authorization"))
    wanted = parse_tokenize_request(await request.body())
    with runtime.admission.acquire():
        work = _tokenize(runtime, wanted, tenant)
        answer = await cancel_on_disconnect(request.receive, work)
    return Response(answer.model_dump_json(), 200, media_type="application/json")


@router.post(
    "/detokenize",
    response_model=DetokenizeResponse,
    responses=ERRORS,
    openapi_extra=describe_request_body(DETOKENIZE_EXAMPLES, DetokenizeRequest),
)
async def detokenize(request: Request) -> Response:
    """Return the text of token ids."""
    runtime: Runtime = request.app.state.runtime
    runtime.access.tenant(request.headers.get("authorization"))
    wanted = parse_detokenize_request(await request.body())
    with runtime.admission.acquire():
        pipeline = runtime.loaded
        pipeline.check_model(wanted.model or runtime.model_name)
        answer = DetokenizeResponse(prompt=await pipeline.texts.detokenize(wanted.tokens))
    return Response(answer.model_dump_json(), 200, media_type="application/json")


async def _tokenize(runtime: Runtime, wanted: TokenizeRequest, tenant: str) -> TokenizeResponse:
    pipeline = runtime.loaded
    if isinstance(wanted, TokenizeChatRequest):
        chat = wanted.to_chat_request(runtime.model_name)
        tokens = (await pipeline.measure(chat, tenant)).token_ids
    else:
        pipeline.check_model(wanted.model or runtime.model_name)
        special_tokens = wanted.add_special_tokens
        tokens = await pipeline.texts.tokenize(wanted.prompt, special_tokens=special_tokens)
    token_strs = None
    if wanted.return_token_strs:
        token_strs = await pipeline.texts.convert_ids_to_tokens(tokens)
    return TokenizeResponse(
        count=len(tokens),
        max_model_len=runtime.max_model_len,
        tokens=tokens,
        token_strs=token_strs,
    )
