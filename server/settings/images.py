"""Images: what is accepted, decoding, the vision tower and its cache."""

from typing import Annotated, Literal, get_args

from PIL import ImageColor
from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings

from server.settings.types import MIB, ImageFormat, ImageFormats, check_opaque_color


class ImageSettings(BaseSettings):
    """Images: what is accepted, decoding, the vision tower and its cache."""

    max_images: PositiveInt = Field(16, description="images per request")
    max_image_mib: PositiveFloat = Field(32.0, description="largest encoded image, in MiB")
    max_image_megapixels: PositiveFloat = Field(
        100.0, description="largest image, in millions of pixels"
    )
    max_request_megapixels: PositiveFloat = Field(
        400.0, description="images and used frames of one request together, in millions of pixels"
    )
    max_image_frames: PositiveInt = Field(1000, description="frames or pages of one image")
    image_formats: ImageFormats = Field(
        get_args(ImageFormat), description="formats of images, comma-separated"
    )
    animated_images: Literal["first", "refuse"] = Field(
        "first", description="show the first frame of an animated image, or refuse it"
    )
    alpha_color: Annotated[str, AfterValidator(check_opaque_color)] = Field(
        "white", description="what lies behind transparent images: #rrggbb or a colour's name"
    )
    alpha: Literal["composite", "drop"] = Field(
        "composite",
        description="put transparent images on --alpha-color, or drop their alpha as the released"
        " code does",
    )
    color_management: Literal["srgb", "off"] = Field(
        "srgb",
        description="convert colors to sRGB, or ignore ICC profiles and clip deep grey as the"
        " released code does",
    )
    orientation: Literal["exif", "off"] = Field(
        "exif", description="turn images upright, or leave them as the released code does"
    )
    decode_timeout_s: PositiveFloat = Field(
        20.0, description="time to decode one image or video before its worker ends, in seconds"
    )
    decode_cpu_s: PositiveInt = Field(
        15, description="CPU time to decode one image or video, in seconds"
    )
    decode_memory_mib: PositiveInt = Field(
        3072, description="address space to decode one image or video, in MiB"
    )
    decode_workers: PositiveInt | None = Field(
        None, description="decode processes; default: the CPU cores less one, from 2 to 8"
    )
    fast_jpeg: bool = Field(
        True, description="average pixels of very large JPEGs before the resize, which is faster"
    )
    vision_batch_size: PositiveInt = Field(16, description="largest batch of views in the tower")
    vision_device: Annotated[str, Field(pattern=r"^(cpu|cuda|cuda:\d+)$")] | None = Field(
        None,
        description="device of the vision tower, such as cuda:1; default: the engine's first GPU,"
        " or the CPU",
    )
    vision_cuda_graphs: bool = Field(
        False,
        description="run the vision tower by CUDA graphs, with pinned copies; not yet tried on a"
        " GPU",
    )
    vision_threads: PositiveInt | None = Field(
        None, description="CPU threads of the tower; default: the CPU cores less one"
    )
    image_cache_mib: PositiveFloat | None = Field(
        None,
        description="memory for finished image embeddings, in MiB; default: a thousand images of"
        " the model, at most 1024",
    )

    @property
    def max_image_bytes(self) -> int:
        """Largest encoded image in bytes."""
        return int(self.max_image_mib * MIB)

    @property
    def max_image_pixels(self) -> int:
        """Largest image in pixels."""
        return int(self.max_image_megapixels * 1_000_000)

    @property
    def max_request_pixels(self) -> int:
        """The images of one request together, in pixels."""
        return int(self.max_request_megapixels * 1_000_000)

    @property
    def alpha_rgb(self) -> tuple[int, int, int] | None:
        """The background of transparent images, None if their alpha is dropped."""
        if self.alpha == "drop":
            return None
        red, green, blue = ImageColor.getrgb(self.alpha_color)[:3]
        return red, green, blue

    @property
    def decode_memory_bytes(self) -> int:
        """Address space for one decode in bytes."""
        return self.decode_memory_mib * MIB

    @property
    def image_cache_bytes(self) -> int | None:
        """Memory for finished image embeddings in bytes, if it was set."""
        return None if self.image_cache_mib is None else int(self.image_cache_mib * MIB)
