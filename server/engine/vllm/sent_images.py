"""Leaves image_embeds that the engine's process still holds out of prompts."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

from vllm.inputs.engine import MultiModalInput, TokensInput
from vllm.multimodal.cache.base import BaseMultiModalProcessorCache
from vllm.multimodal.inputs import MultiModalKwargsItems
from vllm.outputs import RequestOutput

EngineInput: TypeAlias = TokensInput | MultiModalInput
Submit = Callable[[EngineInput], AsyncGenerator[RequestOutput, None]]


class SentImages:
    """Mirrors the keys of the engine's image cache.

    A chat sends its images again with every turn: 4.5 MiB for each image of a 7B model. vLLM's
    engine keeps images within `mm_processor_cache_gb`. Its front end knows which ones from a cache
    of keys and sizes that evicts in the same order.
    """

    def __init__(self, keys: BaseMultiModalProcessorCache | None) -> None:
        self._keys = keys

    async def generate(
        self, engine_input: EngineInput, submit: Submit
    ) -> AsyncGenerator[RequestOutput, None]:
        """Submit a prompt without the images that the engine holds; yield its outputs.

        The two caches can differ after aborts. The engine then drops a prompt with an image that it
        does not hold, and vLLM forgets the key; the prompt is submitted again with all images.
        """
        reduced = self.leave_out_held(engine_input)
        may_miss = reduced is not engine_input
        async with aclosing(submit(reduced)) as outputs:
            async for output in outputs:
                if may_miss and _is_dropped(output):
                    break
                may_miss = False  # an answer proves that it has the images
                yield output
            else:
                return
        async with aclosing(submit(engine_input)) as outputs:
            async for output in outputs:
                yield output

    def leave_out_held(self, engine_input: EngineInput) -> EngineInput:
        """Return a prompt without the images that the engine holds; remember the others."""
        if self._keys is None or engine_input["type"] != "multimodal":
            return engine_input
        keys = engine_input["mm_hashes"]["image"]
        for key in keys:  # the engine, too, first touches all images of a prompt
            self._keys.touch_sender_cache_item(key)
        items = engine_input["mm_kwargs"]["image"]
        unsent: list[Any] = [
            self._keys.get_and_update_item((item, ()), key)[0]
            for item, key in zip(items, keys, strict=True)
        ]
        if None not in unsent:
            return engine_input
        return {**engine_input, "mm_kwargs": MultiModalKwargsItems({"image": unsent})}


def _is_dropped(output: RequestOutput) -> bool:
    return any(each.finish_reason == "error" for each in output.outputs)
