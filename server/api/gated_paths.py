"""The paths that cost work, in the spelling of `RoutePath`."""

from typing import Final

# Paths of POST requests that generate, and of all that cost work and so pass the gate.
GENERATING_PATHS: Final = (
    *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"),
)
GATED_PATHS: Final = (
    *GENERATING_PATHS,
    *("/v1/messages/count_tokens", "/tokenize", "/detokenize"),
)
