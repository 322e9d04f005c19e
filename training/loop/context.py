"""The context that the stages share: the model, its tokenizer and the data."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

from training.data.dataset import SceneDataset
from training.model.tokenizer import CachedTokenizer


@dataclass(frozen=True, slots=True)
class TrainContext:
    """The model on `device`, its tokenizer, the data sets, and the folder of checkpoints.

    The stages train on `train_set` and report their accuracy on `held_out_set`.
    """

    model: LlavaForConditionalGeneration
    encode: CachedTokenizer
    train_set: SceneDataset
    held_out_set: SceneDataset
    work_dir: Path
    device: torch.device
