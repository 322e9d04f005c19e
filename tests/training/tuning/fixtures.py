"""What the released trainer gave, and the same made by ours. See `tests/parity/README.md`."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import Tensor
from transformers import AutoModelForCausalLM, CLIPVisionModel, Qwen2Config, Qwen2ForCausalLM

from llava_spec.projector import parse_projector_type
from model_store.convert.tokenizer import read_tokenizer
from server.prompt.tokenizer import PromptTokenizer
from training.tuning.dataset import TuningDataset
from training.tuning.images import ImageReader
from training.tuning.model import LlavaForTraining, build_projector
from training.tuning.prompts import PromptLabeller, choose_render
from training.tuning.record_files import open_record_file
from training.tuning.settings import LORA_MODULES
from training.tuning.sources import build_prompt_tokenizer

RELEASED: Final = Path(__file__).parents[2] / "parity"
LABELS: Final = RELEASED / "labels"
TRAIN: Final = RELEASED / "train"
INPUTS: Final = TRAIN / "inputs"
IMAGE_SIZE: Final = 56
TOKENS_PER_IMAGE: Final = 16
CONV_MODES: Final = {"v1": "vicuna_v1", "plain": "plain"}


def read_json(file: Path) -> Any:
    """Return the content of a JSON file, compressed or not."""
    data = file.read_bytes()
    return json.loads(gzip.decompress(data) if file.suffix == ".gz" else data)


@cache
def read_runs() -> dict[str, Any]:
    """Return the released trainer's runs by name."""
    runs: dict[str, Any] = read_json(TRAIN / "losses.json")["runs"]
    return runs


def load_prompt_tokenizer(folder: Path, *, image_start_end: bool = False) -> PromptTokenizer:
    """Load a tokenizer as training does."""
    released = read_tokenizer(folder, {"mm_use_im_start_end": image_start_end})
    return build_prompt_tokenizer(released)


def make_reader(aspect_ratio: Any) -> ImageReader:
    """Return a reader of the pictures."""
    settings = read_json(INPUTS / "tower" / "preprocessor_config.json")
    mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    return ImageReader(INPUTS / "images", IMAGE_SIZE, aspect_ratio, mean, std)


def make_dataset(settings: dict[str, Any]) -> TuningDataset:
    """Return the records of a run."""
    tokenizer = load_prompt_tokenizer(INPUTS / settings["language_model"])
    render = choose_render(CONV_MODES[settings["version"]], image_start_end=False)
    return TuningDataset(
        [open_record_file(INPUTS / settings["data"])],
        PromptLabeller(render, tokenizer),
        make_reader(settings["image_aspect_ratio"]),
        TOKENS_PER_IMAGE,
        settings["model_max_length"],
        keeps_useless=True,
    )


def load_run_weights(run: str, name: str, prefix: str) -> dict[str, Tensor]:
    """Return weights of a run, without what comes before and with `prefix`."""
    weights = load_file(TRAIN / "weights" / run / f"{name}.safetensors")
    return {key.rpartition(prefix)[2]: each for key, each in weights.items()}


def make_model(run: str) -> LlavaForTraining:
    """Return the model that a run begins with, with what it trains requiring gradients."""
    settings = read_runs()[run]["settings"]
    tower = CLIPVisionModel.from_pretrained(
        INPUTS / "tower", dtype=getattr(torch, settings["tower_dtype"])
    )
    language = AutoModelForCausalLM.from_pretrained(
        INPUTS / settings["language_model"], dtype=torch.float32
    )
    projector = build_projector(
        parse_projector_type(settings["projector"]),
        tower.config.hidden_size,
        language.config.hidden_size,
    )
    projector.load_state_dict(load_run_weights(run, "projector-initial", "mm_projector."))
    tower.requires_grad_(False)
    language.requires_grad_(settings["trains"] == "all")
    if "lora" in settings["trains"]:
        _add_adapters(run, language)
    return LlavaForTraining(tower, projector, language)


def _add_adapters(run: str, language: Any) -> None:
    import peft

    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules=list(LORA_MODULES))
    peft.inject_adapter_in_model(config, language)
    parameters = dict(language.named_parameters())
    for name, weight in load_run_weights(run, "lora-initial", "base_model.model.").items():
        parameters[name].data.copy_(weight)


def write_qwen2(folder: Path) -> Path:
    """Write a small Qwen2 of random weights, whose head is that of the embeddings."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["What is this? A circle."], trainer)
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    content = {**settings, "tokenizer_class": "Qwen2Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder
