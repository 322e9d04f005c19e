"""Pictures and message parts for requests."""

import base64
import io
from typing import Any

from PIL import Image, ImageDraw

GROUND = (128, 128, 128)


def circle_and_square(width: int = 336, height: int = 336) -> Image.Image:
    """Draw a red circle at the top left and a blue square at the bottom right."""
    image = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(image)
    side = min(width, height) // 4
    x, y = width // 6 - side // 2, height // 6 - side // 2
    draw.ellipse((x, y, x + side, y + side), fill=(220, 30, 30))
    x, y = width * 5 // 6 - side // 2, height * 5 // 6 - side // 2
    draw.rectangle((x, y, x + side, y + side), fill=(30, 60, 220))
    return image


def green_triangle(side: int = 300) -> Image.Image:
    """Draw a green triangle at the center."""
    image = Image.new("RGB", (side, side), GROUND)
    third = side // 3
    corners = [(side // 2, third + 8), (third + 8, 2 * third - 8), (2 * third - 8, 2 * third - 8)]
    ImageDraw.Draw(image).polygon(corners, fill=(40, 170, 60))
    return image


def encoded(image: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """Encode a picture."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def data_url(data: bytes, mime: str = "image/png") -> str:
    """Write bytes as a data URL."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def image_part(image: Image.Image | bytes | str) -> dict[str, Any]:
    """Return a content part for a picture, for encoded bytes or for a URL."""
    if isinstance(image, Image.Image):
        image = encoded(image)
    url = image if isinstance(image, str) else data_url(image)
    return {"type": "image_url", "image_url": {"url": url}}


def text_part(text: str) -> dict[str, Any]:
    """Return a text part."""
    return {"type": "text", "text": text}


def user(*parts: dict[str, Any] | str) -> dict[str, Any]:
    """Return a user message: one string, or parts."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return {"role": "user", "content": parts[0]}
    return {"role": "user", "content": list(parts)}


def body(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return a request body for the embedded model."""
    return {"model": "llava-tiny", "messages": list(messages), **options}
