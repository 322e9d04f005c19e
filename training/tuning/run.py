"""One training run: check the data, train, write the checkpoint."""

import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset
from transformers import BitsAndBytesConfig, TrainingArguments

from model_store.convert.json_file import read_json
from model_store.manifest import write_manifest
from training.saved_state import find_last_checkpoint, read_step
from training.tuning.architecture import read_architecture
from training.tuning.conv_mode import choose_conv_mode
from training.tuning.dataset import Example, TuningDataset
from training.tuning.errors import OptionError, first_line
from training.tuning.export import export, export_adapter
from training.tuning.images import ImageReader
from training.tuning.loading import load_model
from training.tuning.model import LlavaForTraining
from training.tuning.prompts import PromptLabeller, choose_render
from training.tuning.quantization import build_config
from training.tuning.record_check import check_records
from training.tuning.record_files import open_record_files
from training.tuning.report import Outcome, write_report
from training.tuning.settings import LORA_MODULES, TrainSettings
from training.tuning.sources import SourceError, load_tokenizer
from training.tuning.split import write_weights
from training.tuning.trainer import LlavaTrainer

RECIPE_FILE = "recipe.json"


def train(settings: TrainSettings) -> Outcome | None:
    """Train one stage and write its checkpoint; return None where this process writes nothing.

    No weights are read before all records are checked. Raises `OptionError`, `SourceError`,
    `DataError` or `ConversionError`.
    """
    start = time.monotonic()
    check_work(settings)
    choose_batches(settings)
    conv_mode = choose_conv_mode(settings)
    dataset = _build_dataset(settings, conv_mode)
    indices = _check_records(settings, dataset, "--data")
    eval_dataset = _build_eval(settings, dataset)
    if settings.checks_only:
        return None
    note_recipe(settings)
    write_weights(settings.sources)
    quantization = _build_quantization(settings)
    model = load_model(settings.sources, torch.float32, settings.seed, quantization)
    choose_parameters(model, settings)
    trainer = build_trainer(settings, model, dataset, indices, eval_dataset)
    check_sharding(settings, trainer)
    checkpoint = _choose_checkpoint(settings)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    weights = _gather(settings, trainer)
    if not trainer.is_world_process_zero():
        return None
    history = trainer.state.log_history
    if weights is not None:
        del model, trainer
        gc.collect()  # there may be no memory for two models
        model = _reload(settings, weights)
    _write(settings, model, conv_mode, history)
    first_step = 0 if checkpoint is None else read_step(checkpoint)
    return Outcome(settings, history, time.monotonic() - start, first_step)


def check_work(settings: TrainSettings) -> None:
    """Raise `OptionError` where the work folder is that of another run."""
    file = settings.work / RECIPE_FILE
    if not settings.resumes:
        if any(settings.work.glob("checkpoint-*")):
            raise OptionError(f"{settings.work} holds an earlier run: --resume it, or remove it")
    elif file.is_file():
        before, recipe = read_json(file), settings.describe()
        changed = sorted(name for name, value in recipe.items() if before.get(name) != value)
        if changed:
            raise OptionError(
                f"{settings.work} holds a run that differs in {', '.join(changed)}: give --resume"
                " the options that it was started with, or choose another --work"
            )


def _choose_checkpoint(settings: TrainSettings) -> Path | None:
    if not settings.resumes:
        return None
    checkpoint = find_last_checkpoint(settings.work)
    if checkpoint is None:
        print(f"{settings.work} holds no saved state: the run starts over", file=sys.stderr)
    return checkpoint


def note_recipe(settings: TrainSettings) -> None:
    """Write down whose the work folder is, at once or not at all."""
    settings.work.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=settings.work, delete=False) as file:
        json.dump(settings.describe(), file, indent=2)
    Path(file.name).replace(settings.work / RECIPE_FILE)


