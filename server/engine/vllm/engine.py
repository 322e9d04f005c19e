"""`VllmEngine`: submits prompts to vLLM's `AsyncLLM`, yields outputs, watches over the engine."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Final

from vllm import envs
from vllm.config import VllmConfig
from vllm.exceptions import VLLMClientError
from vllm.lora.request import LoRARequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from server.checkpoint.config import CheckpointError
from server.concurrency import run_in_thread_if_large
from server.engine.base import EngineImage, EngineOutput, SamplingOptions, ToolParser
from server.engine.start_failure import EngineStartError, describe_error, explain_start_failure
from server.engine.vllm.arguments import VllmOptions
from server.engine.vllm.failure_report import FailureReport
from server.engine.vllm.inputs import (
    BAD_WORDS,
    build_engine_input,
    build_sampling_params,
    is_greedy,
)
from server.engine.vllm.outputs import measure_first_token_s, read_outputs
from server.engine.vllm.sent_images import SentImages
from server.engine.vllm.start import start_llm
from server.engine.vllm.tracing import enable_tracing
from server.engine.vllm.watchdog import StallDetector, StepCounter
from server.errors import ApiError, EngineUnavailable, InvalidRequest, InvalidValue
from server.telemetry.logs import get_logger
from server.telemetry.timeline import build_trace_headers

log = get_logger(__name__)

# Seconds that the engine process has to end before it is killed.
CLOSE_TIMEOUT_S: Final = 5.0
# Seconds between two checks whether the engine is dead or stalled.
WATCH_INTERVAL_S: Final = 0.25
# This many words of at most 256 characters are tokenised within a millisecond.
INLINE_BAD_WORDS: Final = 4
# The log probabilities of this many prompt tokens are read within a millisecond.
INLINE_POSITIONS: Final = 64


class VllmEngine:
    """vLLM's `AsyncLLM`, whose scheduler and model run in a process of their own."""

    def __init__(self, options: VllmOptions, config: VllmConfig) -> None:
        """Start the engine process and load the weights. Blocks for many seconds.

        Raises `EngineStartError`.
        """
        self._steps = StepCounter()
        self._stall_timeout_s = options.settings.engine_stall_timeout_s
        self._error: ApiError | None = None
        self._died = asyncio.Event()
        self._llm = _start(config, self._steps)
        if options.traces:
            enable_tracing(self._llm)
        # vLLM reads these for every token: without the cache each is looked up in os.environ.
        envs.enable_envs_cache()
        self._adapters = {
            adapter.name: LoRARequest(adapter.name, number, str(adapter.path))
            for number, adapter in enumerate(options.adapters, 1)
        }
        self._hidden_size = int(self._llm.model_config.get_hidden_size())
        self._max_item_tokens = options.max_num_batched_tokens
        self._sent = SentImages(self._llm.renderer.mm_processor_cache)

    @property
    def max_model_len(self) -> int:
        """The context in tokens: prompt and completion together."""
        return int(self._llm.model_config.max_model_len)

    def load_tool_parser(self, name: str) -> ToolParser:
        """Return one of vLLM's tool parsers; see `server.engine.base.Engine.load_tool_parser`."""
        # This imports vLLM's whole OpenAI server.
        from server.engine.tool_parsers import NativeToolParser

        return NativeToolParser(name, self._llm.get_tokenizer())

    async def load_adapters(self) -> None:
        """Load the adapters now, so that a broken one fails here. Raises `CheckpointError`."""
        for name, request in self._adapters.items():
            try:
                await self._llm.add_lora(request)
            except Exception as error:
                raise CheckpointError(f"the adapter {name!r} cannot be loaded: {error}") from None

    async def generate(
        self,
        request_id: str,
        token_ids: list[int],
        images: Sequence[EngineImage],
        sampling: SamplingOptions,
        *,
        stream: bool,
        adapter: str | None = None,
        cache_partition: str,
    ) -> AsyncGenerator[EngineOutput, None]:
        """Decode a prompt's completions; see `server.engine.base.Engine.generate`."""
        self._refuse_after_end()
        submitted = time.perf_counter()
        first_token_s = 0.0
        engine_input = build_engine_input(
            token_ids,
            images,
            self._hidden_size,
            cache_partition or None,
            max_item_tokens=self._max_item_tokens,
        )
        copies = range(sampling.n if is_greedy(sampling) else 1)
        has_grammar = sampling.grammar is not None
        try:
            params = build_sampling_params(sampling, stream=stream)
            if sampling.bad_words:
                await run_in_thread_if_large(
                    len(sampling.bad_words),
                    INLINE_BAD_WORDS,
                    partial(params.update_from_tokenizer, self._llm.get_tokenizer()),
                )
            submit = partial(
                self._llm.generate,
                sampling_params=params,
                request_id=request_id,
                lora_request=None if adapter is None else self._adapters[adapter],
                trace_headers=build_trace_headers(),
            )
            async with aclosing(self._sent.generate(engine_input, submit)) as request_outputs:
                async for request_output in request_outputs:
                    first_token_s = first_token_s or measure_first_token_s(
                        request_output, submitted
                    )
                    read = read_outputs(request_output, first_token_s, has_grammar=has_grammar)
                    num_positions = len(request_output.prompt_logprobs or ())
                    outputs: list[EngineOutput] = await run_in_thread_if_large(
                        num_positions, INLINE_POSITIONS, partial(list, read)
                    )
                    for output in outputs:
                        for index in copies:
                            yield replace(output, index=index) if index else output
        except (EngineDeadError, EngineGenerateError):
            if self._llm.errored:
                self._died.set()
            self._refuse_after_end()
            raise EngineUnavailable("The engine failed while it worked on the request.") from None
        except VLLMClientError as error:
            log.warning("the engine refused a request", id=request_id, reason=str(error))
            raise _translate_refusal(error) from None

    @property
    def is_busy(self) -> bool:
        """Whether the engine works on a sequence."""
        return bool(self._llm.get_num_unfinished_requests())

    @property
    def has_failed(self) -> bool:
        """Whether the engine can no longer generate."""
        return self._error is not None or bool(self._llm.errored)

    async def wait_until_dead(self) -> str:
        """Return the reason once the engine can no longer generate or makes no steps."""
        detector = StallDetector(self._stall_timeout_s)
        while not self._llm.errored:  # vLLM offers no event for it
            has_sequences = self._llm.get_num_unfinished_requests() > 0
            if detector.is_stalled(
                self._steps.num_steps, time.monotonic(), has_sequences=has_sequences
            ):
                return f"the engine has made no step for {self._stall_timeout_s:g} seconds"
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_INTERVAL_S):
                    await self._died.wait()  # set as soon as a request notices
        return "the engine died"

    def fail_all(self, error: ApiError) -> None:
        """End all completions with `error`; see `server.engine.base.Engine.fail_all`."""
        self._error = error
        self._llm.output_processor.propagate_error(EngineDeadError())

    def _refuse_after_end(self) -> None:
        """Raise the error of `fail_all`, if there was one."""
        if self._error is not None:
            raise self._error from None

    def close(self) -> None:
        """End the engine's process: gracefully, or at once after `fail_all`."""
        # vLLM sends SIGTERM, and SIGKILL after the timeout: a stopped process ignores SIGTERM.
        self._llm.shutdown(timeout=CLOSE_TIMEOUT_S if self._error is None else 0.0)


def _start(config: VllmConfig, steps: StepCounter) -> AsyncLLM:
    """Start vLLM's engine. Raises `EngineStartError` with cause and remedy."""
    report = FailureReport()
    try:
        return start_llm(config, steps)
    except Exception as error:
        cause = explain_start_failure(report.read() or describe_error(error))
        raise EngineStartError(cause) from error
    finally:
        report.close()


def _translate_refusal(error: VLLMClientError) -> InvalidRequest:
    """Return the error of a request that vLLM refuses; only for bad words is its reason shown."""
    if getattr(error, "parameter", None) == BAD_WORDS:
        return InvalidValue(str(error.args[0]), BAD_WORDS)
    return InvalidRequest("The engine refuses this combination of parameters.")
