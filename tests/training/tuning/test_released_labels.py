"""Token ids and labels are those of the released code."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.training.tuning.fixtures import LABELS, load_prompt_tokenizer, read_json
from training.tuning.prompts import IGNORED, IMAGE_TOKEN_ID, PromptLabeller, choose_render
from training.tuning.records import ROLES, Record

# Templates by what the released `--version` calls them. It takes what it does not know for v1.
CONV_MODES: Final = {
    "plain": "plain",
    "v0": "vicuna_v1",
    "v0.5": "vicuna_v1",
    "v1": "vicuna_v1",
    "llava_v1": "llava_v1",
    "llava_llama_2": "llava_llama_2",
    "mistral_instruct": "mistral_instruct",
    "v1_mmtag": "v1_mmtag",
    "llama_2": "llama_2",
    "llava_v0": "llava_v0",
    "default": "default",
    "v0_mmtag": "v0_mmtag",
    "chatml_direct": "chatml_direct",
    "mistral_direct": "chatml_direct",
    "mpt": "mpt",
}
# The released labels of these are defects: of each turn after the first, or of all.
IDS_ONLY: Final = (
    *("llava_v0", "default", "v0_mmtag"),
    *("chatml_direct", "mistral_direct", "mpt"),
)
# Records that are refused here: empty turns, an image in an answer, an answer that comes first;
# and what the released v0 takes for a role "unknown", or plain for an image.
LEFT_OUT: Final = {
    "answer-empty",
    "answer-empty-image",
    "plain-caption-empty",
    "question-empty",
    "question-empty-later",
    "image-tag-in-answer",
    "begins-with-gpt",
    "begins-with-system",
    "roles-capitalised",
    "roles-user-assistant",
    "tag-without-image-file",
}
RECORDS: Final = {each["id"]: each for each in read_json(LABELS / "records.json")}
FILES: Final = sorted(
    file for file in LABELS.glob("*.json.gz") if read_json(file)["version"] in CONV_MODES
)


def build_record(content: dict[str, Any]) -> Record:
    """Return a record without the checks of ours."""
    turns = [(ROLES.get(turn["from"], "user"), turn["value"]) for turn in content["conversations"]]
    if turns[0][0] == "assistant":
        del turns[0]  # as the released code does
    images = (content["image"],) if "image" in content else ()
    return Record(content["id"], images, tuple(turns))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".json.gz"))
def test_ids_and_labels_are_equal(file: Path) -> None:
    released = read_json(file)
    has_marks = released["mm_use_im_start_end"]
    tokenizer = load_prompt_tokenizer(
        LABELS / "tokenizers" / released["tokenizer"], image_start_end=has_marks
    )
    version, limit = released["version"], released["model_max_length"]
    labeller = PromptLabeller(
        choose_render(CONV_MODES[version], image_start_end=has_marks), tokenizer
    )
    num_compared = 0
    for case in released["cases"]:
        if "error" in case or case["id"] in LEFT_OUT:
            continue
        prompt = labeller.label(build_record(RECORDS[case["id"]]))
        assert prompt.input_ids[:limit] == case["input_ids"][:limit], case["id"]
        num_compared += 1
        if version not in IDS_ONLY and not case.get("all_masked"):
            assert prompt.labels[:limit] == case["labels"][:limit], case["id"]
            assert any(label != IGNORED for label in prompt.labels)
    assert num_compared >= 10


def test_an_image_is_one_id() -> None:
    labeller = PromptLabeller(
        choose_render("vicuna_v1", image_start_end=False),
        load_prompt_tokenizer(LABELS / "tokenizers" / "llama"),
    )
    record = Record("two", ("a", "b"), (("user", "<image> and <image>?"), ("assistant", "Yes.")))
    assert labeller.label(record).input_ids.count(IMAGE_TOKEN_ID) == 2


def test_names_of_tokens_without_embeddings_are_text() -> None:
    tokenizer = load_prompt_tokenizer(LABELS / "tokenizers" / "llama")
    render = choose_render("vicuna_v1", image_start_end=False)
    record = Record("pad", (), (("user", "What is <pad>?"), ("assistant", "<pad> fills.")))
    parsed = PromptLabeller(render, tokenizer).label(record)
    plain = PromptLabeller(render, tokenizer, ["<pad>"]).label(record)
    pad = tokenizer.token_to_id("<pad>")
    assert pad is not None
    assert parsed.input_ids.count(pad) == 2
    assert pad not in plain.input_ids
    assert tokenizer.decode(plain.input_ids).count("<pad>") == 2
