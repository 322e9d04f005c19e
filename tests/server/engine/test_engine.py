"""`VllmEngine` on a stand-in for `AsyncLLM`: submitting, outputs, errors and death."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from vllm import envs
from vllm.exceptions import VLLMClientError
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from server.checkpoint.adapters import LoraAdapter
from server.checkpoint.config import CheckpointError
from server.engine.base import EngineImage, EngineOutput, SamplingOptions
from server.engine.vllm import engine as engine_module
from server.engine.vllm.arguments import VllmOptions
from server.engine.vllm.engine import CLOSE_TIMEOUT_S, VllmEngine
from server.errors import EngineUnavailable, InvalidRequest, NotReady
from server.settings import Settings


class ScriptedLLM:
    """`AsyncLLM` without a process: replays `script`, which holds texts and exceptions."""

    def __init__(self, *script: str | Exception) -> None:
        self.model_config = SimpleNamespace(max_model_len=128, get_hidden_size=lambda: 8)
        self.script = script
        self.submitted: list[tuple[Any, Any, str, Any]] = []
        self.adapters: list[Any] = []
        self.errored = False
        self.num_unfinished = 0
        self.propagated: list[Exception] = []
        self.output_processor = SimpleNamespace(propagate_error=self.propagated.append)
        self.closed = False
        self.renderer = SimpleNamespace(mm_processor_cache=None)
        self.shutdown_timeout: float | None = None

    async def generate(
        self,
        engine_input: Any,
        *,
        sampling_params: Any,
        request_id: str,
        lora_request: Any,
        trace_headers: dict[str, str] | None,
    ) -> AsyncGenerator[RequestOutput, None]:
        self.submitted.append((engine_input, sampling_params, request_id, lora_request))
        self.trace_headers = trace_headers
        try:
            for item in self.script:
                if isinstance(item, Exception):
                    raise item
                completion = CompletionOutput(0, item, [5], None, None)
                yield RequestOutput(request_id, None, [1], None, [completion], finished=False)
        finally:
            self.closed = True

    async def add_lora(self, request: Any) -> None:
        self.adapters.append(request)
        if request.lora_name == "broken":
            raise ValueError("no weights")

    def get_num_unfinished_requests(self) -> int:
        return self.num_unfinished

    def shutdown(self, timeout: float) -> None:
        self.shutdown_timeout = timeout


Start = Callable[..., tuple[VllmEngine, ScriptedLLM]]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a function that starts an engine on a `ScriptedLLM`."""

    def start_engine(
        *script: str | Exception, adapters: tuple[str, ...] = (), stall_timeout_s: float = 60.0
    ) -> Any:
        llm = ScriptedLLM(*script)
        monkeypatch.setattr(engine_module, "start_llm", lambda *_: llm)
        monkeypatch.setattr(envs, "enable_envs_cache", lambda: None)
        options = VllmOptions(
            model=Path("/m"),
            model_name="m",
            settings=Settings(engine_stall_timeout_s=stall_timeout_s),
            dtype="float32",
            has_image_newline=False,
            max_num_batched_tokens=128,
            enforce_eager=True,
            drain_timeout_s=1,
            image_cache_bytes=0,
            gpu_share=0.9,
            adapters=[LoraAdapter(name, Path(f"/{name}"), 8) for name in adapters],
        )
        return VllmEngine(options, None), llm

    return start_engine


def sampling(**changes: Any) -> SamplingOptions:
    defaults: dict[str, Any] = {
        "max_tokens": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": None,
        "stop": (),
        "ignore_eos": False,
    }
    return SamplingOptions(**(defaults | changes))


async def generate(engine: VllmEngine, **changes: Any) -> list[EngineOutput]:
    adapter = changes.pop("adapter", None)
    outputs = engine.generate(
        "r", [1], [], sampling(**changes), stream=True, adapter=adapter, cache_partition=""
    )
    return [output async for output in outputs]


async def test_outputs_come_in_order_with_one_time_of_the_first_token(start: Start) -> None:
    engine, llm = start("a", "b")
    outputs = await generate(engine)
    assert [output.text for output in outputs] == ["a", "b"]
    assert outputs[0].first_token_s == outputs[1].first_token_s > 0
    assert llm.submitted[0][2] == "r"
    assert llm.closed


