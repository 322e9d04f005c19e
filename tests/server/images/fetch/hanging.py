"""Decode options that hold a decode worker until the test lets it go, or do it harm."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from llava_spec.anyres import Size
from llava_spec.image_settings import AspectRatio
from server.images.decode.color import WHITE
from server.images.decode.decode import DecodeOptions
from server.images.decode.image_processor import PAD_COLOR, Color


@dataclass
class HangingOptions:
    """Options whose pixel limit is known only once a test says so; the worker blocks until then.

    `told` is a named pipe into which the worker writes its process id when it gets there, `go` one
    from which it reads.
    """

    told: Path
    go: Path
    size: int = 96
    aspect_ratio: AspectRatio = "pad"
    grid_pinpoints: tuple[Size, ...] = ()
    pad_color: Color = PAD_COLOR
    fast_jpeg: bool = True
    alpha_color: Color = WHITE
    max_frames: int = 1000
    animated_images: Literal["first", "refuse"] = "first"
    released: bool = False

    @classmethod
    def make(cls, folder: Path) -> "HangingOptions":
        """Create the pipes."""
        options = cls(folder / "told", folder / "go")
        os.mkfifo(options.told)
        os.mkfifo(options.go)
        return options

    @property
    def max_pixels(self) -> int:
        """Report to the test, wait for it, and allow everything."""
        if not self.released:
            self.told.write_text(str(os.getpid()))
            self.go.read_text()
            self.released = True
        return 10**9

    def as_options(self) -> DecodeOptions:
        """Return these options as what a loader takes."""
        return cast(DecodeOptions, self)

    def wait_for_worker(self) -> int:
        """Block until a worker hangs in a decode; return its process id."""
        return int(self.told.read_text())

    def release(self) -> None:
        """Let the worker go on."""
        self.go.write_text("")


@dataclass
class BusyOptions:
    """Options whose pixel limit is computed forever."""

    grid_pinpoints: tuple[Size, ...] = ()

    @property
    def max_pixels(self) -> int:
        """Never return."""
        while True:
            pass


@dataclass
class CrashingOptions:
    """Options that end the worker as a broken codec does."""

    grid_pinpoints: tuple[Size, ...] = ()

    @property
    def max_pixels(self) -> int:
        """Never return."""
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError
