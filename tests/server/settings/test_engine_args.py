"""JSON objects for vLLM, and its choices: the names are vLLM's own."""

import dataclasses
from typing import Any, get_args

import pytest
from pydantic import ValidationError
from vllm.config.cache import CacheDType
from vllm.config.compilation import CompilationConfig
from vllm.config.model import ModelDType
from vllm.config.parallel import DistributedExecutorBackend
from vllm.config.speculative import SpeculativeConfig
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.quantization import QuantizationMethods

from server.settings import Settings, vllm_fields
from server.settings.engine_args import FIXED, REASONS, SECRETS, SETTINGS, check_engine_args
from server.settings.engine_choices import Dtype, ExecutorBackend, KvCacheDtype, Quantization
from server.settings.vllm_fields import read_field_names

CLASSES: list[tuple[str, type]] = [
    ("engine/arg_utils.py", EngineArgs),
    ("config/speculative.py", SpeculativeConfig),
    ("config/compilation.py", CompilationConfig),
]


@pytest.mark.parametrize(
    ("ours", "vllms"),
    [(Dtype, ModelDType), (KvCacheDtype, CacheDType), (Quantization, QuantizationMethods)],
)
def test_choices_are_vllms(ours: Any, vllms: Any) -> None:
    assert set(get_args(ours)) == set(get_args(vllms))


def test_executors_are_two_of_vllms() -> None:
    assert set(get_args(ExecutorBackend)) < set(get_args(DistributedExecutorBackend))


@pytest.mark.parametrize(("module", "kind"), CLASSES)
def test_fields_are_read_from_source(module: str, kind: Any) -> None:
    assert read_field_names(module, kind.__name__) >= {
        each.name for each in dataclasses.fields(kind)
    }


def test_without_an_engine_no_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_fields, "find_spec", lambda _: None)
    assert check_engine_args({"anything": 1}) == {"anything": 1}


def test_arguments_that_are_refused_are_vllms() -> None:
    assert {*SETTINGS, *FIXED, *REASONS, *SECRETS} <= {
        each.name for each in dataclasses.fields(EngineArgs)
    }


def test_settings_that_are_named_exist() -> None:
    options = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    assert set(SETTINGS.values()) <= options


@pytest.mark.parametrize(
    "text",
    ['{"async_scheduling": false}', '{"--async-scheduling": false}', '{"async-scheduling": false}'],
)
def test_engine_args(text: str) -> None:
    assert Settings(engine_args=text).engine_args == {"async_scheduling": False}


def test_parallelism_of_one_is_none() -> None:
    assert Settings(engine_args='{"pipeline_parallel_size": 1}').engine_args == {}


BAD = [
    ("engine_args", "max_logprobs=5", "must be a JSON object: "),
    ("engine_args", "[1]", "must be a JSON object such as "),
    ("engine_args", '{"asynch_scheduling": 1}', "did you mean 'async_scheduling'?"),
    ("engine_args", '{"xyzzy": 1}', "vLLM has no engine argument 'xyzzy'"),
    ("engine_args", '{"_api_process_count": 2}', "vLLM has no engine argument"),
    ("engine_args", '{"max-num-seqs": 1}', "'max_num_seqs' is set by --max-num-seqs"),
    ("engine_args", '{"kv_offloading_size": 1}', "is set by --kv-offloading-gib"),
    ("engine_args", '{"hf_overrides": {}}', "is set by the server itself"),
    ("engine_args", '{"pipeline_parallel_size": 2}', "use --tensor-parallel-size"),
    ("engine_args", '{"data_parallel_size": 2}', "start one server for each replica"),
    ("speculative_config", '{"method_": "ngram"}', "did you mean 'method'?"),
    ("speculative_config", "ngram", "must be a JSON object"),
    ("compilation_config", '{"modes": 3}', "did you mean 'mode'?"),
    ("compilation_config", "3", "must be a JSON object such as"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_bad_objects_are_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({name: text})
    (fault,) = caught.value.errors()
    assert fault["loc"] == (name,)
    assert message in fault["msg"]
