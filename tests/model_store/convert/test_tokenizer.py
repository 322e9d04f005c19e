"""Token ids are those of the slow tokenizer that the released code uses."""

import json
import re
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from model_store.convert.sentencepiece_model import build_tokenizer, read_sentencepiece
from model_store.convert.tokenizer import read_tokenizer
from model_store.errors import ConversionError
from tests.model_store.convert.conversion import convert
from tests.model_store.released import write_released
from tests.model_store.released_config import V1_ADDED, VOCAB, Version
from tests.model_store.sentencepiece_training import train_sentencepiece

TEXTS = [
    "USER: What is shown in this image? ASSISTANT:",
    "\nWhat is shown in this image? ASSISTANT:",
    " leading space",
    "   three leading spaces, and  two within, and trailing  ",
    "\n\n\tlines\r\n",
    "1234567890 3.14",
    "größer, schöner, heißer — “quoted”",
    "漢字とかな, emoji 🦙👩‍👩‍👧, zero\u200bwidth, \x00 and \x7f",
    "▁already▁escaped",
    "<0x0A> <s> </s> <unk> <image> [INST] <<SYS>>",
    "a",
    " ",
    "\n",
]
ANY_TEXT = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=5)
    | st.sampled_from(list(" \n▁<>/s0x[]ABCDEFaeioutnrs.:"))
    | st.sampled_from([" the ", "USER: ", "</s>", "<0x41>", "<s>", "   ", "image", "assistant"]),
    max_size=20,
).map("".join)


def model_file(tmp_path: Path, *, chatml: bool = False) -> Path:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(train_sentencepiece(VOCAB, chatml=chatml))
    return file


@pytest.fixture(scope="module")
def reference() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=train_sentencepiece(VOCAB))


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """As the server uses it: a special token's name in a text is text."""
    file = model_file(tmp_path_factory.mktemp("legacy"))
    tokenizer = build_tokenizer(read_sentencepiece(file), legacy=True)
    tokenizer.encode_special_tokens = True
    return tokenizer


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_sentencepieces(
    reference: sentencepiece.SentencePieceProcessor, legacy: Tokenizer, text: str
) -> None:
    assert ids(legacy, text) == reference.encode(text)


@given(text=ANY_TEXT)
def test_pieces_of_any_text_are_sentencepieces(
    reference: sentencepiece.SentencePieceProcessor, legacy: Tokenizer, text: str
) -> None:
    assert ids(legacy, text) == reference.encode(text)


@given(text=ANY_TEXT)
def test_tokenised_text_is_decoded_again(
    reference: sentencepiece.SentencePieceProcessor, legacy: Tokenizer, text: str
) -> None:
    assert legacy.decode(ids(legacy, text)) == reference.decode(reference.encode(text))


@given(text=ANY_TEXT)
def test_without_a_dummy_prefix_text_starts_as_it_is(text: str) -> None:
    proto = sentencepiece_model_pb2.ModelProto.FromString(train_sentencepiece(VOCAB, chatml=True))
    tokenizer = build_tokenizer(proto, legacy=True)
    tokenizer.encode_special_tokens = True
    slow = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    assert ids(tokenizer, text) == slow.encode(text)


def slow_ids(
    processor: sentencepiece.SentencePieceProcessor, text: str, *, legacy: bool
) -> list[int]:
    """Restates how `LlamaTokenizer(use_fast=False)` of transformers 4.37 splits special tokens.

    It cuts the text at special tokens and hands the rest to SentencePiece: each part alone where
    it is legacy, otherwise with a leading space for the first part only.
    """
    token_ids: list[int] = []
    for index, part in enumerate(re.split(r"(<s>|</s>|<unk>)", text)):
        if part in ("<s>", "</s>", "<unk>"):
            token_ids.append(processor.piece_to_id(part))
        elif part and (legacy or index == 0):
            token_ids += processor.encode(part)
        elif part:
            # Without the dummy prefix: encode after a known token and cut that off.
            marked = processor.encode("\x01" + part)
            prefix = processor.encode("\x01")
            assert marked[: len(prefix)] == prefix
            token_ids += marked[len(prefix) :]
    return token_ids


CONVERSATIONS = [
    "A chat. USER: one? ASSISTANT: two.</s>USER: three? ASSISTANT:",
    "[INST] a red circle [/INST] left </s><s>[INST] right [/INST]",
    "one</s> two</s>\nthree",
]


@pytest.mark.parametrize("text", CONVERSATIONS)
@pytest.mark.parametrize("legacy", [True, False])
def test_text_after_special_tokens(
    tmp_path: Path, reference: sentencepiece.SentencePieceProcessor, text: str, legacy: bool
) -> None:
    model_file(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"legacy": legacy}))
    tokenizer = read_tokenizer(tmp_path, {"mm_use_im_patch_token": False}).tokenizer
    assert ids(tokenizer, text) == slow_ids(reference, text, legacy=legacy)


def test_legacy_tells_the_two_apart(reference: sentencepiece.SentencePieceProcessor) -> None:
    text = CONVERSATIONS[0]
    assert slow_ids(reference, text, legacy=True) != slow_ids(reference, text, legacy=False)


