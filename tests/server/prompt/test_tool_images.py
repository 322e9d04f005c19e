"""An image in a tool's result is shown in the turn of the result."""

import pytest
from tokenizers import Tokenizer

from server.checkpoint.config import Checkpoint
from server.prompt.builder import PromptBuilder
from server.prompt.chat_template import ChatTemplate
from server.prompt.format import PromptFormat, choose_prompt_format
from server.prompt.segments import MediaSlot
from server.prompt.turns import Conversation, split_turns
from server.protocol.chat.messages import Message
from server.tools.format import format_tool_result
from tests.server.prompt.test_tools import build_message, call


@pytest.fixture
def vicuna(checkpoint: Checkpoint, tokenizer: Tokenizer) -> PromptFormat:
    """Return the embedded model's own format."""
    return choose_prompt_format(tokenizer, checkpoint.text)


def show_image() -> Conversation:
    """Return a conversation in which a tool's result is an image."""
    image = {"type": "image_url", "image_url": {"url": "http://x/"}}
    return split_turns(
        [
            build_message("user", "Look."),
            build_message("assistant", tool_calls=[call("1", "f", {})]),
            Message.model_validate({"role": "tool", "tool_call_id": "1", "content": [image]}),
        ]
    )


def test_an_image_in_a_result_is_in_the_turn_of_the_result(vicuna: PromptFormat) -> None:
    prompt = PromptBuilder(vicuna, 4096).build(show_image(), [3])
    [image] = prompt.placeholders
    text = vicuna.tokenizer.decode(prompt.token_ids[image.offset + image.length :])
    assert image.length == prompt.num_image_tokens == 3
    assert text == f"\n{format_tool_result('f', '')} ASSISTANT:"


# A template that has parts for users, and for tools either parts, strings or both.
PARTS = (
    "{% for part in m.content %}{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}"
)
BY_ROLE = (
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'tool' %}TOOL{% else %}OTHERS{% endif %}"
)
TOOL_CONTENTS = {
    "parts": PARTS,
    "a string": "{{ '<r>' + m.content + '</r>' }}",
    "either": "{% if m.content is string %}{{ m.content }}{% else %}" + PARTS + "{% endif %}",
    "only text of parts": "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content if part.type == 'text' %}{{ part.text }}{% endfor %}{% endif %}",
    "JSON": "{{ m.content | tojson }}",
}


@pytest.mark.parametrize("content", TOOL_CONTENTS.values(), ids=TOOL_CONTENTS)
@pytest.mark.parametrize("users", [PARTS, "{{ m.content }}"], ids=["parts", "strings"])
def test_templates_show_the_image_of_a_result(content: str, users: str) -> None:
    source = BY_ROLE.replace("TOOL", content).replace("OTHERS", users) + "{% endfor %}"
    segments = ChatTemplate(source, {}, "<image>").render(show_image())
    text = "".join("@" if isinstance(each, MediaSlot) else each.text for each in segments)
    assert text.count("@") == 1
    assert "@" in text.rpartition("[tool]")[2]
    assert "'type'" not in text
