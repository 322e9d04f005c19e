"""QLoRA: adapters are trained over quantised weights, and the checkpoint has the sources' own."""

import argparse
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from safetensors.torch import load_file
from torch import nn

from server.checkpoint.config import read_checkpoint
from tests.training.tuning.fixtures import INPUTS, make_dataset, read_runs, write_qwen2
from tests.training.tuning.test_stages import (
    RECORDS,
    SOURCES,
    kill_after_checkpoint,
    read_losses,
    read_weights,
    train_stage,
)
from training.tuning import run
from training.tuning.command import main
from training.tuning.dataset import Batch, collate
from training.tuning.errors import OptionError
from training.tuning.loading import load_model
from training.tuning.model import LlavaForTraining
from training.tuning.options import add_options
from training.tuning.quantization import QuantizationSettings, build_config
from training.tuning.settings import build_settings
from training.tuning.sources import Sources

MODEL = Sources(INPUTS / "tower", INPUTS / "llama")
SMALL = ("--batch-size", "8", "--workers", "0", "--dtype", "float32", "--learning-rate", "1e-2")
LORA = ("--lora", "--lora-r", "4", "--lora-alpha", "8")
OPTIONS = (*SOURCES, *RECORDS, *SMALL, *LORA)
# What each linear layer's weights may be, over the greatest of their block (QLoRA, appendix E).
NF4 = (
    *(-1.0, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0.0),
    *(0.0795803, 0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1.0),
)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """Compute in one thread, which makes runs equal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train_here(*options: str | Path) -> None:
    """Run stage 2 in this process; it must succeed."""
    assert main("instruct", list(map(str, options)), "train") == 0


def make_batch() -> Batch:
    """Return four records, two of them without an image."""
    dataset = make_dataset(read_runs()["instruct-1e-3"]["settings"])
    return collate([dataset[index] for index in range(4)])


def compute_step(model: LlavaForTraining, batch: Batch) -> tuple[float, torch.Tensor]:
    """Return a batch's loss and the projector's gradient, flat."""
    model.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    gradients = [
        each.grad.flatten() for each in model.projector.parameters() if each.grad is not None
    ]
    return loss.item(), torch.cat(gradients)


def dequantize(quantized: LlavaForTraining) -> LlavaForTraining:
    """Return the same model with its quantised weights in float32."""
    plain = load_model(MODEL, torch.float32, 42)
    layers = dict(quantized.language_model.named_modules())
    for name, layer in plain.language_model.named_modules():
        weight: Any = getattr(layers[name], "weight", None)
        if isinstance(layer, nn.Linear) and hasattr(weight, "quant_state"):
            layer.weight.data = dequantize_4bit(weight.data, weight.quant_state)
        elif isinstance(layer, nn.Linear) and hasattr(weight, "CB"):
            layer.weight.data = weight.CB.float() * weight.SCB[:, None] / 127
    return plain


@pytest.mark.parametrize(
    "settings",
    [
        QuantizationSettings(4, "nf4", double_quant=True),
        QuantizationSettings(4, "nf4", double_quant=False),
        QuantizationSettings(4, "fp4", double_quant=True),
        QuantizationSettings(8),
    ],
    ids=str,
)
def test_losses_and_gradients_are_those_of_the_dequantised_weights(
    settings: QuantizationSettings,
) -> None:
    quantized = load_model(MODEL, torch.float32, 42, build_config(settings, bf16=False))
    names = {type(each).__name__ for each in quantized.language_model.model.modules()}
    assert "Linear" not in names
    assert type(quantized.language_model.lm_head) is nn.Linear
    floats = [each for each in quantized.parameters() if each.is_floating_point()]
    assert {each.dtype for each in floats} == {torch.float32}
    batch, plain = make_batch(), load_model(MODEL, torch.float32, 42)
    expected, expected_gradient = compute_step(dequantize(quantized), batch)
    loss, gradient = compute_step(quantized.train(), batch)
    assert loss == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-6, rtol=1e-5)
    assert loss != pytest.approx(compute_step(plain, batch)[0], abs=1e-3)


def test_weights_are_of_the_papers_sixteen_values() -> None:
    config = build_config(QuantizationSettings(4, double_quant=False), bf16=False)
    model = load_model(MODEL, torch.float32, 42, config).language_model
    weight = model.model.layers[0].mlp.up_proj.weight
    source = load_file(INPUTS / "llama" / "model.safetensors")
    blocks = source["model.layers.0.mlp.up_proj.weight"].float().reshape(-1, 64)
    greatest = blocks.abs().amax(-1, keepdim=True)
    values = torch.tensor(NF4)
    nearest = values[(blocks / greatest)[..., None].sub(values).abs().argmin(-1)] * greatest
    dequantized = dequantize_4bit(weight.data, weight.quant_state).reshape(-1, 64)
    torch.testing.assert_close(dequantized, nearest, atol=1e-6, rtol=1e-6)


def test_checkpointing_and_evaluation_change_no_gradient() -> None:
    config = build_config(QuantizationSettings(4), bf16=False)
    model, batch = load_model(MODEL, torch.float32, 42, config), make_batch()
    loss, gradient = compute_step(model.train(), batch)
    with torch.no_grad():
        assert float(model.eval()(**batch).loss) == pytest.approx(loss, abs=1e-5)
    model.train().gradient_checkpointing_enable()
    again, other = compute_step(model, batch)
    assert again == pytest.approx(loss, abs=1e-6)
    torch.testing.assert_close(other, gradient, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two epochs at 4 bits."""
    out = tmp_path_factory.mktemp("tuned") / "tuned"
    train_stage("instruct", *OPTIONS, "--bits", "4", "--epochs", "2", "--out", out)
    return out