def test_v15_gets_an_image_and_a_pad_token(tmp_path: Path) -> None:
    converted = convert(write_released(tmp_path / "r"), tmp_path / "out")
    assert converted.tokenizer.token_to_id("<image>") == VOCAB
    assert converted.tokenizer.token_to_id("<pad>") == VOCAB + 1
    assert converted.config["image_token_index"] == VOCAB
    assert converted.config["pad_token_id"] == VOCAB + 1
    assert converted.tokenizer.encode("hi").ids[0] == 1  # one BOS
    assert converted.json("generation_config.json") == {
        "temperature": 0.9,
        "top_p": 0.6,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": VOCAB + 1,
    }


def test_v1_keeps_the_ids_of_its_own_image_tokens(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r", "v1")
    converted = convert(released, tmp_path / "out", dtype="float32")
    found = [converted.tokenizer.token_to_id(token) for token in V1_ADDED]
    assert found == [VOCAB, VOCAB + 1, VOCAB + 2]
    assert converted.config["image_token_index"] == VOCAB + 3
    assert converted.config["mm_use_im_start_end"] is True
    embedding = converted.tensors["language_model.model.embed_tokens.weight"]
    trained = released.base_tensors["model.embed_tokens.weight"].float()
    assert embedding[: VOCAB + 3].equal(trained)


def test_added_rows_are_the_mean_of_the_old_ones(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    converted = convert(released, tmp_path / "out", dtype="float32")
    assert converted.config["text_config"]["vocab_size"] == 512  # 480 + 2, a multiple of 64
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        old = released.base_tensors[name]
        rows = converted.tensors[f"language_model.{name}"]
        assert rows.shape == (512, old.shape[1])
        assert rows[:VOCAB].equal(old.float())
        mean = old.float().mean(0).half().float()
        assert rows[VOCAB:].equal(mean.expand(512 - VOCAB, -1))


@pytest.mark.parametrize(
    ("version", "bos", "eos", "first"),
    [("v1.6-mistral", "<s>", "</s>", 1), ("v1.6-34b", "<|startoftext|>", "<|im_end|>", None)],
)
def test_special_tokens_are_the_releases(
    tmp_path: Path, version: Version, bos: str, eos: str, first: int | None
) -> None:
    converted = convert(write_released(tmp_path / "r", version), tmp_path / "out")
    settings = converted.json("tokenizer_config.json")
    assert (settings["bos_token"], settings["eos_token"]) == (bos, eos)
    assert settings["add_bos_token"] is (first is not None)
    encoded = converted.tokenizer.encode("a red circle").ids
    assert (encoded[0] == 1) is (first is not None)
    generation = converted.json("generation_config.json")
    assert generation["eos_token_id"] == converted.tokenizer.token_to_id(eos)


@pytest.mark.parametrize("version", ["v1", "v1.5", "v1.6-mistral"])
def test_transformers_loads_the_same_tokenizer(tmp_path: Path, version: Version) -> None:
    converted = convert(write_released(tmp_path / "r", version), tmp_path / "out")
    loaded = AutoTokenizer.from_pretrained(converted.path)
    for text in (*TEXTS, *CONVERSATIONS, "<image>\nWhat?"):
        assert loaded(text).input_ids == converted.tokenizer.encode(text).ids
    assert loaded.eos_token == "</s>"
    assert loaded.pad_token == "<pad>"
    assert loaded.image_token == "<image>"


def test_a_fast_tokenizer_alone_is_kept(tmp_path: Path) -> None:
    released = write_released(tmp_path / "r")
    slow = read_tokenizer(released.path, released.config)
    bare = build_tokenizer(read_sentencepiece(released.path / "tokenizer.model"), legacy=True)
    bare.save(str(released.path / "tokenizer.json"))
    (released.path / "tokenizer.model").unlink()
    kept = read_tokenizer(released.path, released.config)
    assert kept.bos_token == slow.bos_token
    assert kept.token_id("<image>") == VOCAB
    assert ids(kept.tokenizer, TEXTS[0]) == ids(bare, TEXTS[0])


def read_error(folder: Path) -> str:
    with pytest.raises(ConversionError) as error:
        read_tokenizer(folder, {})
    return str(error.value)


def test_a_tokenizer_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "no tokenizer.model and no tokenizer.json" in read_error(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "tokenizer.json is not a tokenizer" in read_error(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "tokenizer.model is not a SentencePiece model" in read_error(tmp_path)


def test_added_tokens_must_have_the_ids_that_training_gave_them(tmp_path: Path) -> None:
    model_file(tmp_path)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<im_patch>": VOCAB + 5}))
    assert f"gives '<im_patch>' the id {VOCAB}, its settings say {VOCAB + 5}" in read_error(
        tmp_path
    )


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("model_type", 1, "not a BPE model"), ("remove_extra_whitespaces", True, "normalises text")],
)
def test_other_sentencepiece_models_are_refused(
    tmp_path: Path, field: str, value: int | bool, reason: str
) -> None:
    proto = sentencepiece_model_pb2.ModelProto.FromString(train_sentencepiece(VOCAB))
    spec = proto.trainer_spec if field == "model_type" else proto.normalizer_spec
    setattr(spec, field, value)
    (tmp_path / "tokenizer.model").write_bytes(proto.SerializeToString())
    assert reason in read_error(tmp_path)
