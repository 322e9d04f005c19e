"""What libraries print that would mislead: there is nothing to mend."""

import logging
import sys
from collections.abc import Callable
from types import TracebackType
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


def start_worker(inner: Callable[[int], object] | None, number: int) -> None:
    """Begin a process that reads images; `inner` is what else it begins with.

    A thread of multiprocessing hands its tensors over. After an interrupt nobody takes them, and
    the thread would print a traceback. What goes wrong with images is not told by the hook.
    """
    sys.excepthook = _report_unless_reader_is_gone
    if inner is not None:
        inner(number)


def _report_unless_reader_is_gone(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, ConnectionError | EOFError):
        sys.__excepthook__(kind, error, traceback)
