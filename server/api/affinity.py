"""`x-llava-affinity`: the value that routes a conversation back to the same replica.

A balancer in front of several replicas hashes it. Each replica caches images and prompts by itself.
"""

import re
from typing import Final

from blake3 import blake3

AFFINITY_HEADER: Final = "x-llava-affinity"
ACCEPTED_VALUE: Final = re.compile(r"[A-Za-z0-9._~:-]{1,64}")
# Separates these digests from all others of the same partition.
KEY_CONTEXT: Final = "llava-server 2026-11 x-llava-affinity"
DIGEST_BYTES: Final = 16


def build_affinity_header(
    sent: str, partition: str, first_image_key: str | None, leading_text: str
) -> dict[str, str]:
    """Return the header of an answer: the client's own value, if it sent a usable one.

    Otherwise the value is the same on every replica for prompts that begin with the same image or,
    without images, with the same text.
    """
    if ACCEPTED_VALUE.fullmatch(sent):
        return {AFFINITY_HEADER: sent}
    return {AFFINITY_HEADER: _derive(partition, first_image_key, leading_text)}


def _derive(partition: str, first_image_key: str | None, leading_text: str) -> str:
    """Hash the cached beginning of a prompt, within a partition, to 32 hexadecimal digits.

    The hash contains no secret, since replicas share none: whoever knows the partition's name and
    the image can recognise the value. To others it is noise.
    """
    key = blake3(partition.encode(), derive_key_context=KEY_CONTEXT).digest()
    start = f"text {leading_text}" if first_image_key is None else f"image {first_image_key}"
    digest = blake3(start.encode("utf-8", "surrogatepass"), key=key)
    return digest.hexdigest(length=DIGEST_BYTES)
