"""An image's upright size from its header: what `decode` finds, without decoding a pixel."""

from typing import Final

from llava_spec.anyres import Size
from server.images.decode.containers import iterate_png_chunks
from server.images.decode.decode import (
    DecodeFailure,
    DecodeOptions,
    OpenedImage,
    classify,
    ignored_warnings,
    open_within_limits,
)
from server.images.decode.orientation import SWAPS_SIDES, Transpose, find_transpose

# A PNG's texts that may hold its orientation, beside a chunk of EXIF.
_ORIENTED_TEXTS: Final = (b"Raw profile type exif", b"XML:com.adobe.xmp")


def measure_image(data: bytes, options: DecodeOptions) -> Size | DecodeFailure:
    """Return the (width, height) of the upright image, or why its header is refused.

    The header of a JPEG suffices, other formats are needed in full. Pixels are decoded only of an
    icon, and of a PNG that states an orientation. An image whose pixels are damaged has a size.
    """
    opened = open_within_limits(data, options)
    if isinstance(opened, DecodeFailure):
        return opened
    try:
        with ignored_warnings():
            if opened.codec == "ICO":
                opened.image.load()  # the icon's table may state another size
            transpose = _find_transpose(opened) if options.orientation else None
    except Exception as error:  # codecs raise many kinds of exception on damaged data
        return DecodeFailure(classify(error), *opened.image.size)
    width, height = opened.image.size
    return (height, width) if transpose in SWAPS_SIDES else (width, height)


def _find_transpose(opened: OpenedImage) -> Transpose | None:
    """As `find_transpose`, but for a PNG without an orientation: Pillow would decode it to look."""
    if opened.codec == "PNG" and not _may_have_orientation(opened.data):
        return None
    return find_transpose(opened.image, opened.codec)


def _may_have_orientation(png: bytes) -> bool:
    return any(
        kind == b"eXIf" or png.startswith(_ORIENTED_TEXTS, start)
        for kind, start in iterate_png_chunks(png)
    )
