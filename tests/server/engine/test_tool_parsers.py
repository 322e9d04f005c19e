"""vLLM's tool parsers behind the server's `ContentParser`."""

import json
import os

import pytest
from transformers import PreTrainedTokenizerFast

from server.checkpoint.config import Checkpoint, CheckpointError
from server.engine.tool_parsers import NativeContentParser, NativeToolParser
from server.prompt.chat_template import ChatTemplate
from server.prompt.templates import build_conversation_template
from server.prompt.tool_parser import choose_tool_parser
from server.tools.format import format_tool_call
from tests.server.generation.reading import Call, join_content

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

TOOLS = [
    {
        "type": "function",
        "function": {"name": "point", "parameters": {"type": "object", "properties": {"x": {}}}},
    }
]
ARGUMENTS = ['{"x": 1}', '{"x": {"y": ["é", "a b"]}}', '{"x": "a \\"word\\""}']
TEXTS = [
    *[format_tool_call("point", arguments) for arguments in ARGUMENTS],
    format_tool_call("point", '{"x": 1}') + "\n" + format_tool_call("point", '{"x": 2}'),
    "Well. " + format_tool_call("point", '{"x": 1}'),
    "No call at all.",
    "3 < 4 and <b>",
]


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerFast:
    """Return the embedded model's tokenizer as vLLM has it."""
    return PreTrainedTokenizerFast(tokenizer_file=str(checkpoint.path / "tokenizer.json"))


@pytest.fixture
def reader(tokenizer: PreTrainedTokenizerFast) -> NativeContentParser:
    """Return a parser of one completion."""
    return NativeToolParser("hermes", tokenizer).build_reader(TOOLS)


def parse_arguments(calls: list[Call]) -> list[tuple[str, object]]:
    """Parse the arguments of calls, since each parser formats their JSON differently."""
    return [(name, json.loads(arguments)) for name, arguments in calls]


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_and_complete_texts_give_the_same(
    text: str, tokenizer: PreTrainedTokenizerFast, reader: NativeContentParser
) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    complete_text, complete_calls = join_content(reader.parse(text, ids, "stop"))
    streamed = NativeToolParser("hermes", tokenizer).build_reader(TOOLS)
    deltas = []
    emitted = ""
    for count, token_id in enumerate(ids, 1):
        so_far = tokenizer.decode(ids[:count], clean_up_tokenization_spaces=False).rstrip("\ufffd")
        delta, emitted = so_far[len(emitted) :], so_far
        deltas += list(streamed.parse(delta, [token_id], "stop" if count == len(ids) else None))
    text_found, calls_found = join_content(deltas)
    assert parse_arguments(calls_found) == parse_arguments(complete_calls)
    assert len(complete_calls) == text.count("<tool_call>")
    assert text_found.strip() == complete_text.strip()
    if not complete_calls:
        assert text_found == text


def test_no_markup_is_text_at_the_token_limit(tokenizer: PreTrainedTokenizerFast) -> None:
    call = format_tool_call("point", '{"x": 1}')
    for text in ("Well." + call, call, call + call):
        for end in range(len(text)):
            reader = NativeToolParser("hermes", tokenizer).build_reader(TOOLS)
            content, calls = join_content(reader.parse(text[:end], [1, 2], "length"))
            assert "Well.".startswith(content), text[:end]
            assert {name for name, _ in calls} <= {"point"}
            assert (len(calls) > 0) == ('"point"' in text[:end])


def test_each_answer_is_read_for_itself(tokenizer: PreTrainedTokenizerFast) -> None:
    parser = NativeToolParser("hermes", tokenizer)
    first, second = parser.build_reader(TOOLS), parser.build_reader(TOOLS)
    text = format_tool_call("point", "{}")
    list(first.parse("<tool_call>", [5], None))
    assert join_content(second.parse(text, [5, 6], "stop")) == ("", [("point", "{}")])


def test_a_parser_that_does_not_exist(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(CheckpointError, match=r"'homer' is not one of .*hermes"):
        NativeToolParser("homer", tokenizer)


@pytest.mark.parametrize(
    ("setting", "source", "name"),
    [
        ("auto", "<tool_call>{{ tools }}", "hermes"),
        ("auto", "[TOOL_CALLS]{{ tools }}", "mistral"),
        ("auto", "<|python_tag|>{{ tools }}", "llama3_json"),
        ("auto", "<unheard-of>{{ tools }}", None),
        ("auto", "<tool_call>", None),
        ("none", "<tool_call>{{ tools }}", None),
        ("mistral", "<tool_call>{{ tools }}", "mistral"),
        ("mistral", "", "mistral"),
    ],
)
def test_the_template_decides_the_parser(setting: str, source: str, name: str | None) -> None:
    source += "{% for m in messages %}{{ m.content }}{% endfor %}"
    assert choose_tool_parser(setting, ChatTemplate(source, {}, "<image>")) == name


def test_llavas_templates_have_no_parser_of_their_own() -> None:
    template = build_conversation_template("vicuna_v1", image_start_end=False)
    assert choose_tool_parser("auto", template) is None
    assert choose_tool_parser("hermes", template) == "hermes"
