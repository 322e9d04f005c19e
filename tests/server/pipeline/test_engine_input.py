"""The prompt, images and sampling options that the engine gets."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from server.errors import (
    ContextLengthExceeded,
    InvalidValue,
)
from server.images.decode.image_processor import preprocess
from server.images.vision.tower import VisionModel
from server.prompt.tokenizer import read_tokenizer
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord
from tests.server.fake_engine import FakeEngine
from tests.server.pictures import make_noise
from tests.server.pipeline.stages import (
    IMAGE_TOKENS,
    OUTPUTS,
    Stages,
    build_request,
    generate_deltas,
    image_url,
)
from tests.server.samples import sample

# One event loop, since the tests of a module share workers, as in a server.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_text_only_request_uses_no_image_stage(
    stages: Stages, tokenizer: Tokenizer
) -> None:
    engine = FakeEngine(OUTPUTS)
    before = stages.counts()
    await generate_deltas(stages.pipeline(engine), build_request())
    (call,) = engine.calls
    assert call.request_id == "chatcmpl-1"
    assert list(call.images) == []
    assert tokenizer.decode(call.token_ids).endswith("USER: What is it? ASSISTANT:")
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [0, 0, 0, 0, 1]


async def test_images_are_submitted_with_embeddings_keys_and_offsets(
    stages: Stages, model: VisionModel
) -> None:
    engine = FakeEngine(OUTPUTS)
    before = stages.counts()
    await generate_deltas(stages.pipeline(engine), build_request(image_url(1), image_url(2)))
    (call,) = engine.calls
    first, second = call.images
    for image, seed in ((first, 1), (second, 2)):
        views = torch.from_numpy(preprocess(make_noise(60, 40, seed), 96, "pad").copy())
        expected = model(views)[0].float()
        error = (image.image_embeds.float() - expected).norm() / expected.norm()
        assert error < 0.02
        assert image.image_embeds.shape == (IMAGE_TOKENS, 256)
        rows = call.token_ids[image.offset : image.offset + IMAGE_TOKENS]
        assert rows == [stages.checkpoint.text.image_token_id] * IMAGE_TOKENS
        assert call.token_ids[image.offset - 1] != rows[0]
        assert image.key == (await stages.image_loader.load(image_url(seed), "")).key
    assert call.token_ids.count(stages.checkpoint.text.image_token_id) == 2 * IMAGE_TOKENS
    assert first.offset < second.offset
    # Two images loaded here, two for the keys above; the other stages run once per image or prompt.
    added = [after - b for after, b in zip(stages.counts(), before, strict=True)]
    assert added == [4, 2, 2, 2, 1]


async def test_the_record_counts_tokens_and_times_the_first_one(
    stages: Stages, metrics: Metrics
) -> None:
    engine, record = FakeEngine(OUTPUTS), RequestRecord("1", metrics, ANYBODY)
    with record:
        outputs = await stages.pipeline(engine).generate(build_request(image_url()), record)
        assert sample(metrics, "num_requests_waiting") == 0
        assert record.completion_tokens == 0
        assert [each.text async for each in outputs] == ["It", " is", " red."]
    assert record.prompt_tokens == len(engine.calls[0].token_ids)
    assert (record.image_tokens, record.cached_tokens) == (IMAGE_TOKENS, 7)
    assert record.completion_tokens == 3
    assert sample(metrics, "stage_seconds_sum", stage="first_token") == 0.25


@pytest.mark.parametrize("stream", [True, False, None])
async def test_stream_is_passed_to_the_engine(stream: bool | None, stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(stream=stream))
    assert engine.calls[0].stream is bool(stream)


async def test_sampling_parameters_override_the_checkpoints_defaults(stages: Stages) -> None:
    options: dict[str, Any] = {
        "temperature": 0,
        "top_p": 0.1,
        "seed": 5,
        "stop": ["a", "b"],
        "max_tokens": 9,
    }
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(**options))
    sampling = engine.calls[0].sampling
    assert (sampling.temperature, sampling.top_p) == (0.0, 0.1)
    assert (sampling.seed, list(sampling.stop), sampling.max_tokens) == (5, ["a", "b"], 9)
    assert sampling.ignore_eos is False
    assert sampling.min_tokens == 0


async def test_min_tokens_are_clamped_to_max_tokens(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(min_tokens=7, max_tokens=9))
    await generate_deltas(stages.pipeline(engine), build_request(min_tokens=100_000))
    first, second = (call.sampling for call in engine.calls)
    assert (first.min_tokens, first.max_tokens) == (7, 9)
    assert second.min_tokens == second.max_tokens


@pytest.mark.parametrize(
    ("conv_mode", "options", "stop"),
    [
        ("llava_v0", {"stop": "a"}, ["a", "###"]),
        ("llava_v0", {"stop": "a", "ignore_eos": True}, ["a"]),
        ("vicuna_v1", {}, []),
    ],
)
async def test_the_templates_stop_string_is_added(
    conv_mode: str, options: dict[str, Any], stop: list[str], stages: Stages
) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine, conv_mode=conv_mode), build_request(**options))
    assert list(engine.calls[0].sampling.stop) == stop
    assert list(engine.calls[0].sampling.stop_token_ids) == []


@pytest.mark.parametrize("ignore_eos", [False, True])
async def test_a_stop_string_that_is_a_token_becomes_a_stop_token_id(
    ignore_eos: bool, stages: Stages
) -> None:
    text = replace(stages.checkpoint.text, eos_token="<unk>")  # so "</s>" is not the EOS
    stages = replace(stages, checkpoint=replace(stages.checkpoint, text=text))
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine), build_request(ignore_eos=ignore_eos))
    eos = read_tokenizer(stages.checkpoint.path).token_to_id("</s>")
    assert list(engine.calls[0].sampling.stop_token_ids) == ([] if ignore_eos else [eos])
    assert list(engine.calls[0].sampling.stop) == []


async def test_sampling_defaults_are_the_checkpoints(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS)
    await generate_deltas(stages.pipeline(engine, temperature=0.2, top_p=0.7), build_request())
    sampling = engine.calls[0].sampling
    assert (sampling.temperature, sampling.top_p) == (0.2, 0.7)
    assert (sampling.seed, list(sampling.stop)) == (None, [])


@pytest.mark.parametrize("max_tokens", [None, 1, 10**9])
async def test_max_tokens_are_clamped_to_the_remaining_context(
    max_tokens: int | None, stages: Stages
) -> None:
    engine = FakeEngine(OUTPUTS, max_model_len=300)
    await generate_deltas(
        stages.pipeline(engine), build_request(image_url(), max_completion_tokens=max_tokens)
    )
    (call,) = engine.calls
    remaining = 300 - len(call.token_ids)
    assert 0 < remaining < 300 - IMAGE_TOKENS
    assert call.sampling.max_tokens == min(max_tokens or remaining, remaining)


async def test_a_prompt_beyond_the_context_is_not_submitted(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS, max_model_len=100)
    with pytest.raises(ContextLengthExceeded):
        await generate_deltas(stages.pipeline(engine), build_request(image_url()))
    assert engine.calls == []


async def test_a_long_text_is_tokenised_in_a_thread_to_the_same_prompt(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(OUTPUTS, max_model_len=10**6)
    request = build_request(text="What is it? " * 1000)
    await generate_deltas(stages.pipeline(engine), request)
    monkeypatch.setattr("server.prompt.chat_prompts.INLINE_CHARACTERS", 10**6)
    await generate_deltas(stages.pipeline(engine), request)
    in_thread, inline = engine.calls
    assert in_thread.token_ids == inline.token_ids
    assert len(in_thread.token_ids) > 3000


async def test_too_many_log_probabilities_of_a_prompt_are_not_submitted(stages: Stages) -> None:
    engine = FakeEngine(OUTPUTS, max_model_len=65_536)
    request = build_request(text=" red" * 30_000, prompt_logprobs=20)
    with pytest.raises(InvalidValue) as raised:
        await generate_deltas(stages.pipeline(engine), request)
    assert (raised.value.param, engine.calls) == ("prompt_logprobs", [])
