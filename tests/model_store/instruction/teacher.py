"""A teacher that keeps to the form, and images for it to be asked about."""

from typing import Any

from model_store.instruction.captions.prompts.choice import PROMPTS
from model_store.instruction.records import Kind
from tests.asking.scripted import Request

KIND_OF: dict[str, Kind] = {PROMPTS[kind].system: kind for kind in PROMPTS}


def build_line(number: int, **changes: Any) -> dict[str, Any]:
    """Return a line of input as in LLaVA's `caps_boxes_coco2014_val_80.jsonl`."""
    return {
        "id": f"{number:012}",
        "image": f"COCO_val2014_{number:012}.jpg",
        "captions": [f"Donut {number} on a plate.", "A plate with a donut.\n"],
        "instances": [
            {"category": "donut", "bbox": [0.25, 0.125, 0.5, 0.5]},
            {"category": "dining table", "bbox": [0.0, 0.1, 1.0, 1.0]},
        ],
        **changes,
    }


def find_kind(request: Request) -> Kind:
    """Return the kind that a request asks for."""
    return KIND_OF[request.body["messages"][0]["content"]]


def find_id(request: Request) -> int:
    """Return the number of the image that a request is about."""
    return int(request.prompt.split()[1])


def format_pairs(*pairs: tuple[str, str]) -> str:
    """Questions and answers in the form that is asked for."""
    return "\n".join(f"Question:\n{q}\n===\nAnswer:\n{a}\n===" for q, a in pairs)


def write_answer(request: Request) -> str:
    """Return a well-formed answer that names its image."""
    number = find_id(request)
    if find_kind(request) == "detail":
        return f"Donut {number} lies on a plate."
    first = (f"What is number {number}?", "It is a donut.")
    second = ("Where is it?", "It lies on a plate.")
    return (
        format_pairs(first, second) if find_kind(request) == "conversation" else format_pairs(first)
    )
