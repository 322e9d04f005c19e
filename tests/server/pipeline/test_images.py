"""Images of requests: order, sharing, `detail`, limits, errors and notes."""

import asyncio
from dataclasses import replace

import pytest
import torch
from PIL import Image

from server.checkpoint.config import Checkpoint
from server.errors import (
    EngineUnavailable,
    ImageCorrupt,
    ImageError,
    ImageFetchFailed,
    ImageFormatUnsupported,
    ImageTooLarge,
    ImageUrlInvalid,
    InvalidValue,
    KeyLimitExceeded,
    ModelNotFound,
    TooManyImages,
)
from server.images.decode.decode import DecodeOptions
from server.images.vision.batcher import VisionBatcher
from server.images.vision.runner import EagerRunner
from server.images.vision.tower import VisionModel
from server.telemetry.caller import ANYBODY
from server.telemetry.request_record import RequestRecord
from tests.server.fake_engine import FakeEngine
from tests.server.images.open_loader import open_loader
from tests.server.images.vision.small_model import build_random_weights
from tests.server.origin import build_response, respond_with, serve_origin
from tests.server.pictures import build_data_url, encode_image, make_noise
from tests.server.pipeline.stages import (
    IMAGE_TOKENS,
    MAX_IMAGES,
    OUTPUTS,
    Stages,
    build_detail_request,
    build_record,
    build_request,
    generate_deltas,
    image_url,
)
from tests.server.released import pinpoints
from tests.server.samples import sample

# One event loop, since the tests of a module share workers, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_images_keep_the_order_of_the_request(isolated_stages: Stages) -> None:
    """The first image comes from a slow server, the second one is cached."""
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("200 OK", encode_image(make_noise(60, 40, 1))))

    engine = FakeEngine(OUTPUTS)
    pipeline = isolated_stages.pipeline(engine)
    await generate_deltas(pipeline, build_request(image_url(2)))
    async with serve_origin({"/": slow}) as server:
        answering = asyncio.create_task(
            generate_deltas(pipeline, build_request(f"{server.url}/", image_url(2)))
        )
        await asked.wait()
        go.set()
        await answering
    keys = [(await isolated_stages.image_loader.load(image_url(seed), "")).key for seed in (1, 2)]
    assert [image.key for image in engine.calls[1].images] == keys


