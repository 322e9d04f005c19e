"""Log probabilities of whole chat completions and of their chunks."""

import json
from collections.abc import AsyncGenerator

import pytest
from openai.types.chat import ChatCompletion

from server.chat.streaming import collect_chat_completion, stream_chat_completion
from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import EngineOutput, TokenLogprob
from server.generation.choice_reader import ChoiceReader
from server.generation.generation import Generation
from server.generation.logprobs import VisibleTokensReader
from server.generation.tool_call_parser import TextOnlyParser
from server.protocol.chat import response
from server.telemetry.caller import ANYBODY
from server.telemetry.metrics import Metrics
from server.telemetry.request_record import RequestRecord

DECOY = '"logprobs":null'


class ScriptedGeneration:
    """Generations of choices whose text is `DECOY`, except the last, which has none."""

    def __init__(self, vocabulary: Vocabulary, record: RequestRecord, n: int) -> None:
        self._vocabulary = vocabulary
        self._record = record
        self._n = n

    def start(self) -> Generation:
        """Return a generation."""
        return Generation(self._play(), self._record, self._build_reader, self._n)

    async def _play(self) -> AsyncGenerator[EngineOutput, None]:
        ids = self._find_single_bytes()
        logprobs = [TokenLogprob(each, -0.25, [(each, -0.25), (300, -2.5)]) for each in ids]
        for index in range(self._n - 1):
            yield EngineOutput(DECOY, len(ids), "stop", 0.0, 0, index, logprobs=logprobs)
        yield EngineOutput("", 1, "stop", 0.0, 0, self._n - 1)

    def _find_single_bytes(self) -> list[int]:
        ids = {self._vocabulary.token_bytes(each): each for each in range(self._vocabulary.size)}
        return [ids[bytes([byte])] for byte in DECOY.encode()]

    def _build_reader(self, index: int) -> ChoiceReader:
        return ChoiceReader(index, TextOnlyParser(), VisibleTokensReader(self._vocabulary, 2))


@pytest.fixture
def record(metrics: Metrics) -> RequestRecord:
    """Return the record of a request."""
    return RequestRecord("chatcmpl-1", metrics, ANYBODY)


@pytest.fixture
def scripted(checkpoint: Checkpoint, record: RequestRecord) -> ScriptedGeneration:
    """Return generations of three choices."""
    return ScriptedGeneration(Vocabulary(checkpoint.path), record, 3)


async def test_a_whole_completion_has_those_of_each_choice(
    scripted: ScriptedGeneration, record: RequestRecord
) -> None:
    completion = await collect_chat_completion(scripted.start(), DECOY, record)
    body = json.loads(completion.model_dump_json(by_alias=True))
    response.ChatCompletion.model_validate(body, extra="forbid")
    answer = ChatCompletion.model_validate(body)
    assert answer.model == DECOY
    *choices, last = answer.choices
    assert last.logprobs is None
    for choice in choices:
        assert choice.message.content == DECOY
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert "".join(token.token for token in choice.logprobs.content) == DECOY
        assert [each.logprob for each in choice.logprobs.content[0].top_logprobs] == [-0.25, -2.5]


async def test_chunks_have_the_same(scripted: ScriptedGeneration, record: RequestRecord) -> None:
    completion = await collect_chat_completion(scripted.start(), "m", record)
    body = json.loads(completion.model_dump_json())
    events = stream_chat_completion(scripted.start(), "m", record, include_usage=False)
    chunks = [json.loads(event[6:]) async for event in events if b"[DONE]" not in event]
    streamed = [choice for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]]
    assert [each["logprobs"] for each in streamed] == [
        each["logprobs"] for each in body["choices"][:-1]
    ]
