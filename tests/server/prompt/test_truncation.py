"""Prompts cut to their last tokens."""

import pytest

from server.errors import InvalidValue
from server.prompt.prompt import Placeholder, Prompt
from server.prompt.truncation import resolve_truncation, truncate_prompt
from server.protocol.sampling import SamplingFields

PROMPT = Prompt([1, 2, 9, 9, 9, 3, 4], [Placeholder(2, 3)])


def test_the_last_tokens_are_kept() -> None:
    assert truncate_prompt(PROMPT, 5) == Prompt([9, 9, 9, 3, 4], [Placeholder(0, 3)])


@pytest.mark.parametrize("num_tokens", [None, 7, 100])
def test_a_short_prompt_stays_whole(num_tokens: int | None) -> None:
    assert truncate_prompt(PROMPT, num_tokens) is PROMPT


@pytest.mark.parametrize("num_tokens", [1, 2, 4])
def test_no_image_is_cut(num_tokens: int) -> None:
    with pytest.raises(InvalidValue, match="at least 5") as caught:
        truncate_prompt(PROMPT, num_tokens)
    assert caught.value.param == "truncate_prompt_tokens"


@pytest.mark.parametrize(
    ("value", "token_limit", "kept"),
    [(None, 5, None), (3, 5, 3), (-1, 5, 95), (-1, None, 99), (-1, 500, 1)],
)
def test_minus_one_leaves_room_to_answer(
    value: int | None, token_limit: int | None, kept: int | None
) -> None:
    request = SamplingFields(truncate_prompt_tokens=value)
    assert resolve_truncation(request, token_limit, 100) == kept


@pytest.mark.parametrize("value", [0, 101])
def test_nothing_and_more_than_the_context_are_refused(value: int) -> None:
    with pytest.raises(InvalidValue):
        resolve_truncation(SamplingFields(truncate_prompt_tokens=value), None, 100)
