"""The inputs that decide a run's records. A folder stores them, so that no run mixes two plans."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Final

from asking.errors import RunError
from asking.files import read_json, write_atomically
from model_store.instruction.captions.prompts.detail import REQUESTS
from model_store.instruction.captions.prompts.prompt import Prompt
from model_store.instruction.records import Kind

PLAN_FILE: Final = "run.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """`input` and `prompts` are digests; `fields` go into every request."""

    input: str
    model: str
    kinds: tuple[Kind, ...]
    seed: int
    fields: Mapping[str, Any]
    prompts: str

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "kinds": list(self.kinds)}


def build_plan(
    source: Path,
    model: str,
    prompts: Mapping[Kind, Prompt],
    seed: int,
    fields: Mapping[str, Any],
) -> Plan:
    """Return the plan of a run on this input."""
    return Plan(
        hashlib.sha256(source.read_bytes()).hexdigest(),
        model,
        tuple(prompts),
        seed,
        dict(fields),
        _hash_prompts(prompts),
    )


def write_or_check_plan(folder: Path, plan: Plan) -> None:
    """Write the plan, or check that the folder's plan equals it. Raises `RunError` if not."""
    path = folder / PLAN_FILE
    if not path.exists():
        write_atomically(path, [json.dumps(plan.as_json(), ensure_ascii=False, indent=2), "\n"])
        return
    content = read_json(path)
    new = plan.as_json()
    old = content if isinstance(content, dict) else {}
    changed = [name for name in new if old.get(name) != new[name]]
    if changed:
        changes = "; ".join(_describe_change(name, old.get(name), new[name]) for name in changed)
        raise RunError(
            f"{path}: the records there were made with other settings: {changes}. Choose another "
            "--out, or --restart to delete them and start over."
        )


def _describe_change(name: str, old: Any, new: Any) -> str:
    if name in ("input", "prompts"):
        return f"the {'--input file' if name == 'input' else 'teacher prompts'} changed"
    return f"{name} was {json.dumps(old)} and is {json.dumps(new)}"


def _hash_prompts(prompts: Mapping[Kind, Prompt]) -> str:
    texts = {kind: astuple(prompt) for kind, prompt in prompts.items()}
    return hashlib.sha256(json.dumps([texts, REQUESTS]).encode()).hexdigest()
