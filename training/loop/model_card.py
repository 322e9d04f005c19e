"""Writes the model card from the plan, the logs and the scores: it cannot be out of date."""

import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from training.loop.evaluate import Score
from training.loop.plan import STAGES, Plan
from training.loop.training_loop import read_log

SCORES_FILE: Final = "scores.json"


def write_card(plan: Plan, score: Score, work: Path, out: Path) -> None:
    """Write `README.md` and the scores it shows into the model's folder."""
    scores = score.as_json()
    (out / SCORES_FILE).write_text(json.dumps(scores, indent=2) + "\n")
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Markdown of our own, not HTML
    )
    stages = [_stage(plan, stage, work) for stage in STAGES]
    card = templates.get_template("model_card.md.jinja").render(plan=plan, stages=stages, **scores)
    (out / "README.md").write_text(card)


def _stage(plan: Plan, stage: str, work: Path) -> dict[str, Any]:
    log = read_log(work / f"{stage}.jsonl")
    return {
        "name": stage,
        "schedule": plan.schedule(stage),
        "minutes": round(log[-1]["seconds"] / 60) if log else 0,
    }