async def test_a_cached_image_is_neither_decoded_nor_encoded_again(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    pipeline = stages.pipeline(engine)
    await generate_deltas(pipeline, build_request(image_url(1)))
    before = stages.counts()
    await generate_deltas(pipeline, build_request(image_url(2), image_url(1), text="And now?"))
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [2, 1, 1, 1, 1]
    assert engine.calls[0].images[0].image_embeds is engine.calls[1].images[1].image_embeds


async def test_concurrent_requests_encode_an_image_once(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    pipeline, before = stages.pipeline(engine), stages.counts()
    requests = [
        build_request(image_url(1), image_url(1)),
        build_request(image_url(1)),
        build_request(image_url(1)),
    ]
    await asyncio.gather(*(generate_deltas(pipeline, request) for request in requests))
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [4, 1, 1, 1, 3]
    keys = {image.key for call in engine.calls for image in call.images}
    assert len(keys) == 1


async def test_detail_does_not_matter_without_anyres(stages: Stages) -> None:
    engine, before = FakeEngine(OUTPUTS), stages.counts()
    await generate_deltas(stages.pipeline(engine), build_detail_request("low", "high", "auto"))
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [3, 1, 1, 1, 1]
    assert [len(image.image_embeds) for image in engine.calls[0].images] == [IMAGE_TOKENS] * 3


async def test_low_detail_encodes_only_the_base_view_with_anyres(
    stages: Stages, checkpoint: Checkpoint
) -> None:
    size = checkpoint.image.size
    vision = replace(checkpoint.vision, patch_merge="spatial_unpad")
    anyres = replace(checkpoint.image, aspect_ratio="anyres", grid_pinpoints=pinpoints(size))
    model = VisionModel(vision, anyres)
    model.load_state_dict(build_random_weights(model))
    options = DecodeOptions(size, "anyres", 1_000_000, anyres.grid_pinpoints)
    batcher = VisionBatcher(EagerRunner(model.eval()), max_views=4, metrics=stages.metrics)
    engine = FakeEngine(OUTPUTS)
    with open_loader(options, metrics=stages.metrics) as image_loader:
        tiled = Stages(checkpoint, image_loader, batcher, stages.metrics, stages.grammars)
        await generate_deltas(tiled.pipeline(engine), build_detail_request("low", "high", "auto"))
    batcher.close()
    low, high, auto = engine.calls[0].images
    # 60 x 40 fits best into three tiles of which two lie side by side: 12 of 16 columns are image.
    base = vision.num_image_tokens
    assert [len(image.image_embeds) for image in (low, high)] == [base + 1, base + 8 * 13]
    assert torch.equal(low.image_embeds[:base], high.image_embeds[:base])
    assert low.key != high.key
    assert auto.key == high.key


async def test_an_unknown_model_is_refused_before_any_work(stages: Stages) -> None:
    engine, before = FakeEngine(OUTPUTS), stages.counts()
    with pytest.raises(ModelNotFound) as caught:
        await generate_deltas(
            stages.pipeline(engine), build_request(image_url(), "nonsense", model="gpt-4o")
        )
    assert caught.value.param == "model"
    assert "gpt-4o" in caught.value.message
    assert stages.counts() == before
    assert engine.calls == []


async def test_too_many_images_are_refused_before_any_work(stages: Stages) -> None:
    engine, before = FakeEngine(OUTPUTS), stages.counts()
    with pytest.raises(TooManyImages) as caught:
        await generate_deltas(
            stages.pipeline(engine), build_request(*["nonsense"] * (MAX_IMAGES + 2))
        )
    assert caught.value.param == f"messages[0].content[{MAX_IMAGES}].image_url.url"
    assert "5 images; the limit is 3" in caught.value.message
    assert stages.counts() == before
    assert engine.calls == []


async def test_the_maximum_number_of_images_is_accepted(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(*[image_url()] * MAX_IMAGES))
    assert len(engine.calls[0].images) == MAX_IMAGES


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("ftp://example.org", ImageUrlInvalid),
        ("data:image/png;base64,AAAAA", ImageUrlInvalid),
        (build_data_url(b"text"), ImageFormatUnsupported),
        (build_data_url(encode_image(make_noise(60, 40), "JPEG")[:900]), ImageCorrupt),
    ],
)
async def test_an_image_error_names_its_field(
    url: str, kind: type[ImageError], stages: Stages
) -> None:
    engine = FakeEngine(OUTPUTS)
    with pytest.raises(kind) as caught:
        await generate_deltas(
            stages.pipeline(engine), build_request(image_url(1), url, image_url(2))
        )
    assert type(caught.value) is kind
    assert caught.value.param == "messages[0].content[1].image_url.url"
    assert engine.calls == []


