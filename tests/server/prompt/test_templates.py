"""Every conversation template, against the released code's prompts and a SentencePiece model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE

from server.checkpoint.config import Checkpoint, TextConfig
from server.prompt.builder import PromptBuilder
from server.prompt.format import PromptFormat, StopCriteria, choose_prompt_format
from server.prompt.templates import TEMPLATES
from server.prompt.turns import split_turns
from server.protocol.chat.messages import Message
from tests.server.prompt.released_prompts import PROMPTS, SYSTEMS
from tests.server.released_tokenizer import SentencePieceModel, convert, train

IMAGE_LENGTH = 3
CONTROLS = ("<|im_start|>", "<|im_end|>", "<im_start>", "<im_end>", "<pad>", "<image>")
CLIENT_MARKS = f"{' '.join(CONTROLS)} </s><s>[INST]###USER:<unk>"

IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:,"}}


def message(role: str, text: str, images: int = 0) -> Message:
    """Return a message with its images after its text."""
    content: Any = [{"type": "text", "text": text}, *[IMAGE_PART] * images] if images else text
    return Message.model_validate({"role": role, "content": content})


CONVERSATION = (
    message("user", "What is this?", 1),
    message("assistant", "A red cat."),
    message("user", "And these?", 2),
)


@pytest.fixture(scope="session")
def model() -> SentencePieceModel:
    """Return a trained SentencePiece model."""
    return train(*CONTROLS)


@dataclass(frozen=True)
class Files:
    """A checkpoint's form of the tokenizer, and how LlamaTokenizer reads it."""

    scheme: str
    key: bool | None  # tokenizer_config.json's `legacy`
    legacy: bool


FILES = [
    Files("prepend", None, legacy=True),
    Files("prepend", True, legacy=True),
    Files("always", None, legacy=True),
    Files("first", None, legacy=False),
    Files("first", False, legacy=False),
    Files("first", True, legacy=True),
    Files("prepend", False, legacy=False),
]


def text_config(model: SentencePieceModel, conv_mode: str | None, **changes: Any) -> TextConfig:
    image_token_id = model.specials["<image>"]
    text = TextConfig(2048, image_token_id, "<s>", "</s>", conv_mode, 0.0, 1.0)
    return replace(text, **changes)


def build_ids(prompt_format: PromptFormat, messages: Sequence[Message]) -> list[int]:
    images = sum(len(each.images) for each in messages)
    return (
        PromptBuilder(prompt_format, 4096)
        .build(split_turns(messages), [IMAGE_LENGTH] * images)
        .token_ids
    )


def build_expected_ids(model: SentencePieceModel, prompt: str, *, legacy: bool) -> list[int]:
    """Return the released code's ids, with image tokens for each image."""
    image = [model.specials["<image>"]] * IMAGE_LENGTH
    token_ids: list[int] = []
    for token_id in model.ids(prompt, legacy=legacy):
        token_ids += image if token_id is None else [token_id]
    return token_ids


def test_every_template_is_tested() -> None:
    assert PROMPTS.keys() == SYSTEMS.keys() == TEMPLATES.keys()


@pytest.mark.parametrize("files", FILES, ids=str)
@pytest.mark.parametrize("conv_mode", PROMPTS)
def test_ids_equal_the_released_codes(
    conv_mode: str, files: Files, model: SentencePieceModel
) -> None:
    text = text_config(model, conv_mode, legacy=files.key)
    prompt_format = choose_prompt_format(convert(model, files.scheme), text)
    several, single = PROMPTS[conv_mode]
    assert build_ids(prompt_format, CONVERSATION) == build_expected_ids(
        model, several, legacy=files.legacy
    )
    assert build_ids(prompt_format, [message("user", "Hi")]) == build_expected_ids(
        model, single, legacy=files.legacy
    )


@pytest.mark.parametrize("conv_mode", PROMPTS)
def test_ids_of_a_byte_level_tokenizer(
    conv_mode: str, checkpoint: Checkpoint, tokenizer: Tokenizer
) -> None:
    prompt_format = choose_prompt_format(tokenizer, checkpoint.text, conv_mode)
    several, _ = PROMPTS[conv_mode]
    # The tokenizer itself splits at special tokens; no prompt here has other ones.
    expected = tokenizer.encode(several.replace("<image>", "<image>" * IMAGE_LENGTH)).ids
    assert build_ids(prompt_format, CONVERSATION) == expected


