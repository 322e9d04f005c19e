"""The images of the few-shot examples."""

from typing import Final

from model_store.instruction.captions.context import Box, Context, Instance


def _build_context(name: str, captions: tuple[str, ...], *objects: tuple[str, Box]) -> Context:
    instances = tuple(Instance(category=category, bbox=bbox) for category, bbox in objects)
    return Context(id=name, image=name, captions=captions, instances=instances)


KITCHEN: Final = _build_context(
    "kitchen",
    (
        "A woman in a blue apron slices bread on a wooden counter.",
        "A lady stands in a kitchen cutting a loaf of bread while a cat watches.",
        "A cat sits on a chair next to a counter where a woman is slicing bread.",
        "A woman prepares breakfast in a bright kitchen with two cups on the counter.",
        "Someone cutting bread beside two cups and a bowl of oranges.",
    ),
    ("person", (0.312, 0.058, 0.604, 0.871)),
    ("cat", (0.087, 0.512, 0.241, 0.803)),
    ("chair", (0.052, 0.618, 0.289, 0.994)),
    ("knife", (0.498, 0.472, 0.571, 0.534)),
    ("cup", (0.655, 0.463, 0.703, 0.548)),
    ("cup", (0.718, 0.459, 0.768, 0.551)),
    ("bowl", (0.812, 0.437, 0.951, 0.562)),
    ("orange", (0.831, 0.418, 0.878, 0.479)),
    ("orange", (0.874, 0.409, 0.921, 0.474)),
    ("orange", (0.889, 0.451, 0.936, 0.502)),
)
BUS_STOP: Final = _build_context(
    "bus-stop",
    (
        "People with umbrellas wait at a bus stop in the rain.",
        "A red double decker bus approaches a stop where three people are waiting.",
        "Three people stand under umbrellas as a red bus pulls up on a wet street.",
        "A wet city street with a red bus and pedestrians holding umbrellas.",
        "A man with a suitcase and two women wait for the bus on a rainy day.",
    ),
    ("bus", (0.482, 0.121, 0.983, 0.792)),
    ("person", (0.071, 0.384, 0.168, 0.862)),
    ("person", (0.189, 0.401, 0.274, 0.851)),
    ("person", (0.301, 0.392, 0.389, 0.858)),
    ("umbrella", (0.043, 0.281, 0.193, 0.412)),
    ("umbrella", (0.172, 0.302, 0.289, 0.421)),
    ("umbrella", (0.283, 0.288, 0.412, 0.408)),
    ("suitcase", (0.392, 0.689, 0.451, 0.859)),
)
PARK: Final = _build_context(
    "park",
    (
        "A dog leaps into the air to catch a yellow frisbee in a park.",
        "A brown dog jumping for a frisbee while its owner looks on.",
        "A man in shorts watches his dog jump for a frisbee on the grass.",
        "A dog with all four paws off the ground reaches for a frisbee.",
        "A man and a dog play in a grassy field near a bench and a parked bicycle.",
    ),
    ("dog", (0.395, 0.312, 0.618, 0.644)),
    ("frisbee", (0.601, 0.248, 0.682, 0.317)),
    ("person", (0.118, 0.207, 0.252, 0.878)),
    ("bench", (0.722, 0.588, 0.973, 0.801)),
    ("bicycle", (0.781, 0.472, 0.962, 0.743)),
    ("backpack", (0.748, 0.561, 0.826, 0.689)),
)
