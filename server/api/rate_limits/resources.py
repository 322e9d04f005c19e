"""What the limits of a key bound, as headers name it."""

from typing import Final

REQUESTS: Final = "requests"
IMAGE_TOKENS: Final = "image-tokens"
OUTPUT_TOKENS: Final = "output-tokens"
CONCURRENT_REQUESTS: Final = "concurrent-requests"

PER_MINUTE: Final = (REQUESTS, IMAGE_TOKENS, OUTPUT_TOKENS)

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
