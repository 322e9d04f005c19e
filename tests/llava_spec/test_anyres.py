"""The grid of an image and its margins, as the released code rounds them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llava_spec.anyres import fit_within, select_best_resolution, unpad_margins
from tests.server.released import PINPOINTS, best_resolution

SIDES = st.integers(1, 6000)


@pytest.mark.parametrize(
    ("image_size", "resolution"),
    [
        ((640, 480), (672, 672)),
        ((1000, 1000), (672, 672)),
        ((100, 100), (672, 336)),  # all keep everything: the first of those that waste least
        ((336, 336), (672, 336)),
        ((2000, 1000), (672, 336)),
        ((1000, 2000), (336, 672)),
        ((3000, 1000), (1008, 336)),
        ((1000, 3000), (336, 1008)),
        ((5000, 1), (672, 336)),  # nothing is left of it anywhere
        ((1, 1), (672, 336)),
    ],
)
def test_best_resolutions(image_size: tuple[int, int], resolution: tuple[int, int]) -> None:
    assert select_best_resolution(image_size, PINPOINTS) == resolution


@settings(max_examples=300)
@given(SIDES, SIDES, st.permutations(PINPOINTS))
def test_the_order_of_pinpoints_counts_as_in_the_released_code(
    width: int, height: int, resolutions: list[tuple[int, int]]
) -> None:
    size = (width, height)
    assert select_best_resolution(size, resolutions) == best_resolution(size, resolutions)


@pytest.mark.parametrize(
    ("image_size", "fitted"),
    [
        ((672, 672), (672, 672)),
        ((640, 480), (672, 504)),
        ((1000, 667), (672, 449)),  # 448.2 is rounded up
        ((667, 1000), (449, 672)),
        ((9000, 1), (672, 1)),
        ((1, 9000), (1, 672)),
        ((3, 3), (672, 672)),
    ],
)
def test_an_image_is_fitted_with_its_ratio_rounded_up(
    image_size: tuple[int, int], fitted: tuple[int, int]
) -> None:
    assert fit_within(image_size, (672, 672)) == fitted


@pytest.mark.parametrize(
    ("image_size", "grid", "margins"),
    [
        ((640, 480), (48, 48), (0, 6)),
        ((480, 640), (48, 48), (6, 0)),
        ((640, 470), (48, 48), (0, 6)),  # 35.25 rows: 35, and of 13 the half of 12
        ((672, 672), (48, 48), (0, 0)),
        ((9000, 1), (72, 24), (0, 12)),  # no row is left
        ((1, 9000), (24, 72), (12, 0)),
    ],
)
def test_margins(
    image_size: tuple[int, int], grid: tuple[int, int], margins: tuple[int, int]
) -> None:
    assert unpad_margins(image_size, grid) == margins
