"""The vision tower's pretraining, in place of the paper's CLIP, and its accuracy."""

import numpy as np
import numpy.typing as npt
import torch

from training.data.dataset import SceneDataset, normalise
from training.data.rendering import UInt8Array
from training.loop.compute import autocast, split_batch
from training.loop.context import TrainContext
from training.loop.stage import Stage
from training.loop.stage_config import StageConfig
from training.loop.trainer import run_stage
from training.model.scene_classifier import (
    SceneClassifier,
    compute_patch_loss,
    compute_summary_loss,
)

IndexArray = npt.NDArray[np.int64]

_MAX_EVAL_SCENES = 500


def train_tower(context: TrainContext, config: StageConfig) -> None:
    """Train the vision tower to classify the patches and the thirds of an image."""
    classifier = SceneClassifier(context.model.model.vision_tower).to(context.device)
    classify = classifier.forward
    if config.should_compile:
        classify = torch.compile(classify, dynamic=False)
    dataset, batch_size = context.train_set, split_batch(config.batch_size)

    def make_batch(index: int) -> IndexArray:
        generator = np.random.default_rng((1, index))
        return np.sort(generator.integers(len(dataset), size=batch_size))

    def compute_loss(indices: IndexArray) -> torch.Tensor:
        patches, summary = classify(normalise(dataset.pixels[indices], context.device))
        patch_labels = _to_tensor(dataset.patch_labels[indices], context.device)
        summary_labels = _to_tensor(dataset.summary_labels[indices], context.device)
        return compute_patch_loss(patches, patch_labels) + compute_summary_loss(
            summary, summary_labels
        )

    def report() -> str:
        return evaluate_tower(classifier, context.held_out_set, context.device)

    # What comes after the layer that is read has no gradient.
    stage = Stage(
        "tower",
        config,
        classifier,
        make_batch,
        compute_loss,
        report,
        find_unused_parameters=True,
    )
    run_stage(stage, context.work_dir, context.device)


def _to_tensor(labels: UInt8Array, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.array(labels)).to(device).long()


@torch.no_grad()
def evaluate_tower(classifier: SceneClassifier, dataset: SceneDataset, device: torch.device) -> str:
    """Accuracies as text: noun, colour and size of filled places, background, complete scenes."""
    count = min(len(dataset), _MAX_EVAL_SCENES)
    with autocast(device):
        _, summary = classifier(normalise(dataset.pixels[:count], device))
    labels = _to_tensor(dataset.summary_labels[:count], device)
    correct = [logits.argmax(-1) == labels[..., index] for index, logits in enumerate(summary)]
    is_filled = labels[..., 0] > 0
    noun, color, size = (attribute[is_filled].float().mean().item() for attribute in correct[:3])
    scene = (correct[0] & correct[1]).all(dim=1).float().mean().item()
    background = correct[3].float().mean().item()
    return (
        f"noun {noun:.4f} color {color:.4f} size {size:.4f} "
        f"background {background:.4f} scene {scene:.4f}"
    )
