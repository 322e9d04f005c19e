"""Limits of the server under test, small so that tests can reach them."""

MAX_REQUESTS = 40
MAX_BODY_MIB = 4
MAX_IMAGES = 4
MAX_IMAGE_MIB = 2
MAX_MEGAPIXELS = 20
FETCH_TIMEOUT_S = 3
# Full after a few hundred pictures of the embedded model, so that memory is flat from then on.
IMAGE_CACHE_MIB = 16

LIMITS = (
    *("--max-concurrent-requests", str(MAX_REQUESTS)),
    *("--max-body-mib", str(MAX_BODY_MIB)),
    *("--max-images", str(MAX_IMAGES)),
    *("--max-image-mib", str(MAX_IMAGE_MIB)),
    *("--max-image-megapixels", str(MAX_MEGAPIXELS)),
    *("--fetch-timeout-s", str(FETCH_TIMEOUT_S)),
    *("--image-cache-mib", str(IMAGE_CACHE_MIB)),
    *("--cpu-kv-cache-gib", "1"),
    *("--fetch-allow-networks", "127.0.0.0/8"),
    *("--fetch-allow-ports", "any"),
)
