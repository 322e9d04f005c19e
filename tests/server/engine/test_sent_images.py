"""The mirror of the engine's image cache, against vLLM's own cache of the engine's side."""

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import torch
from vllm.multimodal.cache.base import MultiModalCacheMissError
from vllm.multimodal.cache.lru import LruKeyReplicatedReceiverCache, LruKeyReplicatedSenderCache
from vllm.multimodal.inputs import MultiModalFeatureSpec

from server.engine.base import EngineImage
from server.engine.vllm.inputs import build_engine_input
from server.engine.vllm.sent_images import EngineInput, SentImages

HIDDEN_SIZE = 8
IMAGE_BYTES = 4 * HIDDEN_SIZE * 4
Outputs = list[tuple[str, str | None]]


class ReceivingEngine:
    """An engine that holds images as vLLM's does, within `num_images`; it echoes their values."""

    def __init__(self, num_images: float) -> None:
        gib = num_images * (IMAGE_BYTES + 8) / 1024**3  # 8: the number of image tokens
        config: Any = SimpleNamespace(
            get_multimodal_config=lambda: SimpleNamespace(mm_processor_cache_gb=gib)
        )
        self.keys = LruKeyReplicatedSenderCache(config)
        self.images = LruKeyReplicatedReceiverCache(config)
        self.sent: list[list[str]] = []

    async def submit(self, engine_input: EngineInput) -> AsyncGenerator[Any, None]:
        features = _read_features(engine_input)
        self.sent.append([each.identifier for each in features if each.data is not None])
        try:
            received = self.images.get_and_update_features(features)
        except MultiModalCacheMissError as miss:
            for key in miss.mm_hashes:
                self.keys.invalidate(key)
            yield output("", "error")
            return
        yield output("".join(str(int(each.data["image_embeds"].data[0, 0])) for each in received))
        yield output("", "stop")


def output(text: str, finish_reason: str | None = None) -> Any:
    return SimpleNamespace(outputs=[SimpleNamespace(text=text, finish_reason=finish_reason)])


def _read_features(engine_input: Any) -> list[Any]:
    return [
        MultiModalFeatureSpec(data=item, modality="image", identifier=key, mm_position=place)
        for item, key, place in zip(
            engine_input["mm_kwargs"]["image"],
            engine_input["mm_hashes"]["image"],
            engine_input["mm_placeholders"]["image"],
            strict=True,
        )
    ]


def prompt(*numbers: int) -> EngineInput:
    """Return a prompt with images of these keys and values."""
    images = [
        EngineImage(str(number), 4 * index, torch.full((4, HIDDEN_SIZE), float(number)))
        for index, number in enumerate(numbers)
    ]
    return build_engine_input([1] * 40, images, HIDDEN_SIZE, max_item_tokens=2048)


async def ask(sent: SentImages, engine: ReceivingEngine, *numbers: int) -> str:
    outputs = [each async for each in sent.generate(prompt(*numbers), engine.submit)]
    assert outputs[-1].outputs[0].finish_reason == "stop"
    return "".join(each.outputs[0].text for each in outputs)


async def test_a_chat_sends_each_image_once() -> None:
    engine = ReceivingEngine(9)
    sent = SentImages(engine.keys)
    for turn in range(1, 6):
        assert await ask(sent, engine, *range(1, turn + 1)) == "12345"[:turn]
    assert engine.sent == [["1"], ["2"], ["3"], ["4"], ["5"]]


async def test_an_image_twice_in_a_prompt_is_sent_once() -> None:
    engine = ReceivingEngine(9)
    assert await ask(SentImages(engine.keys), engine, 7, 7) == "77"
    assert engine.sent == [["7"]]


async def test_what_the_engine_evicted_is_sent_again() -> None:
    engine = ReceivingEngine(2)
    sent = SentImages(engine.keys)
    answers = [await ask(sent, engine, number) for number in (1, 2, 3, 1, 3)]
    assert answers == ["1", "2", "3", "1", "3"]
    assert engine.sent == [["1"], ["2"], ["3"], ["1"], []]


async def test_a_prompt_with_more_images_than_the_engine_holds() -> None:
    engine = ReceivingEngine(2)
    sent = SentImages(engine.keys)
    for _ in range(3):
        assert await ask(sent, engine, 1, 2, 3) == "123"


async def test_an_image_larger_than_the_cache_is_sent_each_time() -> None:
    engine = ReceivingEngine(0.5)
    sent = SentImages(engine.keys)
    assert [await ask(sent, engine, 1), await ask(sent, engine, 1)] == ["1", "1"]
    assert engine.sent == [["1"], ["1"]]


async def test_a_miss_is_sent_again_with_all_images() -> None:
    engine = ReceivingEngine(9)
    sent = SentImages(engine.keys)
    await ask(sent, engine, 1, 2)
    sent.leave_out_held(prompt(3))  # of a request that was aborted before it was sent
    engine.images.clear_cache()
    assert await ask(sent, engine, 1, 3) == "13"
    assert await ask(sent, engine, 1, 2, 3) == "123"
    assert engine.sent[1:] == [[], ["1", "3"], ["1", "3"], ["1", "2", "3"]]


async def test_a_failure_after_the_first_output_is_no_miss() -> None:
    submissions = 0

    async def submit(_: EngineInput) -> AsyncGenerator[Any, None]:
        nonlocal submissions
        submissions += 1
        yield output("a")
        yield output("", "error")

    engine = ReceivingEngine(9)
    sent = SentImages(engine.keys)
    sent.leave_out_held(prompt(1))
    outputs = [each async for each in sent.generate(prompt(1), submit)]
    assert [each.outputs[0].finish_reason for each in outputs] == [None, "error"]
    assert submissions == 1


async def test_without_a_cache_everything_is_sent() -> None:
    engine = ReceivingEngine(9)
    sent = SentImages(None)
    assert [await ask(sent, engine, 1), await ask(sent, engine, 1)] == ["1", "1"]
    assert engine.sent == [["1"], ["1"]]


def test_a_text_prompt_stays_as_it_is() -> None:
    text = build_engine_input([1, 2], [], HIDDEN_SIZE, max_item_tokens=2048)
    assert SentImages(ReceivingEngine(9).keys).leave_out_held(text) is text
