"""What decides how the records come out; a folder keeps it, so that no run mixes two of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from asking.errors import RunError
from asking.files import read_json, write_atomically
from model_store.instruction.captions.prompts.detail import REQUESTS
from model_store.instruction.captions.wanted import PROMPTS
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


def make_plan(
    source: Path, model: str, kinds: Sequence[Kind], seed: int, fields: Mapping[str, Any]
) -> Plan:
    """The plan of a run on this input."""
    return Plan(
        hashlib.sha256(source.read_bytes()).hexdigest(),
        model,
        tuple(kinds),
        seed,
        dict(fields),
        _prompts_digest(),
    )


def keep_plan(folder: Path, plan: Plan) -> None:
    """Write the plan, or check that it is the folder's own. Raises `RunError` where it is not."""
    path = folder / PLAN_FILE
    if not path.exists():
        write_atomically(path, [json.dumps(plan.as_json(), ensure_ascii=False, indent=2), "\n"])
        return
    kept = read_json(path)
    ours = plan.as_json()
    known = kept if isinstance(kept, dict) else {}
    changed = [name for name in ours if known.get(name) != ours[name]]
    if changed:
        told = "; ".join(_change(name, known.get(name), ours[name]) for name in changed)
        raise RunError(
            f"{path}: the records there were begun with something else: {told}. Take another "
            "--out, or --restart to throw them away and begin anew."
        )


def _change(name: str, old: Any, new: Any) -> str:
    if name in ("input", "prompts"):
        return f"the {'--input file' if name == 'input' else 'teacher prompts'} changed"
    return f"{name} was {json.dumps(old)} and is {json.dumps(new)}"


def _prompts_digest() -> str:
    prompts = {kind: (prompt.system, prompt.examples) for kind, prompt in PROMPTS.items()}
    return hashlib.sha256(json.dumps([prompts, REQUESTS]).encode()).hexdigest()
