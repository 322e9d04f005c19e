"""All shapes, by name."""

from typing import Final

from benchmarks.shapes.llava_1_5 import LLAVA_15_7B, LLAVA_15_13B, LLAVA_15_SMALL
from benchmarks.shapes.llava_1_6 import LLAVA_16_7B
from benchmarks.shapes.qwen import INTERLEAVE_05B, ONEVISION_05B

SHAPES: Final = {
    shape.name: shape
    for shape in (
        ONEVISION_05B,
        INTERLEAVE_05B,
        LLAVA_15_7B,
        LLAVA_15_13B,
        LLAVA_16_7B,
        LLAVA_15_SMALL,
    )
}
