"""Animated GIFs, WebPs and PNGs as videos, by Pillow: it composes their frames."""

from collections.abc import Iterator, Sequence
from typing import Final

from PIL import Image, ImageFile

from llava_spec.anyres import Size
from server.images.decode.color import convert_to_rgb
from server.images.decode.containers import count_frames, is_complete, read_decoded_size
from server.images.decode.formats import open_image
from server.images.decode.image_processor import Pixels
from server.images.decode.video.animation_timing import measure_duration
from server.images.decode.video.faults import VideoFault, VideoOptions, VideoRefusal
from server.images.decode.video.sampling import FrameSampling, choose_frames
from server.images.decode.video.views import make_views, stack_views

# Pillow's names, by those of containers.
FORMATS: Final = {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}


def decode_animation(
    data: bytes, container: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[Pixels, Size, int]:
    """Return the sampled frames as views, their (width, height), and the number of all frames.

    Raises `VideoRefusal`, or any exception of Pillow's plugin.
    """
    with _open(data, container, options) as image:
        indices, total = _choose_frames(data, image, FORMATS[container], options, sampling)
        frames = _read_frames(image, indices, options)
        views, frame_size = make_views(frames, options)
    return stack_views(views, len(indices)), frame_size, total


def measure_animation(
    data: bytes, container: str, options: VideoOptions, sampling: FrameSampling
) -> tuple[int, Size]:
    """Return the number of sampled frames, and their (width, height), without decoding one.

    Raises what `decode_animation` does.
    """
    with _open(data, container, options) as image:
        indices, _ = _choose_frames(data, image, FORMATS[container], options, sampling)
        return len(indices), image.size


def _open(data: bytes, container: str, options: VideoOptions) -> ImageFile.ImageFile:
    codec = FORMATS[container]
    _check_canvas(read_decoded_size(data, codec), options)
    return open_image(data, codec)


def _choose_frames(
    data: bytes,
    image: ImageFile.ImageFile,
    codec: str,
    options: VideoOptions,
    sampling: FrameSampling,
) -> tuple[list[int], int]:
    """Return the indices of the sampled frames in the file, and the number of all frames."""
    options.check_frame_size(image.size)
    # A PNG's picture for viewers without animation may come first.
    num_skipped = int(getattr(image, "default_image", False))
    total = count_frames(data, image, codec, options.max_frames) - num_skipped
    if total + num_skipped > options.max_frames:
        raise VideoRefusal(VideoFault.FRAMES)
    if not (total > 0 and is_complete(data, codec)):
        raise VideoRefusal(VideoFault.CORRUPT)
    duration_s = measure_duration(data, codec, total)
    if duration_s > options.max_s:
        raise VideoRefusal(VideoFault.SECONDS)
    indices = [num_skipped + each for each in choose_frames(total, duration_s, sampling)]
    options.check_total(image.size, len(indices))
    return indices, total


def _check_canvas(size: Size, options: VideoOptions) -> None:
    """Check what Pillow allocates when it opens a file; (0, 0) where that is nothing."""
    if size[0] * size[1] > options.max_pixels:
        raise VideoRefusal(VideoFault.PIXELS, size)


def _read_frames(
    image: Image.Image, indices: Sequence[int], options: VideoOptions
) -> Iterator[Image.Image]:
    """Yield frames as RGB, by their indices in ascending order."""
    for index in indices:
        image.seek(index)
        image.load()
        yield convert_to_rgb(
            image.copy(), options.alpha_color, color_management=options.color_management
        )
