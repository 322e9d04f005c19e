"""The losses of a run as a chart, and the model card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training.tuning.settings import TrainSettings

STAGES: Final = {
    "align": "stage 1, feature alignment: the projector alone, on images and captions",
    "instruct": "stage 2, visual instruction tuning",
}
CARD: Final = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
---

# {name}

A LLaVA ([Visual Instruction Tuning](https://arxiv.org/abs/2304.08485)): {stage}.

| | |
|---|---|
| vision tower | {tower}, hidden state {layer}, images {ratio} |
| language model | {language_model} |
| projector | {projector} |
| trained | {trained} |
| data | {data} |
| template | `{conv_mode}` |
| batch, epochs, steps | {batch}, {epochs:g}, {steps} |
| learning rate | {rate:g}{projector_rate}, cosine, warm-up {warmup:g} |
| last loss | {loss} |

Serve it with `llava-server serve --model DIR`.

![losses](losses.png)
"""


def write_report(
    settings: TrainSettings, conv_mode: str, history: Sequence[Mapping[str, Any]], out: Path
) -> None:
    """Write README.md and losses.png."""
    losses = [(each["step"], each["loss"]) for each in history if "loss" in each]
    evaluated = [(each["step"], each["eval_loss"]) for each in history if "eval_loss" in each]
    _plot({"training": losses, "evaluation": evaluated}, out / "losses.png")
    sources = settings.sources
    rate = settings.projector_lr
    (out / "README.md").write_text(
        CARD.format(
            name=settings.out.name,
            stage=STAGES[settings.stage],
            tower=sources.vision_tower.name,
            layer=sources.feature_layer,
            ratio=sources.image_aspect_ratio,
            language_model=sources.language_model.name,
            projector=sources.projector_type,
            trained=_describe_trained(settings),
            data=", ".join(path.name for path in settings.data),
            conv_mode=conv_mode,
            batch=settings.batch_size,
            epochs=settings.epochs,
            steps=history[-1]["step"] if history else 0,
            rate=settings.learning_rate,
            projector_rate="" if rate is None else f" (projector {rate:g})",
            warmup=settings.warmup_ratio,
            loss=f"{losses[-1][1]:.4f}" if losses else "unknown",
        )
    )


def _describe_trained(settings: TrainSettings) -> str:
    parts = ["projector"]
    if settings.trains_language_model:
        lora, quantization = settings.lora, settings.quantization
        parts.append("language model" if lora is None else f"LoRA of rank {lora.rank}")
        if quantization is not None:
            parts[-1] += f" over weights of {quantization.bits} bits"
    if settings.trains_tower:
        parts.append("vision tower")
    return ", ".join(parts)


def _plot(lines: Mapping[str, Sequence[tuple[int, float]]], file: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="tight")
    axes = figure.subplots()
    for name, points in lines.items():
        if points:
            axes.plot(*zip(*points, strict=True), label=name)
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    figure.savefig(file)