def test_adapter_and_projector_learn(tuned: Path) -> None:
    losses = read_losses(tuned.with_name("tuned.work"))
    assert losses[max(losses)] < losses[1] - 0.5
    adapter = load_file(tuned / "adapter" / "adapter_model.safetensors")
    assert all(each.any() for each in adapter.values())
    first = load_model(MODEL, torch.float32, 42).projector.state_dict()
    last = load_file(tuned / "training" / "mm_projector.safetensors")
    for name, weight in first.items():
        assert not torch.equal(last[f"mm_projector.{name}"], weight)
    assert read_checkpoint(tuned).text.conv_mode == "vicuna_v1"
    assert "LoRA of rank 4 over weights of 4 bits" in (tuned / "README.md").read_text()


def test_the_written_weights_are_the_sources_own(tuned: Path) -> None:
    source = load_file(INPUTS / "llama" / "model.safetensors")
    written = read_weights(tuned, "language_model.")
    assert len(written) == len(source)
    for name, weight in source.items():
        rows = written[f"language_model.{name}"][: len(weight)]  # embeddings have some added
        assert torch.equal(rows, weight.float()), name


def test_merged_adapters_are_in_the_sources_own_weights(tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "merged-delta"
    train_stage("instruct", *OPTIONS, "--bits", "4", "--epochs", "2", "--merge-lora", "--out", out)
    adapter = load_file(tuned / "adapter" / "adapter_model.safetensors")
    before, after = (read_weights(each, "language_model.") for each in (tuned, out))
    for name, weight in before.items():
        factor = f"base_model.model.{name.removesuffix('.weight')}.lora_{{}}.weight"
        if factor.format("A") in adapter:
            delta = adapter[factor.format("B")] @ adapter[factor.format("A")] * 8 / 4
            assert not torch.equal(after[name], weight)
            weight = weight + delta
        torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=1e-5)
    assert not (out / "adapter").exists()


def test_a_killed_run_goes_on_to_the_same_weights(tuned: Path, tmp_path: Path) -> None:
    options = (*OPTIONS, "--bits", "4", "--epochs", "2", "--save-steps", "2")
    kill_after_checkpoint("instruct", *options, out=tmp_path / "cut")
    (saved, *_) = (tmp_path / "cut.work").glob("checkpoint-*/model.safetensors")
    assert all("lora_" in name or name.startswith("projector.") for name in load_file(saved))
    train_stage("instruct", *options, "--out", tmp_path / "cut", "--resume")
    whole, cut = (
        read_losses(each) for each in (tuned.with_name("tuned.work"), tmp_path / "cut.work")
    )
    assert cut == pytest.approx(whole, abs=1e-6)
    for file in ("model.safetensors", "adapter/adapter_model.safetensors"):
        first, second = (load_file(each / file) for each in (tuned, tmp_path / "cut"))
        for name, weight in first.items():
            torch.testing.assert_close(second[name], weight, atol=1e-6, rtol=0)