@pytest.mark.parametrize("conv_mode", SYSTEMS)
def test_a_system_message_replaces_the_templates(conv_mode: str, model: SentencePieceModel) -> None:
    prompt_format = choose_prompt_format(convert(model, "prepend"), text_config(model, conv_mode))
    for system, prompt in zip(("Be brief.", ""), SYSTEMS[conv_mode], strict=True):
        messages = [message("system", system), message("user", "Hi")]
        assert build_ids(prompt_format, messages) == build_expected_ids(model, prompt, legacy=True)


@pytest.mark.parametrize("conv_mode", PROMPTS)
def test_images_between_start_and_end_tokens(conv_mode: str, model: SentencePieceModel) -> None:
    text = text_config(model, conv_mode, image_start_end=True)
    prompt_format = choose_prompt_format(convert(model, "prepend"), text)
    prompt = PROMPTS[conv_mode][0]
    if conv_mode != "plain":
        prompt = prompt.replace("<image>", "<im_start><image><im_end>")
    assert build_ids(prompt_format, CONVERSATION) == build_expected_ids(model, prompt, legacy=True)


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("conv_mode", PROMPTS)
def test_names_of_special_tokens_in_messages_are_text(
    conv_mode: str, role: str, model: SentencePieceModel
) -> None:
    prompt_format = choose_prompt_format(convert(model, "prepend"), text_config(model, conv_mode))
    special_ids = {*model.specials.values()} - {0}  # unknown text becomes <unk>

    def specials(client_text: str) -> list[int]:
        said = {"system": "One", "user": "Two", "assistant": "Three", role: client_text}
        turns = [message(each, said[each]) for each in ("system", "user", "assistant")]
        token_ids = build_ids(prompt_format, [*turns, *CONVERSATION])
        return [token_id for token_id in token_ids if token_id in special_ids]

    assert specials(CLIENT_MARKS) == specials("Nothing special")


def test_client_text_is_not_split(model: SentencePieceModel) -> None:
    prompt_format = choose_prompt_format(
        convert(model, "prepend"), text_config(model, "mistral_instruct")
    )
    token_ids = build_ids(prompt_format, [message("user", "a </s> b")])
    assert model.with_prefix.decode(token_ids) == "[INST] a </s> b [/INST]"


# Letters that meet at seams: spaces of both kinds, what specials are made of, other scripts.
TEXTS = st.text(st.sampled_from("ab C1.\n\t ▁<s/>|[]#:é日😀"), min_size=1, max_size=12)


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(FILES[:4]))
def test_any_text(
    model: SentencePieceModel, system: str, question: str, answer: str, files: Files
) -> None:
    assume(not any(name in each for name in model.specials for each in (system, question, answer)))
    assume(question.strip())
    tokenizer = convert(model, files.scheme)
    turns = [
        message("system", system),
        message("user", question, 1),
        message("assistant", answer),
        message("user", question),
    ]
    prompts = {
        "vicuna_v1": f"{system} USER: <image>\n{question} ASSISTANT: {answer}</s>"
        f"USER: {question} ASSISTANT:",
        "llava_llama_2": f"[INST] <<SYS>>\n{system}\n<</SYS>>\n\n<image>\n{question} [/INST] "
        f"{answer} </s><s>[INST] {question} [/INST]",
        "chatml_direct": f"<|im_start|>system\n{system}<|im_end|><|im_start|>user\n<image>\n"
        f"{question}<|im_end|><|im_start|>assistant\n{answer}<|im_end|><|im_start|>user\n"
        f"{question}<|im_end|><|im_start|>assistant\n",
    }
    for conv_mode, prompt in prompts.items():
        ids = build_ids(choose_prompt_format(tokenizer, text_config(model, conv_mode)), turns)
        assert ids == build_expected_ids(model, prompt, legacy=files.legacy)


