"""Our trainer repeats the released one's runs, step by step."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback, TrainingArguments

from tests.training.tuning.fixtures import (
    INPUTS,
    TRAIN,
    load_run_weights,
    make_dataset,
    make_model,
    make_reader,
    read_json,
    read_runs,
)
from training.tuning.dataset import TuningDataset
from training.tuning.model import LlavaForTraining
from training.tuning.released_order import ReleasedBatches, ReleasedRun
from training.tuning.run import measure
from training.tuning.sampler import ModalityLengthSampler, order_by_modality_and_length
from training.tuning.trainer import LlavaTrainer

# Of runs with a tower in float16, losses are compared this loosely: kernels round differently.
HALF_TOLERANCE = 2e-4
TOLERANCE = 1e-5


class Recorder(TrainerCallback):  # type: ignore[misc]  # transformers is Any to mypy
    """Keeps what the trainer logs at each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        """Keep the figures of a step."""
        if "loss" in logs:
            self.steps.append(dict(logs))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as the released runs were computed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build_trainer(
    run: str, model: LlavaForTraining, dataset: TuningDataset, folder: Path, recorder: Recorder
) -> LlavaTrainer:
    """Return a trainer of a released run's settings: no order of records is given."""
    settings = read_runs()[run]["settings"]
    lengths = None
    if settings["group_by_modality_length"]:
        lengths = [measure(dataset, index) for index in range(len(dataset))]
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=settings["batch"],
        gradient_accumulation_steps=settings["gradient_accumulation"],
        num_train_epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        warmup_steps=settings["warmup_ratio"],
        lr_scheduler_type="cosine",
        optim="adamw_torch",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        remove_unused_columns=False,
        seed=settings["seed"],
    )
    return LlavaTrainer(
        model,
        arguments,
        dataset,
        projector_lr=settings["mm_projector_lr"],
        lengths=lengths,
        as_released=True,
        callbacks=[recorder],
    )


def repeat_run(run: str, folder: Path) -> tuple[LlavaForTraining, list[dict[str, float]]]:
    """Train as a released run did; return the model and what was logged."""
    dataset, model = make_dataset(read_runs()[run]["settings"]), make_model(run)
    recorder = Recorder()
    build_trainer(run, model, dataset, folder, recorder).train()
    return model, recorder.steps


def name_batches(trainer: LlavaTrainer, dataset: TuningDataset) -> list[list[str]]:
    """Return the ids of the records of all micro-batches."""
    batches: Any = trainer.get_train_dataloader().batch_sampler
    return [[dataset.read_record(index).id for index in batch] for batch in batches]


@pytest.mark.parametrize("run", list(read_runs()))
def test_micro_batches_are_those_of_the_released_trainer(run: str, tmp_path: Path) -> None:
    released = read_runs()[run]
    dataset = make_dataset(released["settings"])
    trainer = build_trainer(run, make_model(run), dataset, tmp_path, Recorder())
    expected = [batch for step in released["steps"] for batch in step["batches"]]
    assert name_batches(trainer, dataset) == expected


def generate(model: LlavaForTraining, dataset: TuningDataset, ids: list[int], record: str) -> Any:
    """Return the greedy tokens of a prompt, at most 24."""
    index = next(i for i in range(len(dataset)) if dataset.read_record(i).id == record)
    pixels = dataset[index]["pixel_values"] if -200 in ids else torch.empty(0)
    spliced = [each for token in ids for each in ([token] * (16 if token == -200 else 1))]
    spliced = spliced[: dataset.max_length]
    tokens: list[int] = []
    while len(tokens) < 24 and 2 not in tokens:
        row = torch.tensor([spliced + tokens])
        lengths = None if not len(pixels) else torch.tensor([spliced.count(-200)])
        logits = model(row, torch.ones_like(row), pixels, lengths).logits
        tokens.append(int(logits[0, -1].argmax()))
    return tokens


