"""Warnings of libraries that would mislead, since what they ask for is not used here."""

import logging
from typing import Final

_MODULE: Final = "bitsandbytes.backends.cpu.ops"
_MISSING_KERNEL: Final = "Failed to load CPU gemm_4bit_forward from kernels-community"


def hide_missing_kernel() -> None:
    """Hide bitsandbytes' advice to install the package `kernels`; call it before it is imported.

    transformers imports bitsandbytes in runs without QLoRA, too, and the kernel is for inference on
    CPUs with AVX512-BF16: `keep_gradients` switches that path off.
    """
    logging.getLogger(_MODULE).addFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_MISSING_KERNEL)
