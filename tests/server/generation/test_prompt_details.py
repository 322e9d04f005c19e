"""The log probabilities of a prompt, and tokens named by their ids."""

import json
import math

import pytest
from pydantic import TypeAdapter

from server.checkpoint.config import Checkpoint
from server.checkpoint.vocabulary import Vocabulary
from server.engine.base import TokenLogprob
from server.errors import InvalidValue
from server.generation.logprobs import LEAST_LOGPROB, VisibleTokensReader
from server.generation.prompt_details import (
    MAX_ENTRIES_OF_ONE_PROMPT,
    MAX_PROMPT_ENTRIES,
    check_num_prompt_logprobs,
    write_prompt_logprobs,
)
from server.protocol.requested import PromptLogprobs


def test_positions_have_the_token_and_the_likeliest(checkpoint: Checkpoint) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    token = TokenLogprob(7, -math.inf, [(5, -0.5), (6, -1.0), (7, -math.inf)], rank=9)
    first, second = json.loads(write_prompt_logprobs([None, token], 1, vocabulary))
    assert first is None
    assert second == {
        "7": {"logprob": LEAST_LOGPROB, "rank": 9, "decoded_token": "#"},
        "5": {"logprob": -0.5, "rank": 1, "decoded_token": "!"},
    }


def test_json_is_that_of_the_model(checkpoint: Checkpoint) -> None:
    vocabulary = Vocabulary(checkpoint.path)
    tokens = [TokenLogprob(each, -0.5, [(each, -0.5)], rank=1) for each in range(vocabulary.size)]
    text = write_prompt_logprobs([None, *tokens], 1, vocabulary)
    adapter = TypeAdapter[PromptLogprobs](PromptLogprobs)
    assert adapter.dump_python(adapter.validate_json(text)) == json.loads(text)


def test_more_than_a_response_can_hold_is_refused() -> None:
    most = MAX_ENTRIES_OF_ONE_PROMPT // 4
    all_prompts = [most] * (MAX_PROMPT_ENTRIES // MAX_ENTRIES_OF_ONE_PROMPT)
    check_num_prompt_logprobs(all_prompts, 2, 1, "prompt_logprobs")
    check_num_prompt_logprobs([MAX_PROMPT_ENTRIES + 1], 1, None, "prompt_logprobs")
    for lengths, what in (([1, most + 1], "one prompt"), ([*all_prompts, 1], "all prompts")):
        with pytest.raises(InvalidValue, match=f"of {what}.*fewer alternatives") as caught:
            check_num_prompt_logprobs(lengths, 2, 1, "prompt_logprobs")
        assert caught.value.param == "prompt_logprobs"


def test_names_by_id_keep_bytes(checkpoint: Checkpoint) -> None:
    vocabulary = Vocabulary(checkpoint.path).named_by_id
    reader = VisibleTokensReader(vocabulary, 1)
    (token,) = reader.read([TokenLogprob(5, -0.5, [(5, -0.5)])], "!", ended=True)
    assert (token.token, token.bytes) == ("token_id:5", b"!")
    assert token.top[0].token == "token_id:5"


def test_shown_special_tokens_are_reported(checkpoint: Checkpoint) -> None:
    end = TokenLogprob(1, -0.5, [(1, -0.5)])
    vocabulary = Vocabulary(checkpoint.path)
    shown = VisibleTokensReader(vocabulary, 0, skip_special_tokens=False)
    assert [each.token for each in shown.read([end], "</s>", ended=True)] == ["</s>"]
    assert list(VisibleTokensReader(vocabulary, 0).read([end], "", ended=True)) == []