def test_a_resumed_run_has_the_same_bits(
    tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--epochs", "2", "--work", tuned.with_name("tuned.work"), "--out", tmp_path / "out")
    for bits in (("--bits", "8"), ("--bits", "4", "--quant-type", "fp4"), ()):
        given = list(map(str, (*OPTIONS, *options, *bits, "--resume")))
        assert main("instruct", given, "train") == 1
        assert "holds a run that differs in quantization" in capsys.readouterr().err


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    options = (*OPTIONS, "--bits", "4", "--lora-dropout", "0", "--max-steps", "4")
    train_here(*options, "--save-steps", "4", "--out", tmp_path / "one")
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    out = ("--save-steps", "4", "--out", tmp_path / "two")
    train_stage("instruct", *options, *out, launcher=launcher)
    one, two = (read_losses(tmp_path / f"{name}.work") for name in ("one", "two"))
    assert two == pytest.approx(one, abs=1e-4)


def test_all_that_goes_with_it(tmp_path: Path) -> None:
    language = write_qwen2(tmp_path / "qwen2")
    train_here(
        *(
            "--vision-tower",
            INPUTS / "tower",
            "--language-model",
            language,
            *RECORDS,
            *SMALL,
            *LORA,
        ),
        *("--bits", "4", "--quant-type", "fp4", "--no-double-quant", "--bf16", "--as-released"),
        *("--gradient-checkpointing", "--unfreeze-vision-tower", "--group-by-modality-length"),
        *("--eval-data", INPUTS / "data52.json", "--eval-steps", "1"),
        *("--max-steps", "3", "--out", tmp_path / "out"),
    )
    source = load_file(language / "model.safetensors")
    written = read_weights(tmp_path / "out", "language_model.")
    assert all(
        torch.equal(written[f"language_model.{name}"][: len(source[name])], source[name])
        for name in source
    )
    tower = read_weights(tmp_path / "out", "vision_tower.")
    before = load_file(INPUTS / "tower" / "model.safetensors")
    layer = "vision_model.encoder.layers.0.mlp.fc1.weight"
    assert not torch.equal(tower[f"vision_tower.{layer}"], before[layer].float())


def test_eight_bits_learn(tmp_path: Path) -> None:
    options = ("--bits", "8", "--epochs", "1", "--save-steps", "8")
    train_here(*OPTIONS, *options, "--out", tmp_path / "out")
    losses = read_losses(tmp_path / "out.work")
    assert losses[8] < losses[1] - 0.2


def test_the_quantised_model_is_gone_before_the_other_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[LlavaForTraining]] = []

    def load(*arguments: Any) -> LlavaForTraining:
        assert [each() for each in models] == [None] * len(models)
        model = load_model(*arguments)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr(run, "load_model", load)
    train_here(*OPTIONS, "--bits", "4", "--max-steps", "1", "--out", tmp_path / "out")
    assert len(models) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bits", "4"), "--bits 4 needs --lora"),
        (("--bits", "8", "--freeze-language-model"), "--bits 8 needs --lora"),
        (("--lora", "--quant-type", "nf4"), "--quant-type needs --bits 4"),
        (("--lora", "--bits", "8", "--quant-type", "fp4"), "--quant-type needs --bits 4"),
        (("--lora", "--bits", "8", "--no-double-quant"), "--double-quant needs --bits 4"),
    ],
)
def test_contradictions_are_told(
    options: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (*SOURCES, *RECORDS, "--out", tmp_path / "out", *options)
    assert main("instruct", list(map(str, given)), "train") == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("uses_fsdp", "zero_stage"), [(True, 0), (False, 3)])
def test_sharded_weights_are_refused(uses_fsdp: bool, zero_stage: int, tmp_path: Path) -> None:
    """On CPUs accelerate shards nothing, so the trainer is a stand-in."""
    parser = argparse.ArgumentParser()
    add_options(parser, "instruct")
    words = [str(each) for each in (*OPTIONS, "--bits", "4", "--out", tmp_path / "out")]
    settings = build_settings(parser.parse_args(words), "instruct")
    run.check_sharding(settings, make_trainer(uses_fsdp=False, zero_stage=2))
    sharded = make_trainer(uses_fsdp=uses_fsdp, zero_stage=zero_stage)
    with pytest.raises(OptionError, match="--bits 4 keeps all weights in each process"):
        run.check_sharding(settings, sharded)
    run.check_sharding(replace(settings, quantization=None), sharded)


def make_trainer(*, uses_fsdp: bool, zero_stage: int) -> Any:
    """Return what a trainer says of its sharding."""
    plugin = SimpleNamespace(zero_stage=zero_stage)
    accelerator = SimpleNamespace(state=SimpleNamespace(deepspeed_plugin=plugin))
    return SimpleNamespace(is_fsdp_enabled=uses_fsdp, accelerator=accelerator)
