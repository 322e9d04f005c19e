"""Decode options that block a decode worker until the test releases it, or that harm it."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from llava_spec.anyres import Size
from llava_spec.image_settings import AspectRatio
from server.images.decode.color import WHITE
from server.images.decode.decode import DecodeOptions
from server.images.decode.formats import FORMATS
from server.images.decode.image_processor import PAD_COLOR, Color
from server.images.decode.jpeg_scans import MAX_SCANS


@dataclass
class HangingOptions:
    """Options whose pixel limit blocks the worker until the test releases it.

    Both paths are named pipes. The worker writes its process id into `ready` once it blocks, and
    reads from `go`.
    """

    ready: Path
    go: Path
    size: int = 96
    aspect_ratio: AspectRatio = "pad"
    grid_pinpoints: tuple[Size, ...] = ()
    pad_color: Color = PAD_COLOR
    fast_jpeg: bool = True
    alpha_color: Color | None = WHITE
    color_management: bool = True
    orientation: bool = True
    max_frames: int = 1000
    animated_images: Literal["first", "refuse"] = "first"
    max_scans: int = MAX_SCANS
    formats: tuple[str, ...] = FORMATS
    released: bool = False

    @classmethod
    def make(cls, folder: Path) -> "HangingOptions":
        """Create the pipes."""
        options = cls(folder / "ready", folder / "go")
        os.mkfifo(options.ready)
        os.mkfifo(options.go)
        return options

    @property
    def max_pixels(self) -> int:
        """Report to the test, wait for it, and allow any size."""
        if not self.released:
            self.ready.write_text(str(os.getpid()))
            self.go.read_text()
            self.released = True
        return 10**9

    def as_options(self) -> DecodeOptions:
        """Return these options as the type that a loader takes."""
        return cast(DecodeOptions, self)

    def wait_for_worker(self) -> int:
        """Wait until a worker blocks in a decode; return its process id."""
        return int(self.ready.read_text())

    def release(self) -> None:
        """Let the worker continue."""
        self.go.write_text("")


@dataclass
class BusyOptions:
    """Options whose pixel limit is computed forever."""

    grid_pinpoints: tuple[Size, ...] = ()
    formats: tuple[str, ...] = FORMATS

    @property
    def max_pixels(self) -> int:
        """Never return."""
        while True:
            pass


@dataclass
class CrashingOptions:
    """Options that end the worker as a broken codec does."""

    grid_pinpoints: tuple[Size, ...] = ()
    formats: tuple[str, ...] = FORMATS

    @property
    def max_pixels(self) -> int:
        """Never return."""
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError
