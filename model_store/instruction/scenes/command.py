"""`scenes`: draw pictures and write down what can be said about them."""

import json
import random
from pathlib import Path
from typing import Annotated, Final

import typer
from tqdm import tqdm

from asking.files import write_atomically
from model_store.instruction.records import KINDS, Kind, Record, write_records
from model_store.instruction.scenes.conversations import records_of
from model_store.instruction.scenes.symbols import symbols_of
from training.data.drawing import draw
from training.data.sampling import sample_scene

IMAGES_FOLDER: Final = "images"
SYMBOLS_FILE: Final = "captions.jsonl"


def scenes(
    out: Annotated[Path, typer.Option(help="folder for all that is written")],
    count: Annotated[int, typer.Option(min=1, help="pictures")] = 1000,
    seed: Annotated[int, typer.Option(help="what everything that is drawn depends on")] = 0,
    longest: Annotated[int, typer.Option(min=64, help="pixels of a picture's longer side")] = 512,
) -> None:
    """Records of the three kinds about freshly drawn scenes, and the scenes' captions and boxes."""
    (out / IMAGES_FOLDER).mkdir(parents=True, exist_ok=True)
    records: list[tuple[Kind, Record]] = []
    symbols: list[str] = []
    for number in tqdm(range(count), "scenes", mininterval=1):
        # Each scene has a seed of its own: a larger count draws the same ones and more.
        rng = random.Random(f"{seed} {number}")
        scene, scene_id = sample_scene(rng, longest=longest), f"scene-{seed}-{number:06}"
        image = f"{scene_id}.png"
        draw(scene).save(out / IMAGES_FOLDER / image)
        records += records_of(scene, scene_id, image, rng)
        symbols.append(json.dumps(symbols_of(scene, scene_id, image)) + "\n")
    write_records(out, KINDS, records)
    write_atomically(out / SYMBOLS_FILE, symbols)
