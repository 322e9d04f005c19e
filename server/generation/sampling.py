"""Sampling options: the request's values, else the checkpoint's defaults."""

from dataclasses import dataclass

from server.engine.base import SamplingOptions
from server.prompt.format import StopCriteria
from server.protocol.sampling import SamplingFields


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """The defaults of the checkpoint's generation config."""

    temperature: float
    top_p: float


def build_sampling_options(
    request: SamplingFields,
    defaults: SamplingDefaults,
    stop: StopCriteria,
    *,
    max_tokens: int,
    logprobs: int | None,
    prompt_logprobs: int | None = None,
    grammar: str | None,
    skip_special_tokens: bool = True,
) -> SamplingOptions:
    """Return the engine's sampling options.

    `stop` comes from the template: it ends an answer like EOS, and `ignore_eos` disables it too.
    """
    ignore_eos = bool(request.ignore_eos)
    if ignore_eos:
        stop = StopCriteria((), ())
    return SamplingOptions(
        max_tokens=max_tokens,
        temperature=value_or_default(request.temperature, defaults.temperature),
        top_p=value_or_default(request.top_p, defaults.top_p),
        top_k=max(request.top_k or 0, 0),
        min_p=request.min_p or 0,
        n=request.n or 1,
        presence_penalty=request.presence_penalty or 0,
        frequency_penalty=request.frequency_penalty or 0,
        repetition_penalty=request.repetition_penalty or 1,
        logit_bias=request.logit_bias,
        seed=request.seed,
        stop=[*request.stop_strings, *stop.strings],
        ignore_eos=ignore_eos,
        stop_token_ids=[*stop.token_ids, *(request.stop_token_ids or ())],
        min_tokens=min(request.min_tokens or 0, max_tokens),
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        grammar=grammar,
        skip_special_tokens=skip_special_tokens and request.skip_special_tokens is not False,
        include_stop_str_in_output=bool(request.include_stop_str_in_output),
        bad_words=request.bad_words or (),
        allowed_token_ids=request.allowed_token_ids,
    )


def value_or_default(value: float | None, default: float) -> float:
    """Return the request's value, or the default if it is None."""
    return default if value is None else value


def clamp_max_tokens(token_limit: int | None, prompt_length: int, max_model_len: int) -> int:
    """Return the token limit, clamped to the remaining context."""
    remaining = max_model_len - prompt_length
    return min(token_limit or remaining, remaining)
