"""The inputs of the engine alone, prepared as the server would prepare them."""

import itertools
from pathlib import Path

import pytest
import torch

from benchmarks.engine_only import IMAGE_SIZES, InputBuilder, create_input_builder
from benchmarks.random_checkpoint import write_files
from benchmarks.shapes.llava_1_5 import LLAVA_15_7B
from benchmarks.shapes.llava_1_6 import LLAVA_16_7B
from benchmarks.shapes.shape import Shape
from benchmarks.suites import GPU, REHEARSAL, SUITES, TINY
from benchmarks.systems import LLAVA_TINY, ServedModel
from server.checkpoint.config import read_checkpoint


def build_inputs(shape: Shape, folder: Path) -> InputBuilder:
    """Return the builder of a shape's inputs."""
    write_files(shape, folder / "files", torch.bfloat16)
    model = ServedModel(shape.name, folder / "files", shape.max_model_len, shape.max_num_seqs, 8192)
    return create_input_builder(read_checkpoint(model.path), model)


def test_all_workloads_of_the_engine_have_a_size() -> None:
    assert {name for each in SUITES.values() for name in each.engine_workloads} == set(IMAGE_SIZES)


@pytest.mark.parametrize(
    ("shape", "name", "image_tokens"),
    [
        (LLAVA_15_7B, "W1", 0),
        (LLAVA_15_7B, "W3", 576),
        (LLAVA_15_7B, "W5", 576),
        (LLAVA_16_7B, "W3", 1176),
        (LLAVA_16_7B, "W5", 2340),
    ],
    ids=lambda value: value.name if isinstance(value, Shape) else None,
)
def test_images_have_as_many_tokens_as_the_checkpoint_says(
    shape: Shape, name: str, image_tokens: int, tmp_path: Path
) -> None:
    clients = build_inputs(shape, tmp_path).build_clients(REHEARSAL.find(name))
    prompt = next(clients.prompts)
    assert prompt.count(shape.special_tokens["<image>"]) == image_tokens
    embeds = [image.image_embeds.shape for image in clients.images(prompt)]
    assert embeds == ([(image_tokens, 4096)] if image_tokens else [])


def test_the_embedded_model_has_64() -> None:
    inputs = create_input_builder(read_checkpoint(LLAVA_TINY.path), LLAVA_TINY)
    clients = inputs.build_clients(TINY.find("W6"))
    prompts = list(itertools.islice(clients.prompts, 3))
    assert len({tuple(prompt) for prompt in prompts}) == 3
    first, second = (clients.images(prompt)[0] for prompt in prompts[:2])
    assert len(first.image_embeds) == 64
    assert first.key == second.key  # repeated


def test_no_question_repeats_in_another_workload() -> None:
    inputs = create_input_builder(read_checkpoint(LLAVA_TINY.path), LLAVA_TINY)
    first, second = (inputs.build_clients(REHEARSAL.find(name)) for name in ("W1", "W2"))
    assert next(first.prompts) != next(second.prompts)
    assert GPU.find("W1").groups[0].clients > REHEARSAL.find("W1").groups[0].clients
