"""Scenes: reproducible, with things inside their thirds, drawn as the scene describes them."""

import random

import numpy as np
import pytest

from training.data.color_ranges import color_distance, sample_background_color, sample_color
from training.data.drawing import compute_outline, draw, preprocess
from training.data.labels import SUMMARY_PATCHES, label_patches, label_summary_patches
from training.data.sampling import sample_scene, sample_scenes
from training.data.scenes import (
    BACKGROUND_COLORS,
    COLORS,
    NOUNS,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
)


def find_place(x: float, y: float, width: int, height: int) -> str:
    """Name the third of a `width` x `height` image that holds the point."""
    column = min(int(3 * x / width), 2)
    row = min(int(3 * y / height), 2)
    return PLACES[3 * row + column]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return list(sample_scenes(seed=5, count=600))


def test_a_seed_makes_the_same_scenes_and_pictures() -> None:
    first, second = sample_scenes(7, 5), sample_scenes(7, 5)
    assert first == second
    assert all(
        draw(one).tobytes() == draw(other).tobytes()
        for one, other in zip(first, second, strict=True)
    )


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [(0, 0, "top left"), (150, 10, "top"), (299, 99, "bottom right"), (150, 50, "center")],
)
def test_place_is_the_third_that_holds_the_point(x: float, y: float, place: str) -> None:
    assert find_place(x, y, width=300, height=100) == place


def test_things_lie_in_their_places_in_reading_order(scenes: list[Scene]) -> None:
    for scene in scenes:
        places = [thing.place for thing in scene.things]
        assert 1 <= len(places) <= 5
        assert places == sorted(set(places), key=PLACES.index)
        for thing in scene.things:
            assert find_place(thing.x, thing.y, scene.width, scene.height) == thing.place


def test_scenes_cover_the_vocabulary(scenes: list[Scene]) -> None:
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.noun for thing in things} == set(NOUNS)
    assert {thing.color for thing in things} == set(COLORS)
    assert {thing.size for thing in things} == set(SIZES)
    assert {scene.ground.name for scene in scenes} == set(BACKGROUND_COLORS)
    assert {scene.ground.pattern for scene in scenes} == {"plain", "gradient", "stripes", "checks"}
    assert {thing.place for thing in things} == set(PLACES)


def test_sizes_stay_within_bounds_and_ratio() -> None:
    rng = random.Random(1)
    for _ in range(300):
        scene = sample_scene(rng, max_side=4000)
        sides = sorted((scene.width, scene.height))
        assert 32 <= sides[0] <= sides[1] <= 4000
        assert sides[1] <= 2.2 * sides[0]


def test_a_thing_is_drawn_in_its_color_at_its_center(scenes: list[Scene]) -> None:
    for scene in scenes:
        if scene.noise or scene.jpeg:
            continue
        image = draw(scene)
        assert image.size == (scene.width, scene.height)
        for thing in scene.shapes:
            assert image.getpixel((int(thing.x), int(thing.y))) == thing.rgb


def test_tints_of_two_colors_do_not_overlap() -> None:
    rng = random.Random(2)
    tints = {color: {sample_color(rng, color) for _ in range(500)} for color in COLORS}
    for color, shades in tints.items():
        for other in COLORS:
            assert color == other or not shades & tints[other]


def test_pixels_are_padded_to_a_square(scenes: list[Scene]) -> None:
    wide = next(scene for scene in scenes if scene.width > 1.8 * scene.height)
    pixels = preprocess(draw(wide))
    assert pixels.shape == (96, 96, 3)
    assert np.all(pixels[0] == (122, 116, 104))


def test_every_thing_labels_patches_around_its_center(scenes: list[Scene]) -> None:
    for scene in scenes[:200]:
        labels = label_patches(scene)
        assert labels.shape == (64, 3)
        for thing in scene.things:
            expected = (
                1 + NOUNS.index(thing.noun),
                1 + COLORS.index(thing.color),
                1 + PLACES.index(thing.place),
            )
            assert (labels == expected).all(axis=1).any()


def test_summary_labels_describe_each_place(scenes: list[Scene]) -> None:
    assert len(set(SUMMARY_PATCHES)) == len(PLACES)
    for scene in scenes[:200]:
        summary = label_summary_patches(scene)
        assert set(summary[:, 3]) == {BACKGROUND_COLORS.index(scene.ground.name)}
        for place, (noun, color, size, _) in zip(PLACES, summary, strict=True):
            thing = scene.thing_at(place)
            if thing is None:
                assert (noun, color, size) == (0, 0, 0)
            else:
                assert (NOUNS[noun - 1], COLORS[color - 1]) == (thing.noun, thing.color)
                assert SIZES[size - 1] == thing.size


def test_printed_text_is_drawn_in_its_color(scenes: list[Scene]) -> None:
    printed = [(s, t) for s in scenes if not s.noise and not s.jpeg for t in s.things]
    printed = [(scene, thing) for scene, thing in printed if thing.noun not in SHAPES]
    assert len(printed) > 20
    for scene, thing in printed:
        radius = thing.radius
        box = (thing.x - radius, thing.y - radius, thing.x + radius, thing.y + radius)
        around = draw(scene).crop(tuple(round(edge) for edge in box))  # type: ignore[arg-type]
        colors = around.getcolors(1 << 20) or []
        nearest = min(color_distance(thing.rgb, rgb) for _, rgb in colors)  # type: ignore[arg-type]
        assert nearest < 40


def test_everything_stands_out_from_its_background(scenes: list[Scene]) -> None:
    for scene in scenes:
        for thing in scene.things:
            assert color_distance(thing.rgb, scene.ground.rgb) >= 80


def test_tints_of_two_backgrounds_do_not_overlap() -> None:
    rng = random.Random(3)
    tints = {
        name: {sample_background_color(rng, name) for _ in range(300)} for name in BACKGROUND_COLORS
    }
    for name, shades in tints.items():
        assert all(name == other or not shades & tints[other] for other in BACKGROUND_COLORS)


def test_outline_stays_within_the_radius_times_root_two(scenes: list[Scene]) -> None:
    for thing in (thing for scene in scenes for thing in scene.things):
        for x, y in compute_outline(thing):
            assert (x - thing.x) ** 2 + (y - thing.y) ** 2 <= 2.01 * thing.radius**2
