"""Writes the model card from the plan, the logs and the evaluation, so that it is up to date."""

import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.loop.evaluate import EvalResult
from training.loop.history import count_seconds, read_history
from training.loop.plan import STAGES, TrainingPlan

SCORES_FILE: Final = "scores.json"


def write_model_card(plan: TrainingPlan, result: EvalResult, work_dir: Path, out_dir: Path) -> None:
    """Write `README.md`, and the scores it shows, into the model's folder."""
    scores = result.as_json()
    (out_dir / SCORES_FILE).write_text(json.dumps(scores, indent=2) + "\n")
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown of our own, not HTML
    )
    stages = [_describe_stage(plan, stage, work_dir) for stage in STAGES]
    card = templates.get_template("model_card.md.jinja").render(plan=plan, stages=stages, **scores)
    (out_dir / "README.md").write_text(card)


def _describe_stage(plan: TrainingPlan, stage: str, work_dir: Path) -> dict[str, Any]:
    return {
        "name": stage,
        "config": plan.get_stage_config(stage),
        "minutes": round(count_seconds(read_history(work_dir / stage)) / 60),
    }