def choose_parameters(model: LlavaForTraining, settings: TrainSettings) -> None:
    """Freeze what the stage does not train, and add adapters."""
    model.vision_tower.requires_grad_(False)
    if settings.trains_tower:
        model.train_tower()
    model.language_model.requires_grad_(settings.trains_language_model and settings.lora is None)
    if settings.lora is not None:
        import peft

        config = peft.LoraConfig(
            r=settings.lora.rank,
            lora_alpha=settings.lora.alpha,
            lora_dropout=settings.lora.dropout,
            target_modules=list(LORA_MODULES),
            task_type="CAUSAL_LM",
        )
        model.language_model = peft.get_peft_model(model.language_model, config)


def build_trainer(
    settings: TrainSettings,
    model: LlavaForTraining,
    dataset: TuningDataset,
    indices: Sequence[int],
    eval_dataset: Dataset[Example] | None,
) -> LlavaTrainer:
    """Return the trainer of a run, which trains the records of `indices`."""
    lengths = None
    if settings.groups_by_modality:
        lengths = [measure(dataset, index) for index in indices]
    return LlavaTrainer(
        model,
        build_arguments(settings),
        Subset(dataset, indices),
        eval_dataset=eval_dataset,
        projector_lr=settings.projector_lr,
        lengths=lengths,
        as_released=settings.as_released,
    )


def check_sharding(settings: TrainSettings, trainer: LlavaTrainer) -> None:
    """Raise `OptionError` where quantised weights would be sharded."""
    plugin = trainer.accelerator.state.deepspeed_plugin
    is_sharded = trainer.is_fsdp_enabled or (plugin is not None and plugin.zero_stage == 3)
    if settings.quantization is not None and is_sharded:
        raise OptionError(
            f"--bits {settings.quantization.bits} keeps all weights in each process: use ZeRO-2"
            " or no sharding in place of FSDP or ZeRO-3"
        )