async def test_a_shared_image_error_names_the_field_of_each_request(
    isolated_stages: Stages,
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def missing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go.wait()
        writer.write(build_response("404 Not Found"))

    async with serve_origin({"/": missing}) as server:
        pipeline = isolated_stages.pipeline(FakeEngine(OUTPUTS))
        one = asyncio.create_task(generate_deltas(pipeline, build_request(f"{server.url}/")))
        other = asyncio.create_task(
            generate_deltas(pipeline, build_request(image_url(), f"{server.url}/"))
        )
        await asked.wait()
        await asyncio.sleep(0)
        go.set()
        for task, part in ((one, 0), (other, 1)):
            with pytest.raises(ImageFetchFailed) as caught:
                await task
            assert caught.value.param == f"messages[0].content[{part}].image_url.url"
        assert len(server.requests) == 1


async def test_an_image_needs_no_text(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(image_url(), text=" "))
    assert len(engine.calls[0].images) == 1


async def test_invalid_messages_are_refused_before_images_are_loaded(stages: Stages) -> None:
    before = stages.counts()
    request = build_request(image_url(77), continue_final_message=True)
    with pytest.raises(InvalidValue):
        await generate_deltas(stages.pipeline(FakeEngine(OUTPUTS)), request)
    assert stages.counts()[:4] == before[:4]


async def test_images_stay_cached_when_the_engine_fails(stages: Stages) -> None:
    engine = FakeEngine([EngineUnavailable("The engine failed.")])
    pipeline = stages.pipeline(engine)
    with pytest.raises(EngineUnavailable):
        await pipeline.generate(build_request(image_url(3)), build_record())
    before = stages.counts()
    engine.script = OUTPUTS
    await generate_deltas(pipeline, build_request(image_url(3)))
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [1, 0, 0, 0, 1]


async def test_a_failed_fetch_is_retried_by_the_next_request(isolated_stages: Stages) -> None:
    answers = {"/": respond_with(build_response("503 Later"))}
    async with serve_origin(answers) as server:
        engine = FakeEngine(OUTPUTS)
        pipeline, request = isolated_stages.pipeline(engine), build_request(f"{server.url}/")
        with pytest.raises(ImageFetchFailed):
            await generate_deltas(pipeline, request)
        answers["/"] = respond_with(build_response("200 OK", encode_image(make_noise(60, 40))))
        assert len(await generate_deltas(pipeline, request)) == 3


async def test_the_pixel_limit_is_for_all_images_of_a_request(stages: Stages) -> None:
    urls = [
        build_data_url(encode_image(Image.new("1", (1000, 600), seed % 2))) for seed in range(3)
    ]
    pipeline = stages.pipeline(FakeEngine(OUTPUTS))
    await generate_deltas(pipeline, build_request(*urls[:2]))
    before = sample(stages.metrics, "image_refusals_total", code="image_too_large")
    with pytest.raises(ImageTooLarge, match="1800000 pixels together; the limit is 1500000"):
        await generate_deltas(pipeline, build_request(*urls))
    after = sample(stages.metrics, "image_refusals_total", code="image_too_large")
    assert after == before + 1


async def test_tenants_do_not_share_images(stages: Stages) -> None:
    pipeline = stages.pipeline(engine := FakeEngine(OUTPUTS))
    before = stages.counts()
    for partition in ("a", "b", "a"):
        record = build_record(replace(ANYBODY, cache_partition=partition))
        async for _ in await pipeline.generate(build_request(image_url(77)), record):
            pass
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [3, 2, 2, 2, 3]
    first, second, third = [call.images[0].key for call in engine.calls]
    assert first == third != second


class Meter:
    """Counts image tokens, and refuses them while there is no room."""

    def __init__(self, owner: str, *, has_room: bool = True) -> None:
        self.key_name = owner
        self.charged: list[int] = []
        self._has_room = has_room

    def reserve_output_tokens(self, num_tokens: int) -> None:
        """Reserve nothing."""

    def check_image_tokens(self) -> None:
        """Refuse without room."""
        if not self._has_room:
            raise KeyLimitExceeded("none left")

    def charge_image_tokens(self, num_tokens: int) -> None:
        """Count."""
        self.check_image_tokens()
        self.charged.append(num_tokens)

    def mark_submitted(self) -> None:
        pass

    def charge_output_tokens(self, num_tokens: int) -> None:
        """Count nothing."""

    def end_generation(self) -> None:
        """Give nothing back."""


def build_metered_record(meter: Meter) -> RequestRecord:
    """Return a record whose tokens are counted."""
    return build_record(replace(ANYBODY, meter=meter))


async def test_each_image_is_counted_once_cached_or_not(stages: Stages) -> None:
    meter = Meter("alice")
    for _ in range(2):
        request = build_request(image_url(501), image_url(502))
        await generate_deltas(
            stages.pipeline(FakeEngine(OUTPUTS)), request, build_metered_record(meter)
        )
    assert meter.charged == [IMAGE_TOKENS] * 4


async def test_an_image_without_tokens_left_is_not_encoded(stages: Stages) -> None:
    before = stages.counts()
    with pytest.raises(KeyLimitExceeded):
        await generate_deltas(
            stages.pipeline(FakeEngine(OUTPUTS)),
            build_request(image_url(503)),
            build_metered_record(Meter("alice", has_room=False)),
        )
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [1, 1, 1, 0, 0]


async def test_the_limit_of_one_key_is_not_anothers(stages: Stages) -> None:
    """Where keys share caches, they would share the encoding of an image, too."""
    pipeline = stages.pipeline(FakeEngine(OUTPUTS))
    meters = Meter("alice", has_room=False), Meter("bob")
    refused, answered = await asyncio.gather(
        *(
            generate_deltas(pipeline, build_request(image_url(504)), build_metered_record(meter))
            for meter in meters
        ),
        return_exceptions=True,
    )
    assert isinstance(refused, KeyLimitExceeded)
    assert not isinstance(answered, BaseException)
    assert meters[1].charged == [IMAGE_TOKENS]


async def test_the_engine_keeps_partitions_apart(stages: Stages) -> None:
    pipeline = stages.pipeline(engine := FakeEngine(OUTPUTS))
    for partition in ("a", "b"):
        record = build_record(replace(ANYBODY, cache_partition=partition))
        async for _ in await pipeline.generate(build_request(), record):
            pass
    assert [call.cache_partition for call in engine.calls] == ["a", "b"]


async def test_an_animation_adds_a_note(stages: Stages) -> None:
    frames = [make_noise(20, 20, seed) for seed in range(3)]
    gif = encode_image(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for _ in range(2):  # decoded, then known
        record = build_record()
        await generate_deltas(
            stages.pipeline(FakeEngine(OUTPUTS)), build_request(build_data_url(gif)), record
        )
        assert record.notes == [
            "messages[0].content[0].image_url.url: the first of 3 frames was used"
        ]
