"""Normalisation and soft accuracy by the official definitions."""

import pytest

from evaluation.scorers.contractions import CONTRACTIONS
from evaluation.scorers.normalization import normalize_prediction, normalize_vqa
from evaluation.scorers.soft_accuracy import compute_soft_accuracy


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The Dog.", "dog"),
        ("two", "2"),
        ("None", "0"),
        ("Dont", "don't"),
        ("couldntve", "couldntve"),  # the official table lacks it
        ("couldn'tve", "couldn't've"),
        ("somebody'd", "somebodyd"),
        ("1,000", "1000"),
        ("Red, please?", "red please"),
        ("the man's hat", "man 's hat"),
        ("red/blue", "red blue"),
        ("red / blue", "red blue"),
        ("(a) cat-dog", "cat dog"),
        ("3.5", "3.5"),
        ("U.S.", "us"),
        ("7 p.m.\n", "7 pm"),
        ("a:b", "a:b"),
        ("yes\nno\tmaybe", "yes no maybe"),
        ("." * 40 + "x", "." * 8 + "x"),  # at most 32 periods go
        ("", ""),
    ],
)
def test_predictions(text: str, normalized: str) -> None:
    assert normalize_prediction(text) == normalized


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("1,000 men's", "1000 men's"),
        ("1,000-2", "10002"),  # with a comma in a number all marks go
        ("Yes, sir", "yes sir"),
        ("Who?", "who"),
        ("an apple", "apple"),
    ],
)
def test_references(text: str, normalized: str) -> None:
    assert normalize_vqa(text) == normalized


def test_contractions() -> None:
    assert len(CONTRACTIONS) == 114
    assert CONTRACTIONS["aint"] == "ain't"
    assert CONTRACTIONS["yall'd've"] == "y'all'd've"
    assert "its" not in CONTRACTIONS


@pytest.mark.parametrize(
    ("matches", "accuracy"),
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)
def test_soft_accuracy_of_ten_annotators(matches: int, accuracy: float) -> None:
    references = ["cat"] * matches + ["dog"] * (10 - matches)
    assert compute_soft_accuracy("cat", references) == pytest.approx(accuracy)
