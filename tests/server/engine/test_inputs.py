"""Prompts with image embeddings, and sampling parameters, as vLLM's own classes."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from vllm.multimodal.inputs import MultiModalKwargsItem, PlaceholderRange
from vllm.sampling_params import RequestOutputKind

from server.engine.base import EngineImage, SamplingOptions
from server.engine.vllm.inputs import build_engine_input, build_sampling_params, is_greedy

HIDDEN_SIZE = 8
SAMPLING = SamplingOptions(
    max_tokens=16, temperature=0.5, top_p=0.9, seed=None, stop=(), ignore_eos=False
)


def image(key: str, offset: int, num_image_tokens: int) -> EngineImage:
    return EngineImage(key, offset, torch.full((num_image_tokens, HIDDEN_SIZE), float(offset)))


def build_items(*images: EngineImage) -> list[MultiModalKwargsItem]:
    engine_input: Any = build_engine_input([1] * 20, images, HIDDEN_SIZE, max_item_tokens=2048)
    items: list[MultiModalKwargsItem] = engine_input["mm_kwargs"]["image"]
    return items


def test_a_prompt_without_images_is_its_tokens() -> None:
    engine_input = build_engine_input([1, 2, 3], [], HIDDEN_SIZE, max_item_tokens=2048)
    assert engine_input["type"] == "token"
    assert engine_input["prompt_token_ids"] == [1, 2, 3]


def test_images_bring_placeholders_and_hashes_in_order() -> None:
    images = [image("cat", 1, 4), image("dog", 7, 2)]
    engine_input: Any = build_engine_input([5] * 10, images, HIDDEN_SIZE, max_item_tokens=2048)
    assert engine_input["type"] == "multimodal"
    assert engine_input["prompt_token_ids"] == [5] * 10
    assert engine_input["mm_hashes"] == {"image": ["cat", "dog"]}
    assert engine_input["mm_placeholders"] == {
        "image": [PlaceholderRange(1, 4), PlaceholderRange(7, 2)]
    }


def test_what_is_longer_than_a_step_becomes_several_items() -> None:
    images = [image("clip", 1, 7), image("dog", 9, 3)]
    engine_input: Any = build_engine_input([5] * 12, images, HIDDEN_SIZE, max_item_tokens=3)
    assert engine_input["mm_placeholders"] == {
        "image": [PlaceholderRange(*place) for place in ((1, 3), (4, 3), (7, 1), (9, 3))]
    }
    assert engine_input["mm_hashes"] == {"image": ["clip+0", "clip+3", "clip+6", "dog"]}
    items = engine_input["mm_kwargs"]["image"]
    embeds = torch.cat([item.get_data()["image_embeds"] for item in items])
    assert embeds.equal(torch.cat([each.image_embeds for each in images]))


def test_an_item_holds_the_embeddings_and_their_number() -> None:
    (item,) = build_items(image("cat", 1, 4))
    data = item.get_data()
    assert data["image_embeds"].equal(torch.ones(4, HIDDEN_SIZE))
    assert data["num_image_tokens"].item() == 4


def test_only_images_of_the_same_length_share_a_batch() -> None:
    short, long, other_short = build_items(image("a", 0, 2), image("b", 2, 4), image("c", 6, 2))
    assert short["num_image_tokens"] != long["num_image_tokens"]
    assert short["num_image_tokens"] == other_short["num_image_tokens"]


@pytest.mark.parametrize("shape", [(4, HIDDEN_SIZE + 1), (4,), (1, 4, HIDDEN_SIZE)])
def test_embeddings_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    good, bad = image("cat", 0, 2), EngineImage("dog", 2, torch.zeros(shape))
    with pytest.raises(ValueError, match="image_embeds of shape"):
        build_engine_input([1] * 8, [good, bad], HIDDEN_SIZE, max_item_tokens=2048)


CHANGES: dict[str, tuple[Any, Any]] = {
    "max_tokens": (7, 7),
    "temperature": (0.25, 0.25),
    "top_p": (0.75, 0.75),
    "seed": (11, 11),
    "stop": (("###", "\n"), ["###", "\n"]),
    "ignore_eos": (True, True),
    "stop_token_ids": ((3, 5), [3, 5]),
    "min_tokens": (2, 2),
    "n": (3, 3),
    "top_k": (40, 40),
    "min_p": (0.125, 0.125),
    "presence_penalty": (0.5, 0.5),
    "frequency_penalty": (-0.5, -0.5),
    "repetition_penalty": (1.25, 1.25),
    "logit_bias": ({4: -1.5}, {4: -1.5}),
    "logprobs": (5, 5),
    "prompt_logprobs": (0, 0),
    "skip_special_tokens": (False, False),
    "include_stop_str_in_output": (True, True),
    "bad_words": (("red",), ["red"]),
    "allowed_token_ids": ((3, 5), [3, 5]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_sampling_option_reaches_vllm(name: str) -> None:
    value, expected = CHANGES[name]
    params = build_sampling_params(replace(SAMPLING, **{name: value}), stream=True)
    assert getattr(params, name) == expected
    assert getattr(build_sampling_params(SAMPLING, stream=True), name) != expected


def test_no_sampling_option_is_forgotten() -> None:
    assert {field.name for field in fields(SamplingOptions)} == {*CHANGES, "grammar"}


def test_a_grammar_is_not_compiled_again() -> None:
    grammar = 'start: "yes" | "no"'
    params = build_sampling_params(replace(SAMPLING, grammar=grammar), stream=False)
    assert params.structured_outputs.grammar == grammar
    params._validate_structured_outputs(None, None)
    assert params.structured_outputs._backend == "guidance"


def test_no_grammar_needs_no_structured_outputs() -> None:
    params = build_sampling_params(SAMPLING, stream=False)
    params._validate_structured_outputs(None, None)
    assert params.structured_outputs is None


def test_no_logit_bias_is_none() -> None:
    assert build_sampling_params(replace(SAMPLING, logit_bias={}), stream=True).logit_bias is None


@pytest.mark.parametrize(
    ("stream", "kind"), [(True, RequestOutputKind.DELTA), (False, RequestOutputKind.FINAL_ONLY)]
)
def test_a_stream_gets_deltas(stream: bool, kind: RequestOutputKind) -> None:
    assert build_sampling_params(SAMPLING, stream=stream).output_kind == kind


def test_greedy_decoding_runs_once_for_all_completions() -> None:
    greedy = replace(SAMPLING, temperature=0.0, n=3)
    assert is_greedy(greedy)
    assert not is_greedy(SAMPLING)
    assert build_sampling_params(greedy, stream=True).n == 1


def test_bad_words_are_tokenised_once(tokenizer: Tokenizer) -> None:
    words = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    params = build_sampling_params(replace(SAMPLING, bad_words=("red",)), stream=True)
    params.update_from_tokenizer(words)
    cloned = params.clone()
    cloned.update_from_tokenizer(None)
    assert cloned.bad_words_token_ids == params.bad_words_token_ids != []
