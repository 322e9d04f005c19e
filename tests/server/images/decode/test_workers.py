"""Decode workers that hang, are killed, or whose client leaves."""

import asyncio
import multiprocessing
import os
import select
import signal
from pathlib import Path
from typing import cast

import pytest
from PIL import Image

from server.errors import (
    ImageCorrupt,
    ImageTooLarge,
)
from server.images.decode.decode import DecodeOptions
from server.images.decode.video.decode import decode_video
from server.images.decode.video.faults import VideoOptions
from server.images.decode.video.sampling import FrameSampling
from server.telemetry.metrics import Metrics
from server.workers.worker_pool import MAX_TRIES
from tests.server.images.decode.hanging import BusyOptions, CrashingOptions, HangingOptions
from tests.server.images.open_loader import build_loader, open_loader, open_workers
from tests.server.pictures import encode_image, make_noise
from tests.server.samples import sample


def wait_for_end(pid: int) -> None:
    """Block until a process has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(descriptor):
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        assert poller.poll(20_000), "the process runs"


async def test_a_worker_killed_at_work_costs_no_image(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99, metrics=(own := Metrics())) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        os.kill(worker, signal.SIGKILL)
        assert await asyncio.to_thread(hanging.wait_for_worker) != worker
        await asyncio.to_thread(hanging.release)
        assert (await decoding).views.shape == (1, 96, 96, 3)
        assert sample(own, "decode_workers_replaced_total") == 1
        assert sample(own, "decode_workers") == 1


async def test_an_image_that_costs_every_try_a_worker_is_refused(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        for _ in range(MAX_TRIES):
            os.kill(await asyncio.to_thread(hanging.wait_for_worker), signal.SIGKILL)
        with pytest.raises(ImageCorrupt) as caught:
            await decoding
        assert caught.value.message == "The image could not be decoded."


async def test_a_crash_in_a_codec_costs_one_image() -> None:
    with open_loader(
        cast(DecodeOptions, CrashingOptions()), open_files=99, metrics=(own := Metrics())
    ) as loader:
        with pytest.raises(ImageCorrupt, match="could not be decoded"):
            await loader.decode(encode_image(make_noise(8, 8)))
        # More than one where a worker died before the pool knew that it had begun.
        assert 1 <= sample(own, "decode_workers_replaced_total") <= MAX_TRIES


async def test_a_decode_that_takes_too_much_cpu_time_is_ended() -> None:
    with (
        open_loader(
            cast(DecodeOptions, BusyOptions()), cpu_s=1, open_files=99, metrics=(own := Metrics())
        ) as loader,
        pytest.raises(ImageTooLarge, match="within 1 seconds of CPU time; send a smaller one"),
    ):
        await loader.decode(encode_image(make_noise(8, 8)))
    assert sample(own, "decode_workers_replaced_total") == 1


async def test_a_decode_that_takes_too_much_memory_is_refused() -> None:
    options = DecodeOptions(96, "pad", 100_000_000)
    with open_loader(options, memory_mib=64, metrics=(own := Metrics())) as loader:
        with pytest.raises(ImageTooLarge, match="more memory than allowed"):
            await loader.decode(encode_image(Image.new("RGB", (6000, 5000))))
        assert (await loader.decode(encode_image(make_noise(8, 8)))).views.shape == (1, 96, 96, 3)
    assert sample(own, "decode_workers_replaced_total") == 0


async def test_workers_killed_under_load_cost_nothing() -> None:
    pictures = [encode_image(make_noise(300, 200, seed)) for seed in range(60)]
    others = set(multiprocessing.active_children())
    with open_loader(workers=2) as loader:
        decoding = [asyncio.create_task(loader.decode(data)) for data in pictures]
        for done in (5, 25, 45):
            await decoding[done]
            (set(multiprocessing.active_children()) - others).pop().kill()
        shapes = {each.views.shape for each in await asyncio.gather(*decoding)}
    assert shapes == {(1, 96, 96, 3)}


async def test_a_decode_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99, timeout_s=1.0) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        with pytest.raises(ImageTooLarge, match="within 1 seconds; send a smaller one"):
            await decoding
    await asyncio.to_thread(wait_for_end, worker)  # it ends in a thread


async def test_a_stopped_worker_is_replaced_once_the_time_is_up() -> None:
    data = encode_image(make_noise(8, 8))
    others = set(multiprocessing.active_children())
    with open_loader(timeout_s=0.5, metrics=(own := Metrics())) as loader:
        await loader.decode(data)
        (process,) = set(multiprocessing.active_children()) - others
        assert process.pid
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(ImageTooLarge, match=r"within 0\.5 seconds"):
            async with asyncio.timeout(5):
                await loader.decode(data)
        assert (await loader.decode(data)).views.shape == (1, 96, 96, 3)
        assert sample(own, "decode_workers_replaced_total") == 1


async def test_a_cancelled_decode_leaves_its_worker_alive(tmp_path: Path) -> None:
    hanging = HangingOptions.make(tmp_path)
    with open_loader(hanging.as_options(), open_files=99) as loader:
        decoding = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        decoding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await decoding
        # pebble would kill it at its next check, within a tenth of a second.
        (process,) = (each for each in multiprocessing.active_children() if each.pid == worker)
        await asyncio.to_thread(process.join, 0.5)
        assert process.is_alive()
        waiting = asyncio.create_task(loader.decode(encode_image(make_noise(8, 8))))
        await asyncio.to_thread(hanging.release)
        assert await asyncio.to_thread(hanging.wait_for_worker) == worker
        await asyncio.to_thread(hanging.release)
        assert (await waiting).views.shape == (1, 96, 96, 3)


def test_a_loader_that_was_never_used_closes() -> None:
    with open_loader():
        pass


@pytest.mark.parametrize("workers", [1, 2])
async def test_idle_workers_killed_cost_nothing(workers: int) -> None:
    data = encode_image(make_noise(8, 8))
    others = set(multiprocessing.active_children())
    with open_loader(workers=workers, metrics=(own := Metrics())) as loader:
        await asyncio.gather(*(loader.decode(data) for _ in range(workers)))
        idle = set(multiprocessing.active_children()) - others
        assert len(idle) == workers
        for process in idle:
            process.kill()
            await asyncio.to_thread(process.join)
        assert (await loader.decode(data)).views.shape == (1, 96, 96, 3)
        assert sample(own, "decode_workers_replaced_total") >= 1


async def test_a_cancelled_decode_that_waits_never_starts(tmp_path: Path) -> None:
    hanging, data = HangingOptions.make(tmp_path), encode_image(make_noise(8, 8))
    with open_loader(hanging.as_options(), open_files=99, metrics=(own := Metrics())) as loader:
        first = asyncio.create_task(loader.decode(data))
        worker = await asyncio.to_thread(hanging.wait_for_worker)
        second = asyncio.create_task(loader.decode(data))
        await asyncio.sleep(0)
        assert sample(own, "num_decodes_waiting") == 1
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await asyncio.to_thread(hanging.release)
        await first
        # Each decode blocks until it is released: the next one ends only if it is alone.
        third = asyncio.create_task(loader.decode(data))
        assert await asyncio.to_thread(hanging.wait_for_worker) == worker
        await asyncio.to_thread(hanging.release)
        assert (await third).views.shape == (1, 96, 96, 3)
        assert sample(own, "decode_workers_replaced_total") == 0


async def test_a_video_whose_client_left_keeps_its_slot(tmp_path: Path) -> None:
    """Otherwise clients that leave could have videos take every worker."""
    hanging = HangingOptions.make(tmp_path)
    hanging.formats = ("gif",)
    gif, sampling = encode_image(make_noise(8, 8), "GIF"), FrameSampling(1, None, 1)
    with open_workers(workers=2, open_files=99) as workers:
        options = cast(VideoOptions, hanging)

        def decode_in_worker() -> asyncio.Task[object]:
            running = workers.run(decode_video, gif, options, sampling, is_video=True)
            return asyncio.create_task(running)

        first = decode_in_worker()
        await asyncio.to_thread(hanging.wait_for_worker)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = decode_in_worker()
        for _ in range(10):  # turns of the event loop, enough to take a worker
            await asyncio.sleep(0)
        async with asyncio.timeout(10):  # the other worker is for images
            await build_loader(workers).decode(encode_image(make_noise(8, 8)))
        assert not second.done()
        second.cancel()
        hanging.release()
