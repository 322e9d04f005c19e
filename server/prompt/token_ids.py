"""Checks token ids of requests against the model's vocabulary."""

from collections.abc import Sequence

from server.errors import InvalidValue
from server.protocol.sampling import SamplingFields


def check_sampling_token_ids(request: SamplingFields, vocabulary_size: int) -> None:
    """Raise `InvalidValue` if `logit_bias` or a list of tokens has a token id out of range."""
    for param, token_ids in (
        ("logit_bias", request.logit_bias or ()),
        ("stop_token_ids", request.stop_token_ids or ()),
        ("allowed_token_ids", request.allowed_token_ids or ()),
    ):
        if any(token_id >= vocabulary_size for token_id in token_ids):
            raise _build_out_of_range_error(vocabulary_size, param)


def check_prompt_token_ids(token_ids: Sequence[int], vocabulary_size: int, param: str) -> None:
    """Raise `InvalidValue`, naming the element of `param`, if a token id is out of range."""
    largest = max(token_ids, default=0)
    if largest >= vocabulary_size:
        raise _build_out_of_range_error(vocabulary_size, f"{param}[{token_ids.index(largest)}]")


def _build_out_of_range_error(vocabulary_size: int, param: str) -> InvalidValue:
    return InvalidValue(f"The model has tokens from 0 to {vocabulary_size - 1} only.", param)
