"""Log probabilities are put into the JSON of responses where their text is, and nowhere else."""

from typing import Any

import pytest

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.telemetry.request_record import RequestRecord
from server.tools.format import format_tool_call
from tests.server.responses.reading import rebuild_output
from tests.server.responses.test_streaming import ScriptedResponse, record, scripted_tokens

__all__ = ["record"]

# Texts and schemas of a client that look like the places of log probabilities.
DECOY = '"logprobs":[] "logprobs":null'
FIELDS: dict[str, Any] = {
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 1,
    "instructions": DECOY,
    "metadata": {"logprobs": DECOY},
    "tools": [
        {
            "type": "function",
            "name": "f",
            "parameters": {"type": "object", "properties": {}, "logprobs": []},
        }
    ],
}


def read_bytes(tokens: list[dict[str, Any]]) -> str:
    """Return the text of tokens."""
    return b"".join(bytes(token["bytes"]) for token in tokens).decode()


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        (f"It says {DECOY}.", f"It says {DECOY}."),
        (DECOY + format_tool_call("f", '{"logprobs":[]}'), DECOY),
        (format_tool_call("f", '{"logprobs":[]}') + DECOY, ""),
        ("", ""),
    ],
)
async def test_log_probabilities_are_in_the_first_text(
    text: str, visible: str, record: RequestRecord, checkpoint: Checkpoint
) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    script, _ = scripted_tokens(vocabulary, text or " ")
    response = ScriptedResponse(script, record, **FIELDS)
    response.vocabulary = vocabulary
    for body in (await response.collect(), (await response.events())[-1]["response"]):
        assert body["tools"][0]["parameters"]["logprobs"] == []
        assert body["instructions"] == DECOY
        first, *others = body["output"]
        parts = first.get("content", [])
        assert read_bytes([token for part in parts for token in part["logprobs"]]) == visible
        assert all(part["logprobs"] == [] for item in others for part in item.get("content", []))


async def test_deltas_have_the_log_probabilities_of_their_text(
    record: RequestRecord, checkpoint: Checkpoint
) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    script, tokens = scripted_tokens(vocabulary, DECOY)
    response = ScriptedResponse(script, record, **FIELDS)
    response.vocabulary = vocabulary
    events = await response.events()
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert len(deltas) == len(tokens)
    for delta in deltas:
        assert read_bytes(delta["logprobs"]) == delta["delta"]
    [message] = rebuild_output(events)
    assert read_bytes(message["content"][0]["logprobs"]) == DECOY
