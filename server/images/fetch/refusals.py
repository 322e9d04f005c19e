"""Refusals that several ways to an image share: their words tell nobody which of them it was."""

from server.errors import ImageTooLarge, ImageUrlForbidden, ImageUrlInvalid


def refuse_too_many_bytes(limit: int) -> ImageTooLarge:
    """Return the refusal of an image of more than `limit` bytes."""
    return ImageTooLarge(f"The image exceeds the limit of {limit} bytes.")


def refuse_malformed_url() -> ImageUrlInvalid:
    """Return the refusal of what is no URL."""
    return ImageUrlInvalid("The image URL is malformed.")


def refuse_forbidden_host() -> ImageUrlForbidden:
    """Return the refusal of a host, by its name or by its addresses."""
    return ImageUrlForbidden("Images may not be fetched from this host.")
