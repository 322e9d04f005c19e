"""What is said of a run at its end: on the terminal, as a chart of losses, and as a model card."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that has ended well, and how many seconds it took.

    A resumed run took them after `first_step`: `history` has the earlier steps, too.
    """

    settings: TrainSettings
    history: Sequence[Mapping[str, Any]]
    seconds: float
    first_step: int = 0

    def describe(self, program: str) -> str:
        """Return what the user wants to know now; `program` is `llava-server` as it is typed."""
        settings, out = self.settings, shlex.quote(str(self.settings.out.resolve()))
        adapter = settings.lora is not None and not settings.merges_lora
        lines = [
            f"Trained {self._describe_steps()} in {_format_duration(self.seconds)}"
            f"{self._describe_losses()}.",
            f"The model is in {out}. Serve it:",
            f"  {program} serve --model {out}"
            + (f" --lora-adapters tuned={out}/adapter" if adapter else ""),
        ]
        if adapter:
            lines.append("Requests that name the model `tuned` are answered with the adapter.")
        if settings.stage == "align":
            lines += [
                "Train stage 2 on it:",
                f"  {program} train instruct --model {out} --data FILE --images DIR --out DIR",
            ]
        work = shlex.quote(str(settings.work.resolve()))
        return "\n".join([*lines, f"The run's saved state, {work}, can be removed."])

    def _describe_steps(self) -> str:
        steps = _count_steps(self.history)
        if not self.first_step:
            return f"{steps} steps"
        return f"{steps} steps, {steps - self.first_step} of them since it was resumed,"

    def _describe_losses(self) -> str:
        kinds = (("last loss", "loss"), ("evaluation loss", "eval_loss"))
        losses = [(title, _list_losses(self.history, name)) for title, name in kinds]
        return "".join(f", {title} {points[-1][1]:.4f}" for title, points in losses if points)


def _list_losses(history: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(each["step"], each[name]) for each in history if name in each]


def _count_steps(history: Sequence[Mapping[str, Any]]) -> int:
    return int(history[-1]["step"]) if history else 0


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def write_report(
    settings: TrainSettings, conv_mode: str, history: Sequence[Mapping[str, Any]], out: Path
) -> None:
    """Write README.md and losses.png."""
    losses, evaluated = (_list_losses(history, name) for name in ("loss", "eval_loss"))
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
            steps=_count_steps(history),
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