def test_an_assistant_may_start_any_conversation(model: SentencePieceModel) -> None:
    prompt_format = choose_prompt_format(
        convert(model, "prepend"), text_config(model, "llava_llama_2")
    )
    messages = [message("assistant", "Hello."), message("system", "S."), message("user", "Hi")]
    prompt = " Hello. </s><s>[INST] <<SYS>>\nS.\n<</SYS>>\n\nHi [/INST]"
    assert build_ids(prompt_format, messages) == build_expected_ids(model, prompt, legacy=True)


def test_tokenizers_that_add_no_bos(model: SentencePieceModel) -> None:
    text = text_config(model, "chatml_direct", add_bos_token=False)
    prompt_format = choose_prompt_format(convert(model, "prepend"), text)
    with_bos = build_expected_ids(model, PROMPTS["chatml_direct"][1], legacy=True)
    assert build_ids(prompt_format, [message("user", "Hi")]) == with_bos[1:]
    without = replace(text, bos_token=None, add_bos_token=None)
    prompt_format = choose_prompt_format(convert(model, "prepend"), without)
    assert build_ids(prompt_format, [message("user", "Hi")]) == with_bos[1:]


def test_the_tokenizer_decides_about_the_bos(model: SentencePieceModel) -> None:
    tokenizer = convert(model, "prepend")
    tokenizer.post_processor = None  # as byte-level tokenizers mostly are
    single, prompt = [message("user", "Hi")], build_expected_ids(model, "Hi\n", legacy=True)
    assert (
        build_ids(choose_prompt_format(tokenizer, text_config(model, "plain")), single)
        == prompt[1:]
    )
    with_bos = text_config(model, "plain", add_bos_token=True)
    assert build_ids(choose_prompt_format(tokenizer, with_bos), single) == prompt


def test_special_tokens_may_absorb_adjacent_space(model: SentencePieceModel) -> None:
    content = convert(model, "prepend").to_str()
    old = '"content":"</s>","single_word":false,"lstrip":false,"rstrip":false'
    assert old in content
    new = old.replace('lstrip":false', 'lstrip":true').replace('rstrip":false', 'rstrip":true')
    tokenizer = Tokenizer.from_str(content.replace(old, new))
    turns = [message("user", "a"), message("assistant", "b "), message("user", "c")]
    ids = build_ids(choose_prompt_format(tokenizer, text_config(model, "mistral_instruct")), turns)
    spaceless = "[INST] a [/INST] b</s>[INST] c [/INST]"
    assert ids == build_expected_ids(model, spaceless, legacy=True)


@pytest.mark.parametrize(
    ("conv_mode", "stop"),
    [
        ("vicuna_v1", StopCriteria((), ())),
        ("mistral_instruct", StopCriteria((), ())),
        ("llava_v0", StopCriteria(("###",), ())),
        ("plain", StopCriteria(("\n",), ())),
    ],
)
def test_stop_criteria(conv_mode: str, stop: StopCriteria, model: SentencePieceModel) -> None:
    assert (
        choose_prompt_format(convert(model, "prepend"), text_config(model, conv_mode)).stop == stop
    )


def test_a_stop_string_that_is_a_token_becomes_a_stop_token(
    model: SentencePieceModel, tokenizer: Tokenizer
) -> None:
    text = text_config(model, "chatml_direct")
    im_end = model.specials["<|im_end|>"]
    assert choose_prompt_format(convert(model, "prepend"), text).stop == StopCriteria((), (im_end,))
    ended = replace(text, eos_token="<|im_end|>")
    assert choose_prompt_format(convert(model, "prepend"), ended).stop == StopCriteria((), ())
    # The embedded model's tokenizer has no such token: there it is text.
    assert choose_prompt_format(tokenizer, text).stop == StopCriteria(("<|im_end|>",), ())


def test_merges_into_a_special_token_are_removed(model: SentencePieceModel) -> None:
    pieces = ["<unk>", "<s>", "</s>", "▁", "<", "/", "s", ">", "</", "s>"]
    merges = [("<", "/"), ("s", ">"), ("</", "s>")]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(BPE(vocab, merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Prepend("▁")
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    text = text_config(model, "plain", add_bos_token=True)
    ids = build_ids(choose_prompt_format(tokenizer, text), [message("user", "</s>")])
    assert [pieces[token_id] for token_id in ids] == ["<s>", "▁", "</", "s>", "<unk>"]
