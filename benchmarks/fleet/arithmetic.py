"""Closed formulas for one replica without cached prefixes, to check the simulation.

With `rate` requests per second, `work` seconds of encoding and prefill and `answer` tokens each, a
GPU has `1 - rate x work` of its time for decoding. `batch` sequences decode in steps of
`step + per_token x context x batch` seconds, so `batch` follows from
`rate x answer = (1 - rate x work) x batch / step time`.
"""

from benchmarks.fleet.parameters import Parameters


def compute_answer_moments(parameters: Parameters) -> tuple[float, float]:
    """Return the mean length of answers, and the mean length of those that run at some time."""
    low, high = parameters.answer_min_tokens, parameters.answer_max_tokens
    mean = parameters.answer_mean_tokens
    variance = ((high - low + 1) ** 2 - 1) / 12
    return mean, mean + variance / mean


def compute_work_s(parameters: Parameters) -> float:
    """Return the seconds of encoding and prefill for a first question with an image."""
    prefill_s = parameters.full_prompt_tokens * parameters.prefill_s_per_token
    return parameters.encode_s + prefill_s


def compute_batch_limit(parameters: Parameters) -> int:
    """Return how many sequences the KV cache holds with their whole answers."""
    _, running = compute_answer_moments(parameters)
    fitting = parameters.kv_cache_tokens / (parameters.full_prompt_tokens + running)
    return min(int(fitting), parameters.max_sequences)


def _compute_marginal_s(parameters: Parameters) -> float:
    """Return the GPU's seconds for one request in an endless batch."""
    mean, running = compute_answer_moments(parameters)
    context = parameters.full_prompt_tokens + running / 2
    return compute_work_s(parameters) + mean * context * parameters.step_s_per_token


def compute_max_rate(parameters: Parameters) -> float:
    """Return the requests per second at the largest batch."""
    batch = compute_batch_limit(parameters)
    fixed_s = parameters.answer_mean_tokens * parameters.step_s
    return batch / (fixed_s + batch * _compute_marginal_s(parameters))


def compute_batch(parameters: Parameters, rate: float) -> float:
    """Return how many sequences decode at once on average, at most as many as fit."""
    limit = compute_batch_limit(parameters)
    left = 1 - rate * _compute_marginal_s(parameters)
    if left <= 0:
        return limit
    return min(limit, rate * parameters.answer_mean_tokens * parameters.step_s / left)
