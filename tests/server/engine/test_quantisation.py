"""Answers of quantised checkpoints, near those of the weights that they stand for."""

from pathlib import Path
from statistics import median

import pytest
import torch

from server.checkpoint.config import Checkpoint, CheckpointError, read_checkpoint
from server.engine_loading import configure_engine
from server.settings import Settings
from tests.server.engine.answer_program import CONVERSATIONS, Answer
from tests.server.engine.answering import run_answer_program
from tests.server.engine.checkpoints import LLAMA, llava_next, write_checkpoint
from tests.server.engine.quantisation import METHODS, quantise, restore_weights
from tests.server.engine.test_parity import Reference

# Of log probabilities: activations in bfloat16, and in INT8 with compressed-tensors.
TOLERANCE = 0.1


def answer_all(reference: Reference, answers: list[Answer]) -> list[tuple[list[int], list[float]]]:
    """Return transformers' answers to the same prompts."""
    with torch.inference_mode():
        return [
            reference.answer(answer.prompt, conversation.pictures)
            for answer, conversation in zip(answers, CONVERSATIONS, strict=True)
        ]


@pytest.mark.parametrize(
    "name", ["compressed-tensors", "awq", pytest.param("gptq", marks=pytest.mark.slow)]
)
def test_answers_are_near_the_unquantised_ones(name: str, tmp_path: Path) -> None:
    method, model = METHODS[name], llava_next(LLAMA)
    write_checkpoint(tmp_path, model, dtype="bfloat16")
    quantise(tmp_path, method, in_text_config=name == "awq")
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.language_model.quantization == name
    answers = run_answer_program(checkpoint, enforce_eager=True)
    restore_weights(model, method)
    expected = answer_all(Reference(model, checkpoint), answers)
    same = [
        answer.tokens[0] == tokens[0] for answer, (tokens, _) in zip(answers, expected, strict=True)
    ]
    assert sum(same) >= len(same) - 1
    differences = [
        abs(answer.logprobs[0] - logprobs[0])
        for answer, (_, logprobs) in zip(answers, expected, strict=True)
    ]
    assert median(differences) < TOLERANCE


@pytest.fixture
def quantised(tmp_path: Path) -> Checkpoint:
    """Write a checkpoint that AWQ quantised."""
    write_checkpoint(tmp_path, llava_next(LLAMA), dtype="bfloat16")
    quantise(tmp_path, METHODS["awq"])
    return read_checkpoint(tmp_path)


def test_another_method_than_the_checkpoints_is_refused(quantised: Checkpoint) -> None:
    settings = Settings(accelerator="cpu", quantization="gptq")
    with pytest.raises(CheckpointError, match=r"\(awq\) does not match"):
        configure_engine(settings, quantised, "m", torch.device("cpu"))


def test_a_dtype_that_the_method_lacks_is_refused(quantised: Checkpoint) -> None:
    settings = Settings(accelerator="cpu", dtype="float32")
    with pytest.raises(CheckpointError, match=r"float32 is not supported for quantization"):
        configure_engine(settings, quantised, "m", torch.device("cpu"))
