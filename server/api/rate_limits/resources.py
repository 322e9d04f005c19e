"""The resources that a key's limits bound, by their names in headers."""

from typing import Final

from server.keys.key import PER_MINUTE

REQUESTS, IMAGE_TOKENS, OUTPUT_TOKENS = PER_MINUTE
CONCURRENT_REQUESTS: Final = "concurrent-requests"

# OpenAI's names, then Anthropic's.
RATE_LIMIT_HEADERS: Final = (
    *(
        f"x-ratelimit-{each}-{name}"
        for name in PER_MINUTE
        for each in ("limit", "remaining", "reset")
    ),
    *(
        f"anthropic-ratelimit-{name}-{each}"
        for name in PER_MINUTE
        for each in ("limit", "remaining", "reset")
    ),
)