def choose_batches(settings: TrainSettings) -> tuple[int, int]:
    """Return the size of a micro-batch, and how many of them a step has in each process.

    A step has `batch_size` records over all processes. Raises `OptionError`.
    """
    num_processes = int(os.environ.get("WORLD_SIZE", "1"))
    device_batch = min(settings.device_batch_size, max(1, settings.batch_size // num_processes))
    accumulation, remainder = divmod(settings.batch_size, device_batch * num_processes)
    if remainder:
        times = f" times {num_processes} processes" if num_processes > 1 else ""
        raise OptionError(
            f"--batch-size {settings.batch_size} is not a multiple of --per-device-batch-size"
            f" {device_batch}{times}"
        )
    return device_batch, accumulation


def build_arguments(settings: TrainSettings) -> TrainingArguments:
    """Return transformers' arguments. Raises `OptionError`."""
    try:
        arguments = _build_arguments(settings)
    except (ValueError, ImportError) as error:  # of a device or a configuration
        raise OptionError(first_line(error)) from None
    # A process has one GPU; DataParallel would scatter images apart from their records.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _build_arguments(settings: TrainSettings) -> TrainingArguments:
    device_batch, accumulation = choose_batches(settings)
    return TrainingArguments(
        str(settings.work),
        per_device_train_batch_size=device_batch,
        per_device_eval_batch_size=device_batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_ratio,  # transformers takes what is below 1 for a share
        lr_scheduler_type="cosine",
        optim="adamw_torch",
        max_grad_norm=1.0,
        bf16=settings.bf16,
        gradient_checkpointing=settings.gradient_checkpointing,
        logging_steps=settings.log_steps,
        save_steps=settings.save_steps,
        save_total_limit=1,
        eval_strategy="steps" if settings.eval_data else "no",
        eval_steps=settings.eval_steps,
        dataloader_num_workers=settings.workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=settings.report_to,
        deepspeed=None if settings.deepspeed is None else str(settings.deepspeed),
        ddp_find_unused_parameters=False,
        seed=settings.seed,
    )


def _build_quantization(settings: TrainSettings) -> BitsAndBytesConfig | None:
    if settings.quantization is None:
        return None
    return build_config(settings.quantization, bf16=settings.bf16)


def _build_dataset(settings: TrainSettings, conv_mode: str) -> TuningDataset:
    architecture = read_architecture(settings.sources)
    released, tokenizer = load_tokenizer(settings.sources.language_model)
    added = released.tokenizer.get_added_tokens_decoder()
    labeller = PromptLabeller(
        choose_render(conv_mode, image_start_end=False),
        tokenizer,
        [each.content for number, each in added.items() if number >= architecture.num_embeddings],
    )
    preprocessing, tiles = architecture.preprocessing, architecture.tiles
    reader = ImageReader(
        settings.images,
        preprocessing.size,
        settings.sources.image_aspect_ratio,
        preprocessing.mean,
        preprocessing.std,
        () if tiles is None else tiles.image.grid_pinpoints,
    )
    return TuningDataset(
        open_record_files(settings.data),
        labeller,
        reader,
        architecture.num_patches,
        settings.max_length,
        settings.as_released,
        tiles,
    )


def _build_eval(settings: TrainSettings, dataset: TuningDataset) -> Dataset[Example] | None:
    if not settings.eval_data:
        return None
    evaluated = replace(dataset, files=open_record_files(settings.eval_data), keeps_useless=False)
    return Subset(evaluated, _check_records(settings, evaluated, "--eval-data"))


def _check_records(settings: TrainSettings, dataset: TuningDataset, option: str) -> list[int]:
    return check_records(
        dataset, option, settings.work, skips_bad_records=settings.skips_bad_records
    )


def measure(dataset: TuningDataset, index: int) -> int:
    """Return a record's number of words, negative without an image."""
    record = dataset.read_record(index)
    return record.num_words if record.images else -record.num_words


def _gather(settings: TrainSettings, trainer: LlavaTrainer) -> dict[str, Tensor] | None:
    """Return weights where the model in memory cannot be written, else None.

    That is where processes share it out, and where it is quantised: then, what is trained only.
    All processes must call it.
    """
    state: dict[str, Tensor] | None = None
    is_sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    if is_sharded:
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped) or {}
    if settings.quantization is not None:
        state = trainer.model.trained_state(state)
    return state


def _reload(settings: TrainSettings, weights: Mapping[str, Tensor]) -> LlavaForTraining:
    """Return the sources' model in full precision, with these weights in place of its own.

    Raises `SourceError` unless they are those that the run trains: the sources may have changed
    since it began.
    """
    model = load_model(settings.sources, torch.float32, settings.seed)
    choose_parameters(model, settings)
    trained = {name for name, each in model.named_parameters() if each.requires_grad}
    try:
        missing, unexpected = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # of shapes
        raise SourceError(
            f"the trained weights do not fit: {' '.join(str(error).split())}"
        ) from None
    if wrong := sorted(trained.intersection(missing)) + unexpected:
        raise SourceError(
            f"the trained weights are not those of {settings.sources.language_model}: {wrong[0]}"
        )
    return model


def _write(
    settings: TrainSettings,
    model: LlavaForTraining,
    conv_mode: str,
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write all of the checkpoint, or nothing: a kill leaves no half of it."""
    out = settings.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        staging, adapter = Path(folder) / "checkpoint", Path(folder) / "adapter"
        language: Any = model.language_model
        if settings.lora is not None and settings.merges_lora:
            language = language.merge_and_unload()
        elif settings.lora is not None:
            export_adapter(language, adapter)
            language = language.unload()
        export(model, language, settings.sources, conv_mode, settings.dtype, staging)
        settings.sources.save(staging, settings.stage)
        if adapter.exists():
            adapter.rename(staging / "adapter")
        write_report(settings, conv_mode, history, staging)
        write_manifest(staging, source=f"train:{settings.stage}", name=out.name)
        staging.rename(out)
