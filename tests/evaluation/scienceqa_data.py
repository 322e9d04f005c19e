"""Five problems in the data set's format."""

import json
from pathlib import Path
from typing import Any


def problem(**changes: Any) -> dict[str, Any]:
    return {
        "question": "Which one?",
        "choices": ["red", "green"],
        "answer": 0,
        "hint": "",
        "image": None,
        "task": "closed choice",
        "grade": "grade2",
        "subject": "natural science",
        "topic": "physics",
        "category": "Magnets",
        "skill": "Choose",
        "lecture": "",
        "solution": "",
        "split": "test",
        **changes,
    }


PROBLEMS = {
    "1": problem(image="image.png", hint="Look at it."),
    "2": problem(answer=1, grade="grade7", hint="Read this."),
    "3": problem(answer=2, choices=["a", "b", "c"], subject="social science", image="image.png"),
    "4": problem(answer=1, subject="language science", grade="grade12"),
    "5": problem(subject="language science", grade="grade6"),
    "6": problem(split="train"),
}
SPLITS = {"train": ["6"], "val": [], "test": ["1", "2", "3", "4", "5"]}


def write_data(folder: Path) -> tuple[str, ...]:
    """Write the data set; return its options."""
    (folder / "problems.json").write_text(json.dumps(PROBLEMS))
    (folder / "pid_splits.json").write_text(json.dumps(SPLITS))
    problems, splits = str(folder / "problems.json"), str(folder / "pid_splits.json")
    return ("--problems", problems, "--splits", splits)
