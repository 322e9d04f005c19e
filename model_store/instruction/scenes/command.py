"""`scenes`: draw images, and write records and annotations about them."""

import json
import random
from pathlib import Path
from typing import Annotated, Final

import typer
from tqdm import tqdm

from asking.files import write_atomically
from model_store.instruction.records import KINDS, Kind, Record, write_records
from model_store.instruction.scenes.annotations import build_annotation
from model_store.instruction.scenes.conversations import sample_records
from training.data.drawing import draw
from training.data.sampling import sample_scene

IMAGES_FOLDER: Final = "images"
ANNOTATIONS_FILE: Final = "captions.jsonl"


def scenes(
    out: Annotated[Path, typer.Option(help="folder for all that is written")],
    count: Annotated[int, typer.Option(min=1, help="number of pictures")] = 1000,
    seed: Annotated[int, typer.Option(help="decides everything that is drawn")] = 0,
    longest: Annotated[int, typer.Option(min=64, help="pixels of a picture's longer side")] = 512,
) -> None:
    """Records of the three kinds about newly drawn scenes, and the scenes' captions and boxes."""
    (out / IMAGES_FOLDER).mkdir(parents=True, exist_ok=True)
    records: list[tuple[Kind, Record]] = []
    annotations: list[str] = []
    for number in tqdm(range(count), "scenes", mininterval=1):
        # Each scene has its own seed: a larger count draws the same scenes first.
        rng = random.Random(f"{seed} {number}")
        scene, scene_id = sample_scene(rng, max_side=longest), f"scene-{seed}-{number:06}"
        image = f"{scene_id}.png"
        draw(scene).save(out / IMAGES_FOLDER / image)
        records += sample_records(scene, scene_id, image, rng)
        annotations.append(json.dumps(build_annotation(scene, scene_id, image)) + "\n")
    write_records(out, KINDS, records)
    write_atomically(out / ANNOTATIONS_FILE, annotations)
