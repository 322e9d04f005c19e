"""An image's upright size from its header: what `decode` finds, without decoding a pixel."""

import warnings
from typing import Final

from PIL import ImageFile

from llava_spec.anyres import Size
from server.images.decode.containers import iterate_png_chunks, read_decoded_size
from server.images.decode.decode import DecodeOptions
from server.images.decode.formats import detect_format, open_image
from server.images.decode.icon import extract_largest
from server.images.decode.orientation import SWAPS_SIDES, Transpose, find_transpose

# A PNG's texts that may hold its orientation, beside a chunk of EXIF.
_ORIENTED_TEXTS: Final = (b"Raw profile type exif", b"XML:com.adobe.xmp")


def read_image_size(data: bytes, options: DecodeOptions) -> Size | None:
    """Return the (width, height) of the upright image, None where its header cannot be read.

    The header of a JPEG suffices, other formats are needed in full. Pixels are decoded only of an
    icon, and of a PNG that states an orientation.
    """
    image_format = detect_format(data, options.formats)
    if image_format is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about metadata
        try:
            data, codec = extract_largest(data) if image_format == "ICO" else (data, image_format)
            if not _is_within(read_decoded_size(data, codec), options.max_pixels):
                return None
            image = open_image(data, codec)
            if 0 in image.size or not _is_within(image.size, options.max_pixels):
                return None
            if codec == "ICO":
                image.load()  # the icon's table may state another size
            transpose = _find_transpose(image, data, codec) if options.orientation else None
        except Exception:  # codecs raise many kinds of exception on damaged data
            return None
    width, height = image.size
    return (height, width) if transpose in SWAPS_SIDES else (width, height)


def _is_within(size: Size, max_pixels: int) -> bool:
    return size[0] * size[1] <= max_pixels


def _find_transpose(image: ImageFile.ImageFile, data: bytes, codec: str) -> Transpose | None:
    """As `find_transpose`, but for a PNG without an orientation: Pillow would decode it to look."""
    if codec == "PNG" and not _may_have_orientation(data):
        return None
    return find_transpose(image, codec)


def _may_have_orientation(png: bytes) -> bool:
    return any(
        kind == b"eXIf" or png.startswith(_ORIENTED_TEXTS, start)
        for kind, start in iterate_png_chunks(png)
    )