async def test_a_greedy_completion_is_copied_for_each_choice(start: Start) -> None:
    engine, _ = start("a", "b")
    outputs = await generate(engine, temperature=0.0, n=3)
    assert [(output.index, output.text) for output in outputs] == [
        *((0, "a"), (1, "a"), (2, "a")),
        *((0, "b"), (1, "b"), (2, "b")),
    ]


@pytest.mark.parametrize("error", [EngineDeadError(), EngineGenerateError()])
async def test_a_dead_engine_is_unavailable(start: Start, error: Exception) -> None:
    engine, _ = start("a", error)
    with pytest.raises(EngineUnavailable):
        await generate(engine)


async def test_a_refused_request_is_invalid(start: Start) -> None:
    engine, _ = start(VLLMClientError("no"))
    with pytest.raises(InvalidRequest):
        await generate(engine)


async def test_closing_the_iterator_closes_vllms(start: Start) -> None:
    engine, llm = start("a", "b")
    outputs = engine.generate("r", [1], [], sampling(), stream=True, cache_partition="")
    await anext(outputs)
    assert not llm.closed
    await outputs.aclose()
    assert llm.closed


async def test_embeddings_must_have_the_models_hidden_size(start: Start) -> None:
    engine, llm = start("a")
    image = EngineImage("cat", 0, torch.zeros(1, 9))
    with pytest.raises(ValueError, match="image_embeds"):
        await anext(engine.generate("r", [1], [image], sampling(), stream=True, cache_partition=""))
    assert not llm.submitted


async def test_an_adapter_is_named_in_the_request(start: Start) -> None:
    engine, llm = start("a", adapters=("poet", "clerk"))
    await generate(engine)
    await generate(engine, adapter="clerk")
    plain, adapted = (submitted[3] for submitted in llm.submitted)
    assert plain is None
    assert (adapted.lora_name, adapted.lora_int_id, adapted.lora_path) == ("clerk", 2, "/clerk")


async def test_adapters_are_loaded_at_the_start(start: Start) -> None:
    engine, llm = start(adapters=("poet", "clerk"))
    await engine.load_adapters()
    assert [request.lora_name for request in llm.adapters] == ["poet", "clerk"]


async def test_a_broken_adapter_is_named(start: Start) -> None:
    engine, _ = start(adapters=("poet", "broken"))
    with pytest.raises(CheckpointError, match="the adapter 'broken' cannot be loaded: no weights"):
        await engine.load_adapters()


async def test_death_is_noticed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "WATCH_INTERVAL_S", 0)
    engine, llm = start()
    death = asyncio.create_task(engine.wait_until_dead())
    await asyncio.sleep(0)
    assert not death.done()
    llm.errored = True
    assert await asyncio.wait_for(death, 10) == "the engine died"


async def test_a_stall_is_noticed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "WATCH_INTERVAL_S", 0.01)
    engine, llm = start(stall_timeout_s=0.1)
    stall = asyncio.create_task(engine.wait_until_dead())
    await asyncio.sleep(0.3)  # nothing runs
    assert not stall.done()
    llm.num_unfinished = 1
    reason = await asyncio.wait_for(stall, 10)
    assert reason == "the engine has made no step for 0.1 seconds"


async def test_all_completions_fail_with_one_error(start: Start) -> None:
    error = NotReady("The server is shutting down.")
    engine, llm = start("a", EngineDeadError())
    outputs = engine.generate("r", [1], [], sampling(), stream=True, cache_partition="")
    assert (await anext(outputs)).text == "a"
    engine.fail_all(error)
    assert isinstance(llm.propagated[0], EngineDeadError)
    with pytest.raises(NotReady) as running:
        await anext(outputs)
    with pytest.raises(NotReady) as later:
        await generate(engine)
    assert running.value is later.value is error
    assert len(llm.submitted) == 1
    engine.close()
    assert llm.shutdown_timeout == 0


def test_context_and_close(start: Start) -> None:
    engine, llm = start()
    assert engine.max_model_len == 128
    engine.close()
    assert llm.shutdown_timeout == CLOSE_TIMEOUT_S