@pytest.mark.parametrize("run", list(read_runs()))
def test_a_run_is_repeated(run: str, tmp_path: Path) -> None:
    released = read_runs()[run]
    model, logged = repeat_run(run, tmp_path)
    is_half = released["settings"]["tower_dtype"] == "float16"
    tolerance = HALF_TOLERANCE if is_half else TOLERANCE
    assert len(logged) == len(released["steps"])
    for ours, theirs in zip(logged, released["steps"], strict=True):
        if theirs["loss"] is not None:  # a micro-batch without anything to learn
            assert ours["loss"] == pytest.approx(theirs["loss"], abs=tolerance)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=10 * tolerance)
    final = load_run_weights(run, "projector", "mm_projector.")
    for name, weight in model.projector.state_dict().items():
        torch.testing.assert_close(weight, final[name], atol=1e-3 if is_half else 2e-6, rtol=0)


@pytest.mark.parametrize(
    "run", ["align-mlp2x", "instruct-1e-3", "instruct-1e-3-max96", "lora-5e-3"]
)
def test_answers_after_a_run_are_equal(run: str, tmp_path: Path) -> None:
    released = read_runs()[run]
    model, _ = repeat_run(run, tmp_path)
    dataset = make_dataset(released["settings"])
    model.eval()
    with torch.inference_mode():
        for answer in released["generations"]:
            tokens = generate(model, dataset, answer["prompt_ids"], answer["id"])
            assert tokens == answer["tokens"], answer["id"]


@pytest.mark.parametrize("aspect_ratio", ["square", "pad"])
def test_crops_are_equal(aspect_ratio: str) -> None:
    reader = make_reader(aspect_ratio)
    crops = load_file(TRAIN / "pixels.safetensors")
    names = [name for name in crops if name.startswith(f"{aspect_ratio}/")]
    assert len(names) == 48
    for name in names:
        expected = reader.normalise(crops[name].numpy()[None])
        stem = name.removeprefix(f"{aspect_ratio}/")
        (file,) = (INPUTS / "images").glob(f"{Path(stem).stem}.*")
        pixels = reader.read(file.name).pixel_values
        torch.testing.assert_close(pixels, expected, atol=0, rtol=0)


@pytest.mark.parametrize("number", range(len(read_json(TRAIN / "sampler.json")["cases"])))
def test_records_are_grouped_by_modality_and_length(number: int) -> None:
    content = read_json(TRAIN / "sampler.json")
    case = content["cases"][number]
    torch.manual_seed(case["torch_seed"])
    lengths = content["lengths"][case["lengths_of"]]
    order = order_by_modality_and_length(lengths, case["batch"], case["world_times_accumulation"])
    assert order == case["indices"]


def test_each_epoch_has_its_own_order_that_a_resumed_run_repeats() -> None:
    lengths = [(-1) ** number * (1 + number % 7) for number in range(40)]
    sampler = ModalityLengthSampler(lengths, 4, 2, seed=1)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        torch.rand(3)  # whatever else is drawn
        orders.append(list(sampler))
    assert orders[0] != orders[1] != orders[2]
    resumed = ModalityLengthSampler(lengths, 4, 2, seed=1)
    resumed.set_epoch(2)
    assert list(resumed) == orders[2]
    assert sorted(orders[1]) == list(range(40))


def test_each_epoch_has_all_records_and_leaves_its_rest_to_the_next() -> None:
    lengths = [3] * 5
    run = ReleasedRun(len(lengths), lengths, batch_size=2, accumulation=2, seed=42)
    assert (run.batches_per_epoch, run.count_steps(2.5)) == (3, 3)
    batches = list(ReleasedBatches(run, 3))
    assert [len(batch) for batch in batches] == [2, 2, 1, 2, 2, 1]  # as each epoch ends
    assert sorted(index for batch in batches[3:] for index in batch) == list(range(5))
    assert list(ReleasedBatches(run, 3)) == batches
