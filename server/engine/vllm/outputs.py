"""vLLM's outputs as `EngineOutput`, with log probabilities; failures as typed errors."""

import time
from collections.abc import Iterator, Mapping, Sequence

from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput

from server.engine.base import EngineOutput, TokenLogprob
from server.errors import EngineUnavailable, InvalidRequest


def measure_first_token_s(output: RequestOutput, submitted: float) -> float:
    """Return the seconds from submission to the first token.

    vLLM's own measurement is preferred: the output may hold more than the first token.
    `submitted` is a reading of `time.perf_counter()`.
    """
    if output.metrics is not None and output.metrics.first_token_latency:
        return float(output.metrics.first_token_latency)
    return time.perf_counter() - submitted


def read_outputs(
    output: RequestOutput, first_token_s: float, *, has_grammar: bool
) -> Iterator[EngineOutput]:
    """Yield an `EngineOutput` for each completion.

    Raises `InvalidRequest` where the grammar failed, `EngineUnavailable` where vLLM dropped the
    request.
    """
    prompt_logprobs = _read_prompt_logprobs(output)
    for completion in output.outputs:
        _check_finish_reason(completion.finish_reason, has_grammar=has_grammar)
        yield EngineOutput(
            text=completion.text,
            num_tokens=len(completion.token_ids),
            finish_reason=completion.finish_reason,
            first_token_s=first_token_s,
            num_cached_tokens=output.num_cached_tokens or 0,
            index=completion.index,
            token_ids=completion.token_ids,
            logprobs=_read_logprobs(completion),
            prompt_logprobs=prompt_logprobs,
            stop_string=_read_stop_string(completion),
        )


def _check_finish_reason(finish_reason: str | None, *, has_grammar: bool) -> None:
    if finish_reason == "error" and has_grammar:
        raise InvalidRequest("The answer's grammar became too complex.")
    if finish_reason not in (None, "stop", "length"):
        raise EngineUnavailable("The engine dropped the request.")


def _read_stop_string(completion: CompletionOutput) -> str | None:
    """Return the stop string; vLLM's stop reason may also be a token's id."""
    return completion.stop_reason if isinstance(completion.stop_reason, str) else None


def _read_logprobs(completion: CompletionOutput) -> Sequence[TokenLogprob]:
    if not completion.logprobs:
        return ()
    return list(map(_read_token_logprob, completion.token_ids, completion.logprobs))


def _read_prompt_logprobs(output: RequestOutput) -> Sequence[TokenLogprob | None]:
    """Return the prompt's log probabilities; the first token has none, since none precedes it."""
    if not output.prompt_logprobs:
        return ()
    return [
        _read_token_logprob(token_id, entries) if entries else None
        for token_id, entries in zip(output.prompt_token_ids, output.prompt_logprobs, strict=False)
    ]


def _read_token_logprob(token_id: int, entries: Mapping[int, Logprob]) -> TokenLogprob:
    likeliest = sorted(entries.items(), key=lambda entry: entry[1].rank or 0)
    top = [(each, entry.logprob) for each, entry in likeliest]
    return TokenLogprob(token_id, entries[token_id].logprob, top, entries[token_id].rank or 0)
