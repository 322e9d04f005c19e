"""Decode options that make a decode worker hang, spin or crash."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from llava_spec.anyres import Size
from server.checkpoint.vision import AspectRatio
from server.images.decode.color import WHITE
from server.images.decode.decode import DecodeOptions
from server.images.decode.image_processor import PAD_COLOR, Color


@dataclass
class HangingOptions:
    """Options whose pixel limit blocks a worker until the test releases it.

    Both are named pipes: the worker writes its process id to `pid_pipe` and then reads from
    `release_pipe`.
    """

    pid_pipe: Path
    release_pipe: Path
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
        options = cls(folder / "pid", folder / "release")
        os.mkfifo(options.pid_pipe)
        os.mkfifo(options.release_pipe)
        return options

    @property
    def max_pixels(self) -> int:
        """Report to the test, wait for its release, and allow everything."""
        if not self.released:
            self.pid_pipe.write_text(str(os.getpid()))
            self.release_pipe.read_text()
            self.released = True
        return 10**9

    def as_options(self) -> DecodeOptions:
        """Return these options under the type that a loader takes."""
        return cast(DecodeOptions, self)

    def wait_for_worker(self) -> int:
        """Block until a worker hangs in a decode; return its process id."""
        return int(self.pid_pipe.read_text())

    def release(self) -> None:
        """Let the worker continue."""
        self.release_pipe.write_text("")


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
    """Options that crash the worker as a broken codec does."""

    grid_pinpoints: tuple[Size, ...] = ()

    @property
    def max_pixels(self) -> int:
        """Never return."""
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError
